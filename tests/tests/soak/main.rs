//! Jobs of a pool in a storm: workers and templates are killed and stopped, run out of memory, write in pieces,
//! and the app runs out of descriptors. Every job is settled once, and nothing is left behind.
//!
//! `make test` runs 3,000 jobs; `make soak` 100,000, which is what `TINE_SOAK` asks for.

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
    let jobs =
        std::env::var("TINE_SOAK").map_or(3_000, |jobs| jobs.parse().expect("a number of jobs"));
    let before = Footprint::look();
    // What a first pool makes for good is no leak of the second.
    Storm::new().run(500.min(jobs));
    let start = Footprint::settled(&before);
    template.inject(Faults::new().tiny_buffers()).expect("a template");
    let tally = Storm::new().run(jobs);
    template.inject(Faults::new()).expect("a template");
    let end = Footprint::settled(&start);
    println!("{tally}\ndescriptors and memory: {start} at the start, {end} at the end");
    assert_eq!((tally.lost(), tally.twice()), (0, 0));
    assert_eq!(start.descriptors, end.descriptors);
    assert!(end.kib < start.kib + 4096, "memory has grown");
    assert!(tally.answered() > jobs / 2, "most are answered in spite of all");
}
