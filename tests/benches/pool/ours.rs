//! tine's pool, with the embedded loop.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::Template;
use tine_tests::jobs::{Done, Jobs, Task, pool};

use super::{JOBS, LENGTH, SAMPLES};

pub fn run(queued: usize) {
    let template = Template::early().expect("first line of main");
    let jobs = ready(&template);
    if queued > 0 {
        super::print_jobs(|| burst(&jobs));
    }
    let mut line = Line::new(&jobs, queued);
    super::print_urgent((0..SAMPLES).map(|_| line.urgent()).collect());
    if queued > 0 {
        super::print("job_p99", super::percentile(&mut line.lengths.take().seen, 99));
        drop(jobs);
        super::print("reprioritise", reprioritise(&ready(&template), queued));
    }
}

fn turn() {
    tine::queue().turn(None).expect("a queue that works");
}

/// A pool whose workers are there.
fn ready(template: &Template) -> Jobs {
    let workers = tine::pool::ncpu();
    let jobs = pool(template).idle(workers).build().expect("a pool");
    while jobs.report().started < workers as u64 {
        turn();
    }
    jobs
}

fn burst(jobs: &Jobs) {
    let left = Rc::new(Cell::new(JOBS));
    for _ in 0..JOBS {
        let left = Rc::clone(&left);
        jobs.submit(Task::Answer).on_done(move |_| left.set(left.get() - 1));
    }
    while left.get() > 0 {
        turn();
    }
}

/// How long jobs took, by when their workers answered.
#[derive(Default)]
struct Lengths {
    last: HashMap<u32, Instant>,
    seen: Vec<Duration>,
}

impl Lengths {
    fn answered(&mut self, pid: u32) {
        let now = Instant::now();
        let last = self.last.insert(pid, now);
        self.seen.extend(last.map(|last| now - last));
    }
}

/// Jobs that wait, always as many, and those that overtake them.
struct Line<'a> {
    jobs: &'a Jobs,
    queued: usize,
    waiting: Rc<Cell<usize>>,
    lengths: Rc<RefCell<Lengths>>,
    chance: u64,
}

impl Line<'_> {
    fn new(jobs: &Jobs, queued: usize) -> Line<'_> {
        Line { jobs, queued, waiting: Rc::default(), lengths: Rc::default(), chance: 88_172_645 }
    }

    fn fill(&mut self) {
        while self.waiting.get() < self.queued {
            self.waiting.set(self.waiting.get() + 1);
            let (waiting, lengths) = (Rc::clone(&self.waiting), Rc::clone(&self.lengths));
            self.jobs.submit(Task::Spin(LENGTH)).on_done(move |done| {
                waiting.set(waiting.get() - 1);
                if let Ok(Done { pid }) = done {
                    lengths.borrow_mut().answered(pid);
                }
            });
        }
    }

    /// Waits for any time within a job's length, so that workers are anywhere in theirs.
    fn wait(&mut self) {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let some = LENGTH.mul_f64((self.chance % 1000) as f64 / 1000.0);
        let over = Rc::new(Cell::new(false));
        let tells = Rc::clone(&over);
        let _timer = tine::queue().after(some, move || tells.set(true));
        while !over.get() {
            turn();
        }
    }

    /// How long an urgent job takes.
    fn urgent(&mut self) -> Duration {
        if self.queued > 0 {
            self.fill();
            self.wait();
        }
        let took = Rc::new(Cell::new(None));
        let (told, begun) = (Rc::clone(&took), Instant::now());
        self.jobs
            .submit(Task::Answer)
            .priority(1)
            .on_done(move |_| told.set(Some(begun.elapsed())));
        loop {
            if let Some(took) = took.take() {
                return took;
            }
            turn();
        }
    }
}

/// Changes the priorities of all that is in line; gives the median.
fn reprioritise(jobs: &Jobs, queued: usize) -> Duration {
    let waiting: Vec<_> = (0..queued).map(|_| jobs.submit(Task::Spin(LENGTH))).collect();
    let scroll = |by: usize| {
        let far = |n: usize| -(n.abs_diff(by * 97 % queued) as i32);
        let begun = Instant::now();
        jobs.reprioritise(waiting.iter().enumerate().map(|(n, job)| (job, far(n))));
        begun.elapsed()
    };
    super::percentile(&mut (0..101).map(scroll).collect::<Vec<_>>(), 50)
}
