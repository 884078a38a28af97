//! Flow 2, the app's side: the pool of workers that decode, in their sandbox.
//!
//! What is waited for comes first ([`Urgency`]), what is not wanted any more is called off. A picture that
//! a worker dies of is tried once more, for it may have been another's doing; one that two workers died of
//! is not tried again.

use std::cell::OnceCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tine::pool::{self, Leave, Report};
use tine::{ErrorKind, Pool, Posture, Shared, Template};

use crate::message::{Answer, Drawing, Failure, Request};
use crate::worker;

/// Pictures that a worker has in hand at most: the one it decodes, and the next, so that it never waits for
/// the app.
pub const LOAD: usize = 2;
/// How long a worker may take to be there, and for one picture, by the clock: plenty, as the machine may be
/// busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a picture may take that others wait behind. Nearly all take a hundredth of it.
const BRIEF: Duration = Duration::from_secs(5);
/// How long a worker may go on with a picture that was called off: most are done sooner, and another worker
/// is there within a millisecond.
const GRACE: Duration = Duration::from_secs(1);
/// How long workers are kept that have nothing to do: about as long as a person looks at one picture.
const STOP: Duration = Duration::from_secs(60);
/// Octets of a message from a worker: a few numbers, or one line of text.
const LONGEST: usize = 4096;

/// How soon a picture is wanted, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// When nothing else is to be done, for it takes long.
    Last,
    /// Some time.
    Rest,
    /// It may come into view next.
    Near,
    /// It is in view, as a thumbnail.
    InView,
    /// It is next to the one that is looked at as a whole.
    Ahead,
    /// Somebody looks at the place where it will be.
    Wanted,
}

/// A picture that was asked for.
pub type Job = pool::Job<Request, Answer<Shared>>;

/// The workers.
pub struct Decoders {
    pool: Rc<Pool<Request, Answer<Shared>>>,
    /// What holds of their sandbox, as the first of them told.
    posture: OnceCell<Posture>,
}

impl Decoders {
    /// At most `max` workers, forked from `template`, which enter `entry`; one comes at once.
    ///
    /// # Errors
    ///
    /// There is to be no worker at all.
    pub fn new(template: &Template, entry: impl Into<String>, max: usize) -> tine::Result<Self> {
        let pool = Pool::builder(template, entry)
            .max(max)
            .idle(1)
            .load(LOAD)
            .deadline(PATIENCE)
            .grace(GRACE)
            .ready(PATIENCE)
            .stop(STOP)
            .sandbox(&worker::sandbox())
            .client(|client| client.limit(LONGEST))
            .build()?;
        Ok(Self { pool: Rc::new(pool), posture: OnceCell::new() })
    }

    /// Asks for a picture. `done` is told of it on this thread's queue, with the process id of the worker
    /// that had it last, unless it is [cancelled](pool::Job::cancel).
    ///
    /// One in a long line is given little time, unless it is the [last](Urgency::Last): `done` gets `None` if that is
    /// not enough.
    pub fn submit(
        &self,
        request: Request,
        urgency: Urgency,
        done: impl FnOnce(Option<u32>, Option<Result<Drawing<Shared>, Failure>>) + 'static,
    ) -> Job {
        let want = request.want;
        let is_brief = (Urgency::Rest..=Urgency::InView).contains(&urgency);
        let job = self.pool.submit(request).priority(urgency as i32).idempotent();
        let job = if is_brief { job.deadline(BRIEF) } else { job };
        let (this, pool) = (job.clone(), Rc::downgrade(&self.pool));
        job.on_done(move |result| {
            let pid = this.worker();
            let result = match result {
                Ok(answer) => answer.and_then(|drawing| match drawing.check(want) {
                    Ok(()) => Ok(drawing),
                    Err(what) => Err(put_down(&pool, pid, what)),
                }),
                Err(error) if error.kind() == ErrorKind::Cancelled => return,
                Err(error) if error.kind() == ErrorKind::Deadline && is_brief => {
                    return done(pid, None);
                }
                Err(error) => Err(explain(&error)),
            };
            done(pid, Some(result));
        })
    }

    /// Says anew how soon pictures are wanted.
    pub fn reorder(&self, jobs: impl IntoIterator<Item = (Job, Urgency)>) {
        self.pool.reprioritise(jobs.into_iter().map(|(job, urgency)| (job, urgency as i32)));
    }

    /// What was done and is under way, without a look at memory.
    pub fn glance(&self) -> Report {
        self.pool.glance()
    }

    /// What holds of the workers' sandbox; `None` until the first has come.
    pub fn posture(&self) -> Option<&Posture> {
        if self.posture.get().is_none() {
            let posture = self.glance().workers.into_iter().find_map(|worker| worker.posture);
            posture.map(|posture| self.posture.get_or_init(|| posture));
        }
        self.posture.get()
    }

    /// Kills a worker, by its process id: what it had in hand happens as if it had crashed.
    pub fn kill(&self, pid: u32) {
        kill(&self.pool, pid);
    }
}

/// How many workers have ended otherwise than they should, or before they came to be.
pub fn crashed(report: &Report) -> u64 {
    let crashes = [Leave::Died, Leave::Broken, Leave::Deadline, Leave::NeverReady];
    crashes.iter().filter_map(|leave| report.ended.get(leave)).sum()
}

/// The process ids of the workers there are.
pub fn pids(report: &Report) -> Vec<u32> {
    report.workers.iter().filter_map(|worker| worker.pid).collect()
}

fn kill(pool: &Pool<Request, Answer<Shared>>, pid: u32) {
    // It may have ended already, which is as good.
    let _ended = pool.kill(pid, rustix::process::Signal::KILL.as_raw());
}

/// A worker that lies about its picture is none of ours any more.
fn put_down(
    pool: &Weak<Pool<Request, Answer<Shared>>>,
    pid: Option<u32>,
    what: &'static str,
) -> Failure {
    if let (Some(pool), Some(pid)) = (pool.upgrade(), pid) {
        kill(&pool, pid);
    }
    Failure::passing(format!("the worker's answer has an impossible {what}"))
}

fn explain(error: &tine::Error) -> Failure {
    Failure::passing(match error.kind() {
        ErrorKind::Deadline => format!("took longer than {} s", PATIENCE.as_secs()),
        _ => error.to_string(),
    })
}
