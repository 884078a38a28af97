//! Bench `pool`: what a pool does in a second, and how long what is urgent waits behind what is not.
//!
//! Latencies are from `submit` to the job's callback, in ms, of jobs that have nothing to do. In line before
//! them are jobs that work for 2 ms each, for as many workers as there are processors. How long such a job
//! really takes is measured meanwhile: a machine that does something else makes it longer.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::Template;
use tine::pool::Job;
use tine_tests::figures::{Figures, Metric, RATE, Size};
use tine_tests::jobs::{Done, Jobs, Task, pool};

/// Jobs of a burst, and jobs in line when an urgent one comes.
const QUEUED: usize = 10_000;
const LENGTH: Duration = Duration::from_millis(2);
const SAMPLES: usize = 500;
/// By the project's own promise.
const REORDER_BOUND: Duration = Duration::from_millis(1);

fn main() {
    let template = Template::early().expect("first line of main");
    let rate = jobs_a_second(&template);
    println!("{rate:.0} jobs a second, {QUEUED} at once");
    let mut figures = Figures::begin("pool", env!("CARGO_TARGET_TMPDIR"));
    let mut tell = |metric, value, queued: usize| {
        figures.tell("tine", &[("queued", Size::Count(queued as u32))], metric, value);
    };
    tell(("jobs", RATE), rate, QUEUED);
    let idle = urgent(&template, 0, &mut tell);
    let loaded = urgent(&template, QUEUED, &mut tell);
    let bound = 2 * idle.latency + loaded.length;
    let verdict = if loaded.latency <= bound { "kept" } else { "broken" };
    println!("bound: urgent at most {bound:.1?} behind {QUEUED}: {verdict}");
    let reorder = reprioritise(&template);
    tell(("reprioritise", "ms"), millis(reorder), QUEUED);
    let verdict = if reorder <= REORDER_BOUND { "kept" } else { "broken" };
    println!("bound: {QUEUED} jobs put in another order in at most {REORDER_BOUND:?}: {verdict}");
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
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

/// The best of five bursts: what else the machine does only adds.
fn jobs_a_second(template: &Template) -> f64 {
    let burst = |jobs: &Jobs| {
        let begun = Instant::now();
        let left = Rc::new(Cell::new(QUEUED));
        for _ in 0..QUEUED {
            let left = Rc::clone(&left);
            jobs.submit(Task::Answer).on_done(move |_| left.set(left.get() - 1));
        }
        while left.get() > 0 {
            turn();
        }
        begun.elapsed()
    };
    let jobs = ready(template);
    let best = (0..5).map(|_| burst(&jobs)).min().expect("five");
    QUEUED as f64 / best.as_secs_f64()
}

/// 99th percentiles.
struct Tail {
    /// Of urgent jobs.
    latency: Duration,
    /// Of those before them, each from the answer before it of the same worker.
    length: Duration,
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

/// Measures urgent jobs with `queued` others in line.
fn urgent(template: &Template, queued: usize, tell: &mut impl FnMut(Metric, f64, usize)) -> Tail {
    let jobs = ready(template);
    let mut waiting: VecDeque<Job<Task, Done>> = VecDeque::new();
    let lengths = Rc::new(RefCell::new(Lengths::default()));
    let one = |number| sample(&jobs, &mut waiting, &lengths, queued, number);
    let mut times: Vec<_> = (0..SAMPLES).map(one).collect();
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| times[SAMPLES * percent / 100]);
    println!("urgent behind {queued:>6}: p50 {p50:>9.1?}  p99 {p99:>9.1?}");
    tell(("urgent_p50", "ms"), millis(p50), queued);
    tell(("urgent_p99", "ms"), millis(p99), queued);
    let mut lengths = lengths.take().seen;
    lengths.sort_unstable();
    let length = lengths.get(lengths.len() * 99 / 100).copied().unwrap_or_default();
    Tail { latency: p99, length }
}

fn sample(
    jobs: &Jobs,
    waiting: &mut VecDeque<Job<Task, Done>>,
    lengths: &Rc<RefCell<Lengths>>,
    queued: usize,
    number: usize,
) -> Duration {
    waiting.retain(|job| !job.is_settled());
    while waiting.len() < queued {
        let lengths = Rc::clone(lengths);
        let job = jobs.submit(Task::Spin(LENGTH)).on_done(move |done| {
            if let Ok(Done { pid }) = done {
                lengths.borrow_mut().answered(pid);
            }
        });
        waiting.push_back(job);
    }
    // Workers have answered a few times since, and are somewhere in their jobs.
    (0..number % 4).filter(|_| queued > 0).for_each(|_| turn());
    let took = Rc::new(Cell::new(None));
    let (told, begun) = (Rc::clone(&took), Instant::now());
    jobs.submit(Task::Answer).priority(1).on_done(move |_| told.set(Some(begun.elapsed())));
    loop {
        if let Some(took) = took.take() {
            return took;
        }
        turn();
    }
}

/// Changes the priorities of all that is in line; gives the median.
fn reprioritise(template: &Template) -> Duration {
    let jobs = ready(template);
    let waiting: Vec<_> = (0..QUEUED).map(|_| jobs.submit(Task::Spin(LENGTH))).collect();
    let scroll = |by: usize| {
        let far = |n: usize| -(n.abs_diff(by * 97 % QUEUED) as i32);
        let begun = Instant::now();
        jobs.reprioritise(waiting.iter().enumerate().map(|(n, job)| (job, far(n))));
        begun.elapsed()
    };
    let mut times: Vec<_> = (0..101).map(scroll).collect();
    times.sort_unstable();
    let median = times[50];
    println!("{QUEUED} jobs in another order: {median:.1?}");
    median
}
