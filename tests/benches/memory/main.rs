//! Bench `memory`: what a template and an idle worker keep for themselves, beside the least that C can do.
//!
//! Private memory is what would come free if the process ended; the proportional set shares out what
//! several processes map (proc_pid_smaps(5)).

#[path = "../spawn/peers.rs"]
mod peers;

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, Stdio};

use peers::Program;
use tine_tests::figures::Figures;

const METRICS: [(&str, &[&str]); 2] =
    [("private_kib", &["Private_Clean:", "Private_Dirty:"]), ("pss_kib", &["Pss:"])];

/// In MB.
const SIZES: [u32; 4] = [5, 50, 500, 2048];

fn main() {
    let mut told = Figures::begin("memory", env!("CARGO_TARGET_TMPDIR"));
    for app_mb in SIZES {
        let hold = |(case, program)| (case, hold(program, app_mb));
        let found: Vec<_> = cases().into_iter().map(hold).collect();
        json(&found, app_mb, &mut told);
        table(&found, app_mb);
    }
}

fn json(found: &[(&str, Found)], app_mb: u32, told: &mut Figures) {
    for (case, figures) in found {
        for figure in figures.iter().flatten() {
            for ((metric, _), value) in METRICS.iter().zip(figure.kib) {
                let process = &figure.process;
                let sizes = [("app_mb", app_mb.into()), ("process", (&**process).into())];
                told.tell(case, &sizes, (metric, "KiB"), value as f64);
            }
        }
    }
}

/// One process of a case.
struct Figure {
    process: String,
    /// As [`METRICS`].
    kib: [u64; 2],
}

type Found = Result<Vec<Figure>, String>;

fn cases() -> Vec<(&'static str, Program)> {
    let tine = env!("CARGO_BIN_EXE_spawn-tine");
    let gtk = env!("CARGO_BIN_EXE_spawn-tine-gtk");
    let ours = |program: &str, case: &str| Ok(vec![program.to_owned(), case.to_owned()]);
    let template = |name: &str, like| {
        let flags = peers::linked_like(like)?;
        peers::compile("template.c", name, &flags).map(|program| vec![program])
    };
    vec![
        ("tine-early", ours(tine, "early")),
        ("tine-exec-template", ours(tine, "exec")),
        ("tine-lean", ours(gtk, "lean")),
        ("c-template", template("c-template", tine)),
        ("tine-gtk-early", ours(gtk, "early")),
        ("c-template-gtk", template("c-template-gtk", gtk)),
    ]
}

/// Starts a case, looks at its processes, and lets it go.
fn hold(program: Program, app_mb: u32) -> Found {
    let words = program?;
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["hold", &app_mb.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    // The last line is the worker's, which is idle by then.
    let lines = child.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.lines());
    let mut figures = Vec::new();
    for line in lines {
        let line = line.map_err(|error| error.to_string())?;
        let (process, id) = line.split_once(' ').ok_or("a line without a process id")?;
        figures.push(look(process, id).map_err(|error| format!("{process} {id}: {error}"))?);
        if process == "worker" {
            break;
        }
    }
    drop(child.stdin.take());
    child.wait().map_err(|error| error.to_string())?;
    Ok(figures)
}

fn look(process: &str, id: &str) -> io::Result<Figure> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let kib = METRICS.map(|(_, fields)| {
        let lines =
            rollup.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
        lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
    });
    Ok(Figure { process: process.into(), kib })
}

fn table(found: &[(&str, Found)], app_mb: u32) {
    println!(
        "\nApp of {app_mb} MB\n{:<20}{:<12}{:>14}{:>14}",
        "case", "process", "private KiB", "PSS KiB"
    );
    for (case, figures) in found {
        match figures {
            Ok(figures) => {
                for Figure { process, kib: [private, pss] } in figures {
                    println!("{case:<20}{process:<12}{private:>14}{pss:>14}");
                }
            }
            Err(why) => println!("{case:<20}left out: {why}"),
        }
    }
    println!();
    for (ours, theirs) in [("tine-early", "c-template"), ("tine-gtk-early", "c-template-gtk")] {
        if let (Some(ours_kib), Some(theirs_kib)) = (worker(found, ours), worker(found, theirs)) {
            let ratio = ours_kib as f64 / theirs_kib as f64;
            let mark = if ratio <= 1.5 { "pass" } else { "FAIL" };
            println!("{mark}  {ratio:>8.2} ≤ 1.5   private memory of a worker: {ours} / {theirs}");
        }
    }
}

fn worker(found: &[(&str, Found)], case: &str) -> Option<u64> {
    let (_, figures) = found.iter().find(|(name, _)| *name == case)?;
    let worker = figures.as_ref().ok()?.iter().find(|figure| figure.process == "worker")?;
    Some(worker.kib[0])
}
