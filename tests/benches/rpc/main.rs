//! Bench `rpc`: how many requests a second are answered one after another, and how long a large result takes to
//! be octets in the app.
//!
//! A request and its reply are a text of that length each. Both sides have one processor to share: with two, it
//! is the waking of an idle processor that is measured, which differs from machine to machine and little from
//! case to case; that is told beside it (`round_trips_apart`). A large result is there in the worker when it is
//! asked for: what is measured is how it gets to the app. tine's is in shared memory, the peers' go through a
//! socket or pipe. Sealing that memory, for which the worker has to give up its own view of it, is a part of
//! drawing and told by itself (`seal`). `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/mod.rs"]
mod loops;
#[path = "../loops/peers.rs"]
mod peers;

mod copy;
mod placed;
mod pool;
mod typed;

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use tine_tests::figures::RATE;

use loops::{Bound, Case, Plan, Program, ours, output};
use peers::{compile, source};

/// How long round trips are measured.
const WINDOW: Duration = Duration::from_millis(300);
/// How often a large result is asked for.
const SAMPLES: usize = 9;
const SHORT: [u32; 2] = [64, 4 << 10];
const LARGE: [u32; 3] = [1 << 20, 16 << 20, 64 << 20];

fn main() {
    // Where this is a worker of the peer's, it does not return.
    procspawn::init();
    if let Some(words) = loops::case() {
        if words[0] == "placed" {
            return placed::run(&words[1..]);
        }
        let octets = words[1].parse().expect("octets");
        return match &*words[0] {
            "tine" => typed::run(octets),
            "procspawn-pool" => pool::run(octets),
            "memcpy" => copy::run(octets),
            other => panic!("no case {other}"),
        };
    }
    let sizes = SHORT.into_iter().chain(LARGE);
    let plan = Plan {
        bench: "rpc",
        sized: "bytes",
        note: "round trips a second, others in ms",
        sizes: sizes.map(|octets| (octets.into(), vec![octets.to_string()])).collect(),
        metrics: &[
            ("round_trips", RATE),
            ("round_trips_apart", RATE),
            ("bulk", "ms"),
            ("seal", "ms"),
        ],
        rounds: 5,
    };
    loops::run(&plan, cases(), &bounds());
}

fn cases() -> Vec<Case> {
    let case = |name, program| Case { name, program: placed::program(program) };
    vec![
        case("tine", ours("tine")),
        case("socketpair-c", compile("roundtrips", &[])),
        case("procspawn-pool", ours("procspawn-pool")),
        case("cpython-futures", python()),
        case("memcpy", ours("memcpy")),
    ]
}

/// The script, if there is CPython.
fn python() -> Program {
    output(Command::new("python3").arg("--version"))?;
    let script = source("cpython-futures.py");
    Ok(vec!["python3".into(), script.to_string_lossy().into_owned()])
}

/// A rate that is to be at least half of another is one that the other is at most twice.
fn bounds() -> Vec<Bound> {
    let rate = |case| (case, SHORT[0].into(), "round_trips");
    let bulk = |case| (case, LARGE[2].into(), "bulk");
    let bound = |figure, other, limit| Bound { figure, other: Some(other), limit };
    vec![
        bound(rate("socketpair-c"), rate("tine"), 2.0),
        bound(rate("procspawn-pool"), rate("tine"), 0.333),
        bound(bulk("tine"), bulk("memcpy"), 0.2),
    ]
}

/// A text to be sent back and forth.
fn text(octets: usize) -> Option<String> {
    (octets < LARGE[0] as usize).then(|| "x".repeat(octets))
}

/// Prints how many round trips a second there are.
fn print_rate(mut round_trip: impl FnMut()) {
    (0..100).for_each(|_| round_trip());
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < WINDOW {
        (0..100).for_each(|_| round_trip());
        count += 100;
    }
    println!("round_trips {:.3}", f64::from(count) / begun.elapsed().as_secs_f64());
}

/// Prints the median of how long it takes to get a result, whose ends are looked at.
fn print_bulk<R: AsRef<[u8]>>(
    octets: usize,
    mut prepare: impl FnMut(),
    mut get: impl FnMut() -> R,
) {
    let times = (0..SAMPLES).map(|_| {
        prepare();
        let begun = Instant::now();
        let result = black_box(get());
        let seen = result.as_ref();
        assert_eq!((seen.len(), seen[0], seen[octets - 1]), (octets, b'x', b'x'));
        begun.elapsed()
    });
    print_median("bulk", times.collect());
}

fn print_median(metric: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{metric} {:.6}", times[times.len() / 2].as_secs_f64() * 1e3);
}
