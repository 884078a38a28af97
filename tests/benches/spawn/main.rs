//! Bench `spawn` (F29): how fast workers come to be, and how long the app's thread is held, beside the peers.
//!
//! Every case is a program of its own, for a template is forked first thing in `main`; the app's data
//! comes after it. `--quick` measures little and once, `--case NAME` (also several times) only some.

mod cases;
mod peers;
mod report;
mod rounds;

use std::time::Duration;

use rounds::Plan;

fn main() -> Result<(), String> {
    let (plan, wanted) = options(std::env::args().skip(1))?;
    let mut cases = cases::all();
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|name| name == case.name));
    let is_compared = |case: &str, app_mb| report::is_compared(&plan, case, app_mb);
    let results = rounds::run(&cases, &plan, is_compared);
    report::json(&cases, &plan, &results);
    report::table(&cases, &plan, &results);
    report::bounds(&plan, &results);
    Ok(())
}

fn options(mut args: impl Iterator<Item = String>) -> Result<(Plan, Vec<String>), String> {
    let (sizes, window) = (vec![5, 50, 500, 2048], Duration::from_millis(120));
    let mut plan = Plan { sizes, rounds: 5, turns: 4, window };
    let mut cases = Vec::new();
    while let Some(arg) = args.next() {
        match &arg[..] {
            // What `cargo bench` gives every bench.
            "--bench" => (),
            "--quick" => {
                let window = Duration::from_millis(60);
                plan = Plan { sizes: vec![5, 2048], rounds: 1, turns: 1, window };
            }
            "--case" => cases.push(args.next().ok_or("--case NAME")?),
            _ => return Err(format!("unknown option {arg}: --quick, --case NAME")),
        }
    }
    Ok((plan, cases))
}
