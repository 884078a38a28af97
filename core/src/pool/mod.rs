//! Above flow 2: many workers, one line of work.
//!
//! A [`Pool`] keeps workers that [serve](crate::rpc) one kind of request, and gives each [`Job`] to the first
//! that has room. What is on screen comes first: jobs have priorities, which can be changed by the thousand
//! while they wait, and jobs can be cancelled.
//!
//! ```text
//! submit ─▶ Job ─▶ line ──▶ worker ──▶ settled, once
//!                   ▲          │ left, held up, or died, and the job may be done twice
//!                   └──────────┘
//! ```
//!
//! `core/examples/pool.rs` is a whole program: thumbnails, those in view first.
//!
//! Every job is settled exactly once, whatever dies: the worker, its template, the pool. Everything is told on
//! the queue of the thread that made the pool; there is no thread behind it.
//!
//! # Typical problems
//! - A job without a [deadline](Job::deadline) whose worker never answers keeps the worker for ever.
//! - A job that is not [idempotent](Job::idempotent) fails when its worker dies, also when that was no doing
//!   of its own.
//! - A callback that holds the [`Pool`] in an `Rc`, and is held by a job of the same pool, keeps it alive until
//!   the job is settled.

mod builder;
mod hand;
mod job;
mod line;
mod memory;
mod report;
mod shared;
mod staff;
mod worker;

use std::borrow::Borrow;
use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use builder::{Builder, Recycle};
pub use job::Job;
pub use memory::Memory;
pub use report::{Failure, Leave, Report, WorkerReport, WorkerState};

use crate::{Result, Template};
use builder::Plan;
use shared::Shared;

/// Workers that do jobs of one kind, as many as are needed and may be.
///
/// Dropped, it settles every job as [cancelled](crate::ErrorKind::Cancelled) and kills the workers that have
/// one in hand; [`finish`](Pool::finish) lets them be done.
///
/// # Examples
/// ```no_run
/// # fn main() -> tine::Result<()> {
/// use tine::Pool;
///
/// tine::entry!(LENGTH = length);
/// fn length(worker: tine::Worker) -> tine::Result<()> {
///     tine::rpc::serve(worker, |text: String, _| Ok::<_, tine::Error>(text.len()))
/// }
///
/// let template = tine::Template::early()?;
/// let pool = Pool::<String, usize>::builder(&template, LENGTH).idle(1).build()?;
/// let job = pool.submit("what is seen next".into()).on_done(|length| println!("{length:?}"));
/// let urgent = pool.submit("what is seen".into()).priority(9);
/// job.set_priority(-1);
/// assert_eq!(urgent.completion().recv()?, 12);
/// # Ok(()) }
/// ```
pub struct Pool<Req: 'static, Rep: 'static> {
    shared: Rc<Shared<Req, Rep>>,
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Pool<Req, Rep> {
    /// Begins a pool whose workers are forked from `template` and enter `entry`, which serves requests of type
    /// `Req` with replies of type `Rep`.
    pub fn builder(template: &Template, entry: impl Into<String>) -> Builder<Req, Rep> {
        Builder::new(template, entry.into())
    }

    fn new(plan: Plan<Req, Rep>) -> Self {
        let shared = Shared::new(plan);
        shared.pump();
        Pool { shared }
    }

    /// Puts a job in line. It can begin in the next turn of the queue.
    ///
    /// A request that cannot be sent ([`rpc::Error::Refused`](crate::rpc::Error::Refused)) is told as the
    /// job's error.
    pub fn submit(&self, request: Req) -> Job<Req, Rep> {
        let job = Job::new(request, &self.shared);
        self.shared.submit(job.work());
        job
    }

    /// Changes the priorities of many jobs: those that wait are in their new order when this returns.
    ///
    /// It takes one pass over the line, however many there are: bench `pool`.
    pub fn reprioritise<J: Borrow<Job<Req, Rep>>>(&self, jobs: impl IntoIterator<Item = (J, i32)>) {
        let own = jobs.into_iter().filter_map(|(job, priority)| {
            let job = job.borrow();
            if job.is_of(&self.shared) {
                return Some((Rc::clone(job.work()), priority));
            }
            // It stands in another line, or in none any more.
            job.set_priority(priority);
            None
        });
        self.shared.set_priorities(own);
    }

    /// Tells what was done, is done and is still to be done, and looks at the memory of every worker, which
    /// can take the kernel a millisecond each.
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// Tells the same but for the memory of workers, at which it does not look: for who asks often, from a
    /// thread that may not wait. [`Memory::of`] a worker can be asked in any other.
    pub fn glance(&self) -> Report {
        self.shared.glance()
    }

    /// Sends a signal (signal(7)) to a worker of this pool; killed, it is as one that died.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`](crate::ErrorKind::NoProcess): no worker of this pool has that process id; and
    /// those of [`Running::kill`](crate::Running::kill).
    pub fn kill(&self, pid: u32, signal: i32) -> Result<()> {
        self.shared.kill(pid, signal)
    }

    /// Takes the requests that were set aside because too many workers died of them, the oldest first; the
    /// last 64 are kept.
    pub fn take_poison(&self) -> impl Iterator<Item = Rc<Req>> + use<Req, Rep> {
        self.shared.take_poison().into_iter()
    }

    /// Lets everything that was submitted be done before the workers leave.
    pub fn finish(self) {
        self.shared.finish();
    }
}

impl<Req, Rep> Drop for Pool<Req, Rep> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<Req, Rep> fmt::Debug for Pool<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// How many workers can work at once: the processors that this process may run on (sched_getaffinity(2)), fewer
/// where a cgroup allows less; at least 1.
pub fn ncpu() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
