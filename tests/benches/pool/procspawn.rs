//! procspawn's pool, with a process for each processor.
//!
//! Each job in line has descriptors of its own there, so that 10,000 at once are more than most systems allow: they
//! are submitted 1,000 at a time, and nothing is told of what waits behind 10,000.

use std::time::Instant;

use procspawn::Pool;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const AT_ONCE: usize = 1000;

fn answer(text: String) -> String {
    text
}

pub fn run(queued: usize) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("as allowed");
    let pool = Pool::new(tine::pool::ncpu()).expect("a pool");
    if queued > 0 {
        return super::print_jobs(|| {
            for _ in 0..super::JOBS / AT_ONCE {
                let text = "x".repeat(64);
                let jobs: Vec<_> = (0..AT_ONCE).map(|_| pool.spawn(text.clone(), answer)).collect();
                jobs.into_iter().for_each(|job| drop(job.join().expect("an answer")));
            }
        });
    }
    let sample = |_| {
        let begun = Instant::now();
        pool.spawn(String::new(), answer).join().expect("an answer");
        begun.elapsed()
    };
    super::print_urgent((0..super::SAMPLES).map(sample).collect());
}
