//! Bench `sockets`: many socket pairs, of which a few are active; each request reads an octet, writes one
//! to another pair and resets a timer. The second program of AnyEvent's manual.
//!
//! `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/mod.rs"]
mod loops;

mod random;
mod tine_loops;

use loops::{Bound, Case, Plan, compile, ours, script};

/// Milliseconds that each case is measured.
const WINDOW: &str = "400";
const MANY: u32 = 18_000;
const FEW: u32 = 16;

fn main() {
    if let Some(words) = loops::case() {
        return run(&words);
    }
    let words = |pairs: &str, active: &str| [pairs, active, WINDOW].map(String::from).to_vec();
    let plan = Plan {
        bench: "sockets",
        unit: "sockets",
        sizes: vec![(MANY, words("9000", "90")), (FEW, words("8", "3"))],
        metrics: &["create", "request"],
        rounds: 9,
    };
    raise_descriptor_limit();
    loops::run(&plan, cases(), &bounds());
}

fn cases() -> Vec<Case> {
    let perl = |backend, module| script("sockets-anyevent.pl", backend, &["AnyEvent", module]);
    let case = |name, program| Case { name, program };
    vec![
        case("tine-embedded", ours("tine-embedded")),
        case("libev-c", compile("sockets-libev", &["-lev"])),
        case("epoll-c", compile("sockets-epoll", &[])),
        case("anyevent-ev", perl("EV", "EV")),
        case("anyevent-perl", perl("Perl", "AnyEvent::Loop")),
        case("anyevent-glib", perl("Glib", "Glib")),
    ]
}

fn bounds() -> Vec<Bound> {
    let request = |size| (("tine-embedded", size, "request"), ("libev-c", size, "request"));
    let bound = |size| {
        let (figure, other) = request(size);
        Bound { figure, other: Some(other), limit: 1.15 }
    };
    [MANY, FEW].map(bound).into()
}

/// Runs one case of ours: its name, pairs, active ones, milliseconds.
fn run(words: &[String]) {
    let number = |n: usize| words[n].parse().expect("a number");
    let (pairs, active, window) = (number(1), number(2), number(3));
    raise_descriptor_limit();
    match &*words[0] {
        "tine-embedded" => tine_loops::embedded(pairs, active, window),
        other => panic!("no case {other}"),
    }
}

/// Lets this process have as many descriptors as it may.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("setrlimit");
}
