//! Above flow 2: how a pool is to be.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Pool, ncpu};
use crate::rpc;
use crate::{Error, ErrorKind, Process, Result, Sandbox, Template};

/// How a [`Pool`] is to be; made by [`Pool::builder`].
#[must_use = "a pool comes to be when it is built"]
pub struct Builder<Req, Rep> {
    plan: Plan<Req, Rep>,
}

/// All that is said of a pool before it comes to be.
pub(super) struct Plan<Req, Rep> {
    pub process: Process,
    pub entry: String,
    pub client: SetClient<Req, Rep>,
    pub options: Options,
    pub on_destroy: Option<Box<dyn FnOnce()>>,
}

/// What is said of the client of each worker.
pub(super) type SetClient<Req, Rep> = Box<dyn Fn(rpc::Builder<Req, Rep>) -> rpc::Builder<Req, Rep>>;

/// What a pool goes by.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub max: usize,
    pub idle: usize,
    pub load: usize,
    pub start: Duration,
    pub stop: Duration,
    pub grace: Duration,
    pub ready: Duration,
    pub deadline: Option<Duration>,
    pub retries: u32,
    pub poison_after: u32,
    pub recycle: Recycle,
    /// A worker has all of its jobs in hand at once, not one after another.
    pub parallel: bool,
}

/// When a worker is replaced although nothing is wrong with it: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recycle {
    jobs: Option<u64>,
    age: Option<Duration>,
    memory: Option<u64>,
}

impl Recycle {
    /// Never, as long as it does its work.
    pub fn never() -> Self {
        Recycle::default()
    }

    /// After so many jobs, at least one; it is given no more than these.
    pub fn jobs(mut self, jobs: u64) -> Self {
        self.jobs = Some(jobs.max(1));
        self
    }

    /// When it has been there so long; it ends what it has in hand first.
    pub fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// When it has answered a job and more than so many octets of memory are its own: see
    /// [`Memory::private`](super::Memory::private).
    pub fn memory(mut self, octets: u64) -> Self {
        self.memory = Some(octets);
        self
    }

    pub(super) fn by_jobs(&self, served: u64) -> bool {
        self.jobs.is_some_and(|jobs| served >= jobs)
    }

    pub(super) fn after(&self) -> Option<Duration> {
        self.age
    }

    pub(super) fn above(&self) -> Option<u64> {
        self.memory
    }
}

impl Options {
    fn new() -> Options {
        Options {
            max: ncpu(),
            idle: 0,
            load: 1,
            start: Duration::ZERO,
            stop: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            ready: Duration::from_secs(10),
            deadline: None,
            retries: 3,
            poison_after: 2,
            recycle: Recycle::never(),
            parallel: false,
        }
    }

    /// How many jobs a new worker has room for.
    pub fn room(&self) -> usize {
        let most = self.recycle.jobs.and_then(|jobs| usize::try_from(jobs).ok());
        self.load.min(most.unwrap_or(usize::MAX))
    }
}

impl<Req, Rep> Builder<Req, Rep> {
    pub(super) fn new(template: &Template, entry: String) -> Self {
        let plan = Plan {
            process: template.fork(),
            entry,
            client: Box::new(|client| client),
            options: Options::new(),
            on_destroy: None,
        };
        Builder { plan }
    }

    /// Allows this many workers at once; as many as there are processors ([`ncpu`]) unless set.
    ///
    /// One that was killed, or told to leave, counts no more, so that it holds up nobody.
    pub fn max(mut self, workers: usize) -> Self {
        self.plan.options.max = workers;
        self
    }

    /// Keeps this many workers when there is nothing to do; none unless set.
    ///
    /// They are started with the pool, and again when one ends.
    pub fn idle(mut self, workers: usize) -> Self {
        self.plan.options.idle = workers;
        self
    }

    /// Gives a worker this many jobs at once; one unless set.
    ///
    /// With two, a worker has its next job at hand when it answers one; but what a worker has at hand, no
    /// urgent job overtakes.
    pub fn load(mut self, jobs: usize) -> Self {
        self.plan.options.load = jobs;
        self
    }

