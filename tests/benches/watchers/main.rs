//! Bench `watchers`: a hundred thousand watchers, half of them of one descriptor, half timers of zero:
//! made, called once each, dropped. The first program of AnyEvent's manual.
//!
//! `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/mod.rs"]
mod loops;
#[path = "../loops/perl.rs"]
mod perl;

use loops::{Bound, Case, Plan, compile, ours};
use perl::script;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::{Interest, Io, Timer};

const WATCHERS: u32 = 100_000;

fn main() {
    if let Some(words) = loops::case() {
        return run(&words);
    }
    let plan = Plan {
        bench: "watchers",
        unit: "watchers",
        note: "times in µs",
        sizes: vec![(WATCHERS, vec![WATCHERS.to_string()])],
        metrics: &["bytes", "create", "invoke", "destroy"],
        rounds: 9,
    };
    loops::run(&plan, cases(), &bounds());
}

fn cases() -> Vec<Case> {
    let perl = |backend, module| script("watchers-anyevent.pl", backend, &["AnyEvent", module]);
    let native = |words: Vec<String>| [words, vec!["native".into()]].concat();
    let case = |name, program| Case { name, program };
    vec![
        case("tine-embedded", ours("tine-embedded")),
        case("libev-c", compile("watchers-libev", &["-lev"])),
        case("ev-native", perl("EV", "EV").map(native)),
        case("anyevent-ev", perl("EV", "EV")),
        case("anyevent-perl", perl("Perl", "AnyEvent::Loop")),
        case("anyevent-glib", perl("Glib", "Glib")),
    ]
}

fn bounds() -> Vec<Bound> {
    let figure = |metric| ("tine-embedded", WATCHERS, metric);
    let native = |metric| Some(("ev-native", WATCHERS, metric));
    let bound = |metric| Bound { figure: figure(metric), other: native(metric), limit: 0.7 };
    let bytes = Bound { figure: figure("bytes"), other: None, limit: 160.0 };
    [bytes].into_iter().chain(["create", "invoke", "destroy"].map(bound)).collect()
}

/// Runs one case of ours: its name, and how many watchers.
fn run(words: &[String]) {
    assert_eq!(words[0], "tine-embedded", "the case");
    let half = words[1].parse::<u32>().expect("a number") / 2;
    let (count, queue) = (2 * half, tine::queue());
    let (_read, write) = rustix::pipe::pipe().expect("a pipe");
    let (left, fd) = (Rc::new(Cell::new(count)), Rc::new(write));
    let metric = |name, begin: Instant| {
        println!("{name} {:.4}", begin.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    };

    let (bytes, begin) = (resident(), Instant::now());
    let (mut ios, mut timers): (Vec<Io>, Vec<Timer>) = (Vec::new(), Vec::new());
    for _ in 0..half {
        let called = count_down(&left);
        let io = queue.io(Rc::clone(&fd), Interest::WRITABLE, move |_, _| called());
        ios.push(io.expect("a watcher"));
        timers.push(queue.after(Duration::ZERO, count_down(&left)));
    }
    metric("create", begin);
    println!("bytes {:.1}", (resident() - bytes) as f64 / f64::from(count));
    let begin = Instant::now();
    queue.run_until(|| left.get() == 0).expect("a queue");
    metric("invoke", begin);
    let begin = Instant::now();
    drop(ios);
    drop(timers);
    metric("destroy", begin);
}

fn count_down(left: &Rc<Cell<u32>>) -> impl Fn() + 'static {
    let left = Rc::clone(left);
    move || left.set(left.get() - 1)
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("statm") * rustix::param::page_size()
}
