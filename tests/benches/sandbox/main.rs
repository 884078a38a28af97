//! Bench `sandbox`: what a sandbox costs a worker that was just forked, whole and by rungs.
//!
//! Each sample is a new process, as a worker is: the pages that it touches are copied, the kernel makes
//! a Landlock domain and compiles a filter. Figures are µs from before `apply` to after it; what a
//! process would pay anyway for looking at the clock and writing to a socket is not in them.

use std::io::Write as _;
use std::time::{Duration, Instant};

use tine::{Hold, Rung, Sandbox};
use tine_tests::confined::{Ended, run_free};
use tine_tests::figures::{Figures, Size};

/// Of a worker in the decoder's sandbox, by the project's own promise.
const BOUND: Duration = Duration::from_millis(1);
const SAMPLES: usize = 500;

fn main() {
    let rungs = Rung::ALL.map(|rung| (rung.to_string(), alone(rung)));
    let presets = [
        ("new", Sandbox::new()),
        ("decoder", Sandbox::decoder()),
        ("reader", Sandbox::reader("/usr")),
        ("decoder in namespaces", Sandbox::decoder().namespaces()),
    ];
    let presets = presets.map(|(name, sandbox)| (name.to_owned(), sandbox));
    let mut figures = Figures::begin("sandbox", env!("CARGO_TARGET_TMPDIR"));
    println!("µs a worker, medians of {SAMPLES}\n{:<24}{:>8}{:>8}", "", "p50", "p99");
    for (name, sandbox) in rungs.into_iter().chain(presets) {
        let mut times: Vec<Duration> = (0..SAMPLES).map(|_| sample(&sandbox)).collect();
        times.sort();
        let [p50, p99] = [50, 99].map(|percent| times[SAMPLES * percent / 100]);
        let [micros, tail] = [p50, p99].map(|time| time.as_secs_f64() * 1e6);
        println!("{name:<24}{micros:>8.1}{tail:>8.1}");
        let sandbox = [("sandbox", Size::Kind(&name))];
        figures.tell("tine", &sandbox, ("sandbox", "µs"), micros);
        if name == "decoder" {
            let mark = if p50 <= BOUND { "pass" } else { "FAIL" };
            println!("{mark}  {p50:.0?} ≤ {BOUND:?}: decoder");
        }
    }
}

/// The decoder's sandbox without all rungs but one; where they rest on `no_new_privs`, with that.
fn alone(rung: Rung) -> Sandbox {
    let others = Rung::ALL.into_iter().filter(|other| *other != rung);
    others.fold(Sandbox::decoder().namespaces(), Sandbox::without)
}

fn sample(sandbox: &Sandbox) -> Duration {
    let Ended { answer, .. } = run_free(|mut socket| {
        let begun = Instant::now();
        let posture = sandbox.apply();
        let taken = begun.elapsed().as_nanos() as u64;
        let climbed = posture.rungs().any(|(_, hold, _)| hold != Hold::Missing);
        assert!(climbed, "nothing to measure:\n{posture}");
        socket.write_all(&taken.to_ne_bytes()).expect("the bench reads");
    });
    let taken = answer.try_into().map(u64::from_ne_bytes);
    Duration::from_nanos(taken.expect("a time; what failed was printed"))
}