    /// Says that a worker does all that it has in hand at the same time, and answers in any order.
    ///
    /// Otherwise it is taken to do one after another: then the clock of a [deadline](Builder::deadline)
    /// runs for the first only, and when the worker dies, the others have not begun.
    pub fn parallel(mut self) -> Self {
        self.plan.options.parallel = true;
        self
    }

    /// Waits this long, with jobs that no worker has room for, before another worker is started; not at all
    /// unless set. Without any worker, the first is started at once.
    pub fn start(mut self, delay: Duration) -> Self {
        self.plan.options.start = delay;
        self
    }

    /// Lets a worker have nothing to do for this long before it has to leave, if there are more than are
    /// [kept](Builder::idle); ten seconds unless set, and zero means at once.
    pub fn stop(mut self, delay: Duration) -> Self {
        self.plan.options.stop = delay;
        self
    }

    /// Gives a worker that was told to leave, or to cancel the job in its hand, this long before it is
    /// killed; two seconds unless set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.plan.options.grace = grace;
        self
    }

    /// Gives a worker this long to come to be and be ready to serve, before it is killed; ten seconds
    /// unless set.
    pub fn ready(mut self, deadline: Duration) -> Self {
        self.plan.options.ready = deadline;
        self
    }

    /// Gives each job this long in a worker: see [`Job::deadline`](super::Job::deadline), which sets it for
    /// one. Without end unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.plan.options.deadline = Some(deadline);
        self
    }

    /// Prepares what all workers are copies of: descriptors and arguments that each gets, code that runs
    /// once, before they are forked.
    ///
    /// With code ([`Process::call`], [`Process::load`]) this is a template of its own; what it has in memory
    /// is shared by all workers until they write to it ([`Memory::saved`](super::Memory::saved)).
    pub fn prepare(mut self, prepare: impl FnOnce(Process) -> Process) -> Self {
        self.plan.process = prepare(self.plan.process);
        self
    }

    /// Puts a sandbox on each worker, just before it serves: see [`Process::sandbox`].
    pub fn sandbox(self, sandbox: &Sandbox) -> Self {
        self.prepare(|process| process.sandbox(sandbox))
    }

    /// Replaces workers that have served for long.
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.plan.options.recycle = recycle;
        self
    }

    /// Tries an [idempotent](super::Job::idempotent) job again, at most so many times, when its worker
    /// died; three times unless set.
    pub fn retries(mut self, retries: u32) -> Self {
        self.plan.options.retries = retries;
        self
    }

    /// Sets an [idempotent](super::Job::idempotent) job aside when so many workers died of it; two unless
    /// set. The death of a template, which takes its workers along, is no job's doing.
    pub fn poison_after(mut self, workers: u32) -> Self {
        self.plan.options.poison_after = workers;
        self
    }

    /// Says more of the [`Client`](crate::rpc::Client) of each worker: its format and bounds, its build, what
    /// hears of events. What hears of errors and ends is the pool's.
    ///
    /// An event comes before the answers that the worker sends after it, and may come before those that it
    /// sent just before: a job's callback runs in a turn of its own.
    pub fn client(
        mut self,
        set: impl Fn(rpc::Builder<Req, Rep>) -> rpc::Builder<Req, Rep> + 'static,
    ) -> Self {
        self.plan.client = Box::new(set);
        self
    }

    /// Calls back when the pool is gone and the last of its workers has ended, on the queue of its thread.
    pub fn on_destroy(mut self, callback: impl FnOnce() + 'static) -> Self {
        self.plan.on_destroy = Some(Box::new(callback));
        self
    }
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Builder<Req, Rep> {
    /// Makes the pool, and asks for the workers that it [keeps](Builder::idle).
    ///
    /// Workers that cannot come to be are told as the error of jobs.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`]: with no worker, or none that may have a job, nothing would ever be done.
    pub fn build(self) -> Result<Pool<Req, Rep>> {
        if self.plan.options.max == 0 || self.plan.options.load == 0 {
            let message = "a pool needs at least one worker, and a worker at least one job";
            return Err(Error::new(ErrorKind::Misuse, message));
        }
        Ok(Pool::new(self.plan))
    }
}
