//! Bench `watchers` (E18): a hundred thousand watchers, half of them of one descriptor, half timers of zero:
//! made, called once each, dropped. The first program of AnyEvent's manual.
//!
//! GLib and async-io by themselves take minutes for that many, and have a second row for fewer. So have
//! calloop and bare epoll, which take a descriptor once: they watch copies of it, of which there cannot be
//! more.
//! `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/hosts.rs"]
mod hosts;
#[path = "../loops/limit.rs"]
mod limit;
#[path = "../loops/mod.rs"]
mod loops;
#[path = "../loops/peers.rs"]
mod peers;
#[path = "../loops/perl.rs"]
mod perl;

mod counted;
mod native;

use counted::Counted;
use hosts::{display, on_display};
use limit::raise_descriptor_limit;
use loops::{Bound, Case, Plan, ours};
use peers::compile;
use perl::script;
use std::rc::Rc;
use std::time::Duration;
use tine::{Interest, Io, Timer};
use tine_tests::servers::Server;

const WATCHERS: u32 = 100_000;
/// As many as loops take whose cost for each watcher grows with their number.
const FEWER: u32 = 16_000;

fn main() {
    if let Some(words) = loops::case() {
        return run(&words);
    }
    let plan = Plan {
        bench: "watchers",
        sized: "watchers",
        note: "times in µs",
        sizes: [WATCHERS, FEWER].map(|count| (count.into(), vec![count.to_string()])).into(),
        metrics: &[("bytes", "bytes"), ("create", "µs"), ("invoke", "µs"), ("destroy", "µs")],
        rounds: 9,
    };
    let server = display();
    loops::run(&plan, cases(&server), &bounds());
}

fn cases(server: &Result<Server, String>) -> Vec<Case> {
    let perl = |backend, module| script("watchers-anyevent.pl", backend, &["AnyEvent", module]);
    let native = |words: Vec<String>| [words, vec!["native".into()]].concat();
    let case = |name, program| Case { name, program };
    let own = |name| case(name, ours(name));
    vec![
        own("tine-embedded"),
        own("tine-glib"),
        own("tine-calloop"),
        case("tine-winit", on_display(server, ours("tine-winit"))),
        own("tine-async-io"),
        own("native-glib"),
        own("native-calloop"),
        own("native-async-io"),
        case("epoll-c", compile("watchers-epoll", &[])),
        case("libev-c", compile("watchers-libev", &["-lev"])),
        case("ev-native", perl("EV", "EV").map(native)),
        case("anyevent-ev", perl("EV", "EV")),
        case("anyevent-perl", perl("Perl", "AnyEvent::Loop")),
        case("anyevent-glib", perl("Glib", "Glib")),
    ]
}

fn bounds() -> Vec<Bound> {
    let figure = |metric| ("tine-embedded", WATCHERS.into(), metric);
    let native = |metric| Some(("ev-native", WATCHERS.into(), metric));
    let bound = |metric| Bound { figure: figure(metric), other: native(metric), limit: 0.7 };
    let bytes = Bound { figure: figure("bytes"), other: None, limit: 160.0 };
    [bytes].into_iter().chain(["create", "invoke", "destroy"].map(bound)).collect()
}

/// Runs one case of ours: its name, and how many watchers.
fn run(words: &[String]) {
    raise_descriptor_limit();
    let count = words[1].parse().expect("a number");
    let counted = Counted::new(count);
    match &*words[0] {
        "native-glib" | "native-calloop" | "native-async-io" if count > FEWER => (),
        "native-glib" => native::glib(&counted),
        "native-calloop" => native::calloop(&counted),
        "native-async-io" => native::async_io(&counted),
        case => tine(case, &counted),
    }
}

/// tine, on the loop of a case.
fn tine(case: &str, counted: &Counted) {
    let queue = tine::queue();
    let run = hosts::attach(case, &queue).unwrap_or_else(|| panic!("no case {case}"));
    let (_read, write) = rustix::pipe::pipe().expect("a pipe");
    let fd = Rc::new(write);
    let watchers = counted.create(|| {
        let (mut ios, mut timers): (Vec<Io>, Vec<Timer>) = (Vec::new(), Vec::new());
        for _ in 0..counted.half() {
            let called = counted.call();
            let io = queue.io(Rc::clone(&fd), Interest::WRITABLE, move |_, _| called());
            ios.push(io.expect("a watcher"));
            timers.push(queue.after(Duration::ZERO, counted.call()));
        }
        (ios, timers)
    });
    counted.invoke(|over| run(over));
    counted.destroy(watchers);
}
