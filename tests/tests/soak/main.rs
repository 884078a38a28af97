//! Jobs of a pool in a storm: workers and templates are killed and stopped, run out of memory, write in pieces,
//! and the app runs out of descriptors. Every job is settled once, and nothing is left behind.
//!
//! `make test` runs 3,000 jobs; `make soak` 100,000, which is what `TINE_SOAK` asks for. `TINE_SEED` makes it another
//! storm.

mod storm;
mod tally;
mod work;

use std::process::ExitCode;

use tine::Template;
use tine::testing::Faults;
use tine_tests::{cases, runner};

use storm::Storm;
use tally::Footprint;

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    runner::run(&template, cases![every_job_is_settled_once])
}

/// B4, F27, F28: what is printed are the figures of the issue.
fn every_job_is_settled_once(template: &Template) {
    let number = |name: &str| {
        let given = std::env::var(name).ok();
        given.map(|given| given.parse::<u64>().expect("a number"))
    };
    let jobs = number("TINE_SOAK").unwrap_or(3_000) as usize;
    let seed = number("TINE_SEED").unwrap_or(0x7469_6e65);
    let before = Footprint::look();
    // What a first pool makes for good is no leak of the second.
    Storm::new(seed).run(500.min(jobs));
    let start = Footprint::settled(&before);
    template.inject(Faults::new().tiny_buffers()).expect("a template");
    let tally = Storm::new(seed).run(jobs);
    template.inject(Faults::new()).expect("a template");
    let end = Footprint::settled(&start);
    println!("{tally}\ndescriptors and memory: {start} at the start, {end} at the end");
    assert_eq!((tally.lost(), tally.twice()), (0, 0));
    assert_eq!(start.descriptors, end.descriptors);
    assert!(end.kib < start.kib + 4096, "memory has grown");
    assert!(tally.answered() > jobs / 2, "most are answered in spite of all");
}
