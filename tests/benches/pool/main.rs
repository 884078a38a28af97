//! Bench `pool`: what a pool does in a second, and how long the urgent waits behind what is not.
//!
//! A pool has a worker for each processor. `jobs` is how many that have nothing to do are answered in a second,
//! 10,000 at once. Latencies are from submission to the answer, in ms, of urgent jobs that have nothing to do
//! and come at any time; in line before them are jobs that work for 2 ms each. How long such a job really takes
//! is measured meanwhile (`job_p99`): a machine that does something else makes it longer. `reprioritise` is how
//! long it takes to put all of them in another order, in ms. `--case NAME` (also several times) runs only some
//! of the cases.

#[path = "../loops/mod.rs"]
mod loops;
#[path = "../loops/peers.rs"]
mod peers;

mod ours;
mod procspawn;

use std::process::Command;
use std::time::{Duration, Instant};

use tine_tests::figures::RATE;

use loops::{Bound, Case, Medians, Plan, Program, ours as this, output};
use peers::{compile, source};

/// Jobs of a burst, and jobs in line when an urgent one comes.
const JOBS: usize = 10_000;
const LENGTH: Duration = Duration::from_millis(2);
const SAMPLES: usize = 500;

fn main() {
    // Where this is a worker of the peer's, it does not return.
    ::procspawn::init();
    if let Some(words) = loops::case() {
        let queued = words[1].parse().expect("a number of jobs");
        return match &*words[0] {
            "tine" => ours::run(queued),
            "procspawn-pool" => procspawn::run(queued),
            other => panic!("no case {other}"),
        };
    }
    let plan = Plan {
        bench: "pool",
        sized: "queued",
        note: "jobs a second, others in ms",
        sizes: [0, JOBS as u32].map(|queued| (queued.into(), vec![queued.to_string()])).into(),
        metrics: &[
            ("jobs", RATE),
            ("urgent_p50", "ms"),
            ("urgent_p99", "ms"),
            ("job_p99", "ms"),
            ("reprioritise", "ms"),
        ],
        rounds: 3,
    };
    // A scroll, by the project's own promise.
    let reorder = Bound { figure: behind_all("reprioritise"), other: None, limit: 1.0 };
    let medians = loops::run(&plan, cases(), &[reorder]);
    check_urgent(&medians);
}

fn cases() -> Vec<Case> {
    let case = |name, program| Case { name, program };
    vec![
        case("tine", this("tine")),
        case("socketpair-c", compile("pool", &[])),
        case("procspawn-pool", this("procspawn-pool")),
        case("cpython-futures", python()),
    ]
}

/// The script, if there is CPython.
fn python() -> Program {
    output(Command::new("python3").arg("--version"))?;
    let script = source("cpython-pool.py");
    Ok(vec!["python3".into(), script.to_string_lossy().into_owned()])
}

fn behind_all(metric: &'static str) -> loops::Figure {
    ("tine", (JOBS as u32).into(), metric)
}

/// An urgent job waits for one of those before it, at most, and else no more than twice as long as alone.
fn check_urgent(medians: &Medians) {
    let figures =
        [behind_all("urgent_p99"), ("tine", 0.into(), "urgent_p99"), behind_all("job_p99")];
    let [Some(urgent), Some(alone), Some(job)] = figures.map(|figure| medians.get(figure)) else {
        return;
    };
    let mark = if urgent <= 2.0 * alone + job { "pass" } else { "FAIL" };
    println!(
        "{mark}  {urgent:>7.3} ≤ 2 × {alone:.3} + {job:.3} ms: tine urgent_p99 behind {JOBS} / alone, and a job"
    );
}

fn print(metric: &str, time: Duration) {
    println!("{metric} {:.6}", time.as_secs_f64() * 1e3);
}

/// Prints how many jobs a second there are, of the best of five bursts: what else the machine does only adds.
fn print_jobs(mut burst: impl FnMut()) {
    let best = (0..5).map(|_| {
        let begun = Instant::now();
        burst();
        begun.elapsed()
    });
    let best = best.min().expect("five");
    println!("jobs {:.3}", JOBS as f64 / best.as_secs_f64());
}

fn print_urgent(mut times: Vec<Duration>) {
    print("urgent_p50", percentile(&mut times, 50));
    print("urgent_p99", percentile(&mut times, 99));
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
