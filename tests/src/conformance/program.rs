//! The suite as a program: forks its template, makes the loop, checks and counts.

use super::{Behaviour, Host, Trial, all, turns};
use crate::Leaks;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tine::Template;

/// On the command line: the program is to panic in a callback, and is expected to abort.
pub(super) const PANIC: &str = "--panic-in-a-callback";

/// The main function of a program that checks one loop. To be called first thing in `main`, for it
/// forks a template; `make` makes the loop after that.
///
/// # Panics
/// When the program has threads already, or something else that is in the way of a template.
pub fn main<H: Host>(make: impl FnOnce() -> H) -> ExitCode {
    let template = Template::early().expect("the first thing in main");
    let mut host = make();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == PANIC) {
        turns::panic_in_a_callback(&mut Trial::new(&mut host, &template));
        return ExitCode::SUCCESS;
    }
    let chosen = |behaviour: &Behaviour| {
        let mut words = words.iter().filter(|word| !word.starts_with("--")).peekable();
        words.peek().is_none() || words.any(|word| behaviour.name.contains(word.as_str()))
    };
    check_all(&mut host, &template, all().filter(chosen))
}

/// Checks the behaviours, prints what came of each, and tells whether all hold.
fn check_all(
    host: &mut dyn Host,
    template: &Template,
    behaviours: impl Iterator<Item = Behaviour>,
) -> ExitCode {
    warm_up(host, template);
    let began = Instant::now();
    let (mut passed, mut failed) = (0, Vec::new());
    for behaviour in behaviours {
        let holds = check(host, template, behaviour);
        println!(
            "test {}: {} ... {}",
            host.name(),
            behaviour.name,
            if holds { "ok" } else { "FAILED" }
        );
        if holds {
            passed += 1;
        } else {
            failed.push(behaviour.name);
        }
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2?}\n",
        failed.len(),
        began.elapsed()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(host: &mut dyn Host, template: &Template, behaviour: Behaviour) -> bool {
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let leaks = Leaks::begin();
        (behaviour.check)(&mut Trial::new(host, template));
        leaks.end();
    }));
    checked.is_ok()
}

/// Lets loop, thread and template make what they make once and keep.
fn warm_up(host: &mut dyn Host, template: &Template) {
    let mut trial = Trial::new(host, template);
    super::workers::a_worker_answers_and_its_exit_is_told(&mut trial);
    trial.turns_in(Duration::from_millis(50));
}
