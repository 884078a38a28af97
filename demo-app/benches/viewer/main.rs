//! Bench `viewer`: thumbnails a second beside the programs that other desktops make them with, how long the
//! main loop is held meanwhile, when something is to be seen, and what it all takes of memory.
//!
//! ```text
//! main ─┬─ pictures: folders of the system's pictures, and huge ones of hard links
//!       ├─ runs: the viewer, on a display of its own
//!       ├─ peers: gdk-pixbuf-thumbnailer, vipsthumbnail, tumbler
//!       └─ report: JSON lines in target/bench/viewer.jsonl, a table and the bounds for people
//! ```
//! All have the same two processors and make thumbnails of 256 pixels. The pictures have been read before,
//! so that no disk is measured; `cold` and `warm` are about the cache of thumbnails. A rate is that of the
//! whole program, from its start to its end; of tumbler, a service, from the request on.
//! `--quick` measures once, an eighth of openclipart, and no folder of a million; `--large` nothing but the large
//! picture.

#[path = "../../tests/desktop/mod.rs"]
mod desktop;
#[path = "../../../tests/src/figures.rs"]
#[expect(dead_code, unused_imports, reason = "it has what all benches need, and tests of its own")]
mod figures;
mod peers;
mod pictures;
mod report;
mod runs;

use std::error::Error;

use desktop::Desktop;
use pictures::Set;
use report::{Figure, Report};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What everybody may use.
const PROCESSORS: usize = 2;

/// How much is measured.
pub struct Plan {
    /// Whether there are sets beside the large picture.
    sets: bool,
    /// Each of how many files of the largest set.
    every: usize,
    /// Rounds over the small sets, of which the median counts.
    rounds: usize,
    /// Files in the folders of hard links.
    huge: &'static [usize],
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = plan(std::env::args().skip(1))?;
    take_processors()?;
    let scratch = pictures::scratch()?;
    let desktop = Desktop::start();
    let mut report = Report::default();
    if plan.sets {
        for set in pictures::sets(scratch.path(), &plan, &mut report)? {
            measure(&desktop, &set, &plan, &mut report)?;
        }
    }
    for &files in plan.huge {
        let folder = pictures::hard_links(scratch.path(), files)?;
        runs::huge(&desktop, &folder, files, &mut report)?;
        std::fs::remove_dir_all(scratch.path().join(files.to_string()))?;
    }
    let large = pictures::large(scratch.path())?;
    runs::open(&desktop, &large, &mut report)?;
    runs::zoom(&desktop, &large, &mut report)?;
    report.tell();
    report.table();
    report.bounds();
    Ok(())
}

fn plan(args: impl Iterator<Item = String>) -> Result<Plan, String> {
    let huge = &[1_000, 10_000, 100_000, 1_000_000];
    let mut plan = Plan { sets: true, every: 1, rounds: 3, huge };
    for arg in args {
        match &arg[..] {
            // What `cargo bench` gives every bench.
            "--bench" => {}
            "--quick" => plan = Plan { every: 8, rounds: 1, huge: &huge[..3], ..plan },
            "--large" => plan = Plan { sets: false, huge: &[], ..plan },
            _ => return Err(format!("unknown option {arg}: --quick or --large")),
        }
    }
    Ok(plan)
}

/// All that is started here has the first two processors, and no more.
fn take_processors() -> rustix::io::Result<()> {
    let may = sched_getaffinity(None)?;
    let mut some = CpuSet::new();
    let all = (0..CpuSet::MAX_CPU).filter(|cpu| may.is_set(*cpu));
    all.take(PROCESSORS).for_each(|cpu| some.set(cpu));
    sched_setaffinity(None, &some)
}

/// The viewer and its peers on one set.
fn measure(
    desktop: &Desktop,
    set: &Set,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    set.warm_up()?;
    let rounds = if set.files.len() > 100 { 1 } else { plan.rounds };
    let mut rates: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut made = Vec::new();
    for _ in 0..rounds {
        runs::sweeps(desktop, set, report, &mut rates)?;
        for peer in peers::ALL {
            match (peer.run)(desktop, set) {
                Ok(result) => {
                    push(&mut rates, peer.name, result.rate());
                    made.push((peer.name, result.made));
                }
                Err(why) => report.leave_out(peer.name, why),
            }
        }
    }
    for (case, mut values) in rates {
        values.sort_by(f64::total_cmp);
        let figure = Figure::new(case, "thumbnails", values[values.len() / 2], "1/s");
        report.add(figure.of(set));
    }
    for (peer, made) in made {
        report.made(set, peer, made);
    }
    if set.files.len() > 1000 {
        runs::scroll(desktop, set, false, report)?;
        runs::scroll(desktop, set, true, report)?;
    }
    Ok(())
}

/// Notes one more value of a case.
pub fn push(rates: &mut Vec<(&'static str, Vec<f64>)>, case: &'static str, value: f64) {
    match rates.iter_mut().find(|known| known.0 == case) {
        Some(known) => known.1.push(value),
        None => rates.push((case, vec![value])),
    }
}
