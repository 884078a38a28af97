//! Jobs for pools: what their workers can be told to do, and what is heard of them.

use std::cell::RefCell;
use std::io::Read as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tine::pool::{Builder, Job};
use tine::rpc::{self, Caller, Fd, Responder};
use tine::{Error, ErrorKind, Pool, Template, Worker};

use crate::native;
use crate::told::eventually;

/// What a worker is to do before it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    /// Nothing.
    Answer,
    /// Wait until the other end of this pipe is closed.
    Hold(Fd),
    /// Wait until the job is cancelled.
    UntilCancelled,
    /// Work for so long, by the clock.
    Spin(Duration),
    /// Answer with an error.
    Fail,
    /// Panic.
    Panic,
    /// Kill itself with this signal.
    Die(i32),
    /// Exit, and with success.
    Exit,
    /// Never answer.
    Endure,
    /// Ask for no more work.
    Retire,
    /// Keep so many octets more.
    Keep(usize),
    /// Write what is no message.
    Garble,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The worker.
    pub pid: u32,
}

/// A pool's worth of jobs.
pub type Jobs = Pool<Task, Done>;

tine::entry!(
    /// Does one [`Task`] after another.
    pub WORK = work
);
tine::entry!(
    /// Does many at the same time.
    pub WORK_ASYNC = work_async
);

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn work(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, perform)
}

fn perform(task: Task, caller: &mut Caller<'_>) -> Result<Done, String> {
    match task {
        Task::Answer => (),
        Task::Hold(pipe) => hold(pipe),
        Task::UntilCancelled => {
            while !caller.is_cancelled() {
                std::thread::yield_now();
            }
        }
        Task::Retire => caller.retire().map_err(|error| error.to_string())?,
        other => return simple(other),
    }
    Ok(Done { pid: std::process::id() })
}

fn simple(task: Task) -> Result<Done, String> {
    match task {
        Task::Spin(time) => {
            let begun = Instant::now();
            while begun.elapsed() < time {
                std::hint::spin_loop();
            }
        }
        Task::Fail => return Err("as it was told".into()),
        Task::Panic => panic!("as it was told"),
        Task::Die(signal) => native::raise(signal),
        Task::Exit => std::process::exit(0),
        Task::Endure => loop {
            std::thread::park();
        },
        Task::Keep(octets) => KEPT.with_borrow_mut(|kept| kept.push(vec![1; octets])),
        Task::Garble => native::write(3, &[b'x'; 64]),
        _ => (),
    }
    Ok(Done { pid: std::process::id() })
}

fn hold(pipe: Fd) {
    let pipe = pipe.into_owned().expect("it came with the message");
    // Nothing is written to it: this waits for its end.
    let _ = std::fs::File::from(pipe).read(&mut [0]);
}

fn work_async(worker: Worker) -> tine::Result<()> {
    rpc::serve_async(worker, |task, responder: Responder<Done>| match task {
        Task::Hold(pipe) => {
            let answer = Done { pid: std::process::id() };
            let responder = RefCell::new(Some(responder));
            let watching = tine::queue().io(pipe, tine::Interest::READABLE, move |_, _| {
                if let Some(responder) = responder.take() {
                    responder.answer(Ok::<_, String>(answer));
                }
            });
            // It lives as long as the worker.
            std::mem::forget(watching);
        }
        other => responder.answer(simple(other)),
    })
}

/// A pool of [`WORK`], not yet made.
pub fn pool(template: &Template) -> Builder<Task, Done> {
    Pool::builder(template, WORK)
}

/// What became of jobs, by number; each is told once.
#[derive(Clone, Default)]
pub struct Heard(Rc<RefCell<Vec<Told>>>);

type Told = (u32, Result<Done, Error>);

impl Heard {
    /// Nothing yet.
    pub fn new() -> Heard {
        Heard::default()
    }

    /// Hears what becomes of a job.
    ///
    /// # Panics
    /// In a callback: when it was told before.
    pub fn of(&self, number: u32, job: Job<Task, Done>) -> Job<Task, Done> {
        let heard = Rc::clone(&self.0);
        job.on_done(move |done| {
            let mut heard = heard.borrow_mut();
            assert!(heard.iter().all(|(other, _)| *other != number), "job {number} is told twice");
            heard.push((number, done));
        })
    }

    /// How many were told.
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Waits until so many were told.
    pub fn wait_for(&self, count: usize) {
        eventually("jobs to be settled", || (self.count() >= count).then_some(()));
    }

    /// The numbers, in the order in which they were told.
    pub fn order(&self) -> Vec<u32> {
        self.0.borrow().iter().map(|(number, _)| *number).collect()
    }

    /// How many were told to have failed so; `None`: how many were done.
    pub fn with(&self, kind: Option<ErrorKind>) -> usize {
        let is = |done: &Result<Done, Error>| done.as_ref().err().map(Error::kind) == kind;
        self.0.borrow().iter().filter(|(_, done)| is(done)).count()
    }
}

/// Waits for a job; gives the worker that did it.
///
/// # Panics
/// When it failed.
pub fn pid_of(job: &Job<Task, Done>) -> u32 {
    settled(job).expect("an answer").pid
}

/// Waits for a job.
///
/// # Errors
/// The job's.
pub fn settled(job: &Job<Task, Done>) -> Result<Done, Error> {
    eventually("a job to be settled", || job.is_settled().then_some(()));
    job.completion().recv()
}

/// Waits for a job that fails; gives the reason.
///
/// # Panics
/// When it was answered.
pub fn failure(job: &Job<Task, Done>) -> Error {
    settled(job).expect_err("a failure")
}

/// Waits until so many jobs are in workers' hands.
pub fn running(pool: &Jobs, count: usize) {
    eventually("jobs to run", || (pool.report().running == count).then_some(()));
}
