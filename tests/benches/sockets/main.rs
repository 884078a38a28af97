//! Bench `sockets`: many socket pairs, of which a few are active; each request reads an octet, writes one
//! to another pair and resets a timer. The second program of AnyEvent's manual.
//!
//! `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/mod.rs"]
mod loops;
#[path = "../loops/perl.rs"]
mod perl;

mod native;
mod pairs;
mod tine_loops;

use loops::{Bound, Case, Plan, compile, ours};
use pairs::Load;
use perl::script;

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
        note: "times in µs",
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
    let own = |name| case(name, ours(name));
    vec![
        own("tine-embedded"),
        own("tine-glib"),
        own("tine-calloop"),
        own("tine-async-io"),
        own("native-glib"),
        own("native-calloop"),
        own("native-async-io"),
        case("libev-c", compile("sockets-libev", &["-lev"])),
        case("epoll-c", compile("sockets-epoll", &[])),
        case("anyevent-ev", perl("EV", "EV")),
        case("anyevent-perl", perl("Perl", "AnyEvent::Loop")),
        case("anyevent-glib", perl("Glib", "Glib")),
    ]
}

fn bounds() -> Vec<Bound> {
    let bound = |limit, case, other, size| Bound {
        figure: (case, size, "request"),
        other: Some((other, size, "request")),
        limit,
    };
    vec![
        bound(1.15, "tine-embedded", "libev-c", MANY),
        bound(1.15, "tine-embedded", "libev-c", FEW),
        bound(1.1, "tine-glib", "tine-embedded", MANY),
        bound(1.5, "tine-glib", "tine-embedded", FEW),
        bound(0.2, "tine-glib", "native-glib", MANY),
        bound(1.0, "tine-calloop", "native-calloop", MANY),
    ]
}

/// Runs one case of ours: its name, then its load.
fn run(words: &[String]) {
    raise_descriptor_limit();
    let load = Load::read(&words[1..]);
    match &*words[0] {
        "tine-embedded" => tine_loops::embedded(load),
        "tine-glib" => tine_loops::glib(load),
        "tine-calloop" => tine_loops::calloop(load),
        "tine-async-io" => tine_loops::async_io(load),
        "native-glib" => native::glib(load),
        "native-calloop" => native::calloop(load),
        "native-async-io" => native::async_io(load),
        other => panic!("no case {other}"),
    }
}

/// Lets this process have as many descriptors as it may.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("setrlimit");
}
