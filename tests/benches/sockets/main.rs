//! Bench `sockets` (E18): many socket pairs, of which a few are active; each request reads an octet, writes one
//! to another pair and resets a timer. The second program of AnyEvent's manual.
//!
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

mod native;
mod pairs;
mod tine_loops;

use hosts::{display, on_display};
use limit::raise_descriptor_limit;
use loops::{Bound, Case, Plan, ours};
use pairs::Load;
use peers::compile;
use perl::script;
use tine_tests::servers::Server;

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
        sized: "sockets",
        note: "times in µs",
        sizes: vec![(MANY.into(), words("9000", "90")), (FEW.into(), words("8", "3"))],
        metrics: &[("create", "µs"), ("request", "µs")],
        rounds: 9,
    };
    raise_descriptor_limit();
    let server = display();
    loops::run(&plan, cases(&server), &bounds());
}

fn cases(server: &Result<Server, String>) -> Vec<Case> {
    let perl = |backend, module| script("sockets-anyevent.pl", backend, &["AnyEvent", module]);
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
        case("libev-c", compile("sockets-libev", &["-lev"])),
        case("epoll-c", compile("sockets-epoll", &[])),
        case("ev-native", perl("EV", "EV").map(native)),
        case("anyevent-ev", perl("EV", "EV")),
        case("anyevent-perl", perl("Perl", "AnyEvent::Loop")),
        case("anyevent-glib", perl("Glib", "Glib")),
    ]
}

fn bounds() -> Vec<Bound> {
    let bound = |limit, case, other, size: u32| Bound {
        figure: (case, size.into(), "request"),
        other: Some((other, size.into(), "request")),
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
        "native-glib" => native::glib(load),
        "native-calloop" => native::calloop(load),
        "native-async-io" => native::async_io(load),
        case => tine_loops::run(case, load),
    }
}
