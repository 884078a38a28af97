//! Where the processes of a case run: short messages are measured with one processor for both sides, and again
//! as the kernel places them.

use std::process::{Command, exit};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::loops::{Program, ours, output};

/// The case, run by [`run`].
pub fn program(case: Program) -> Program {
    let words = case?;
    Ok([ours("placed")?, words].concat())
}

/// Runs the case of these words, the last of which is how long a message is.
pub fn run(words: &[String]) {
    let octets: u32 = words.last().and_then(|word| word.parse().ok()).expect("octets");
    if octets >= super::LARGE[0] {
        return print!("{}", printed(words));
    }
    let all = sched_getaffinity(None).expect("processors");
    // Children have what this has.
    sched_setaffinity(None, &first(&all)).expect("one of them");
    print!("{}", printed(words));
    sched_setaffinity(None, &all).expect("as before");
    print!("{}", printed(words).replace("round_trips", "round_trips_apart"));
}

fn first(all: &CpuSet) -> CpuSet {
    let mut one = CpuSet::new();
    if let Some(cpu) = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)) {
        one.set(cpu);
    }
    one
}

fn printed(words: &[String]) -> String {
    output(Command::new(&words[0]).args(&words[1..])).unwrap_or_else(|why| {
        eprintln!("{why}");
        exit(1)
    })
}
