//! Requests of all kinds from several threads in a storm: somebody else kills and stops templates, spares and
//! workers at any moment, while sockets are tiny, descriptors few, and other threads start programs. Every request is
//! settled once, what succeeds is right, and nothing is left behind.
//!
//! `make test` makes 1,500 requests; `TINE_STORM` asks for another number.

mod blows;
mod request;
mod thread;

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tine::Template;
use tine_tests::told::eventually;
use tine_tests::{cases, processes, runner};

/// Threads that ask for processes, each with its queue.
const THREADS: usize = 3;
/// Descriptors that the app may have.
const DESCRIPTORS: u64 = 400;

fn main() -> ExitCode {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), ..limit }).expect("lower");
    let template = Template::early().expect("first line of main");
    runner::run(&template, cases![every_request_is_settled_once])
}

/// B3, B4, F10, F25: the figures are printed.
fn every_request_is_settled_once(template: &Template) {
    let total = std::env::var("TINE_STORM").map_or(1_500, |all| all.parse().expect("a number"));
    let seed = std::env::var("TINE_STORM_SEED").map_or(7, |seed| seed.parse().expect("a number"));
    // The last that can be forked: the threads come next.
    let early = Template::early().expect("no thread is running");
    let all = Arc::new(Mutex::new(vec![early]));
    let over = AtomicBool::new(false);
    let spared = processes::of(template);
    let own = listing().expect("a shell");
    let tally = std::thread::scope(|scope| {
        scope.spawn(|| blows::deal(&over, seed, spared));
        scope.spawn(|| strangers(&over, &own));
        let threads = (0..THREADS).map(|number| {
            let (all, seed) = (Arc::clone(&all), seed * 100 + number as u64);
            scope.spawn(move || thread::ask(total / THREADS, seed, &all))
        });
        let threads: Vec<_> = threads.collect();
        let tallies = threads.into_iter().map(|thread| thread.join());
        let tallies: Vec<_> = tallies.collect();
        over.store(true, Ordering::Relaxed);
        tallies.into_iter().map(|tally| tally.expect("a thread that ends")).sum::<thread::Tally>()
    });
    println!("{tally}");
    assert_eq!(tally.total(), total / THREADS * THREADS);
    assert!(tally.succeeded > total / 3, "most are left alone");
    all.lock().expect("nobody panicked").clear();
    let own = std::process::id();
    // One is the test program's own.
    eventually("templates end", || (processes::children(own).len() == 1).then_some(()));
}

/// The descriptors that a program has when this one starts it; None: there was none for that just now, or it was taken
/// for a template and killed.
fn listing() -> Option<String> {
    let shell = Command::new("sh").args(["-c", "echo /proc/self/fd/*"]).output().ok()?;
    shell.status.success().then(|| String::from_utf8_lossy(&shell.stdout).into_owned())
}

/// What other threads start inherits nothing of tine's.
fn strangers(over: &AtomicBool, own: &str) {
    while !over.load(Ordering::Relaxed) {
        let found = listing().unwrap_or_else(|| own.to_owned());
        assert_eq!(found, own, "descriptors of tine's in another program");
    }
}
