//! procspawn's pool, with a process for each processor.

use std::time::{Duration, Instant};

use procspawn::Pool;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn answer(text: String) -> String {
    text
}

fn spin(length: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < length {
        std::hint::spin_loop();
    }
}

pub fn run(queued: usize) {
    // Each job in line has descriptors of its own there.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("as allowed");
    let pool = Pool::new(tine::pool::ncpu()).expect("a pool");
    if queued > 0 {
        super::print_jobs(|| {
            let text = "x".repeat(64);
            let jobs: Vec<_> = (0..super::JOBS).map(|_| pool.spawn(text.clone(), answer)).collect();
            jobs.into_iter().for_each(|job| drop(job.join().expect("an answer")));
        });
    }
    // There are no priorities, so what is urgent waits for all; once is enough to see that.
    let samples = if queued > 0 { 1 } else { super::SAMPLES };
    let sample = |_| {
        let _line: Vec<_> = (0..queued).map(|_| pool.spawn(super::LENGTH, spin)).collect();
        let begun = Instant::now();
        pool.spawn(String::new(), answer).join().expect("an answer");
        begun.elapsed()
    };
    super::print_urgent((0..samples).map(sample).collect());
}
