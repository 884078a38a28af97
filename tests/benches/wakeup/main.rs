//! Bench `wakeup`: from a post in another thread, and from a worker's octets, to the callback, in a loop that was
//! asleep.
//!
//! Whoever wakes the loop first makes sure that its thread sleeps in the kernel. The loop has a processor and
//! who wakes it up another: on the same one a wake-up is a tenth of the time, and which of the two comes to
//! be is otherwise luck. `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/hosts.rs"]
mod hosts;
#[path = "../loops/mod.rs"]
mod loops;
#[path = "../loops/peers.rs"]
mod peers;

mod post;
mod worker;

use hosts::{display, on_display};
use loops::{Bound, Case, Plan, ours};
use peers::compile;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::sync::{Arc, Mutex};

/// Wake-ups in each round.
const SAMPLES: usize = 2000;

fn main() {
    if let Some(words) = loops::case() {
        return run(&words[0], &words[1]);
    }
    let from = |kind: &'static str| (kind.into(), vec![kind.to_owned()]);
    let plan = Plan {
        bench: "wakeup",
        sized: "from",
        note: "times in µs",
        sizes: vec![from("post"), from("worker")],
        metrics: &[("wakeup_p50", "µs"), ("wakeup_p99", "µs")],
        rounds: 5,
    };
    let server = display();
    let case = |name| Case { name, program: ours(name) };
    let winit = Case { name: "tine-winit", program: on_display(&server, ours("tine-winit")) };
    let cases = ["tine-embedded", "tine-glib", "tine-calloop", "tine-async-io"].map(case);
    let epoll = Case { name: "epoll-c", program: compile("wakeup-epoll", &["-pthread"]) };
    let bounds = ["post", "worker"].map(|from| Bound {
        figure: ("tine-embedded", from.into(), "wakeup_p50"),
        other: Some(("epoll-c", from.into(), "wakeup_p50")),
        limit: 1.5,
    });
    loops::run(&plan, cases.into_iter().chain([winit, epoll]).collect(), &bounds);
}

/// Runs one case of ours: its loop, and what wakes it up.
fn run(case: &str, from: &str) {
    let queue = tine::queue();
    let samples = Samples::default();
    let run = hosts::attach(case, &queue).unwrap_or_else(|| panic!("no case {case}"));
    match from {
        "post" => post::begin(&queue, &samples),
        "worker" => worker::begin(&samples),
        other => panic!("no wake-up from {other}"),
    }
    pin(&processors(), 0);
    run(&mut || samples.taken() >= SAMPLES);
    samples.tell();
}

/// Nanoseconds from each wake-up to its callback. The lock is never waited for: the loop's thread alone takes it.
#[derive(Clone, Default)]
struct Samples(Arc<Mutex<Vec<u64>>>);

impl Samples {
    /// Notes a callback for what happened at `then`.
    fn take(&self, then: u64) {
        let took = now().saturating_sub(then);
        self.0.lock().expect("no panic under it").push(took);
    }

    fn taken(&self) -> usize {
        self.0.lock().expect("no panic under it").len()
    }

    fn tell(&self) {
        let mut samples = self.0.lock().expect("no panic under it");
        samples.sort_unstable();
        for percent in [50, 99] {
            let sample = samples[(samples.len() - 1) * percent / 100];
            println!("wakeup_p{percent} {:.3}", sample as f64 / 1e3);
        }
    }
}

/// The monotonic clock, which all processes share, in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The processors that this thread may have.
fn processors() -> CpuSet {
    sched_getaffinity(None).expect("a thread may ask that of itself")
}

/// Keeps this thread on the first or the second of `processors`; the last, if there are less.
fn pin(processors: &CpuSet, nth: usize) {
    let all = (0..CpuSet::MAX_CPU).filter(|cpu| processors.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(all.take(nth + 1).last().expect("a thread has a processor"));
    sched_setaffinity(None, &one).expect("one that it may have");
}

/// This thread, as all processes can look at it.
fn this_thread() -> String {
    let (pid, thread) = (std::process::id(), rustix::thread::gettid().as_raw_nonzero());
    format!("/proc/{pid}/task/{thread}/stat")
}

/// Waits until a thread sleeps in the kernel; false: it has ended.
fn wait_until_asleep(thread: &str) -> bool {
    while let Ok(stat) = fs::read_to_string(thread) {
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return true;
        }
        std::thread::yield_now();
    }
    false
}
