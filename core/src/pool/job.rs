//! Above flow 2: one job of a pool, from `submit` until it is settled.
//!
//! ```text
//! Waiting ──handed over──▶ Running ──answered, died, past its deadline──▶ Settled
//!    ▲ │                      │ │                                            ▲
//!    │ └──────────────────────┼─┴── cancelled, pool dropped ─────────────────┤
//!    └─ not begun, or retried ┘                                              │
//!      └── the request cannot be sent, no worker can come to be ─────────────┘
//! ```

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::line::{Place, Waits};
use super::shared::Shared;
use super::worker::Worker;
use crate::{Completion, Result};

/// A job that was submitted to a [`Pool`](super::Pool). Dropping the handle changes nothing.
///
/// It is settled once, whatever dies: with the worker's answer, or with the reason why there is none. Who
/// takes that first has it: a callback, a [completion](Job::completion), or `.await`.
///
/// What the first methods say can be said until the job begins, at the earliest in the next turn of the
/// queue.
pub struct Job<Req, Rep> {
    work: Rc<Work<Req, Rep>>,
    pool: Weak<Shared<Req, Rep>>,
}

/// What a pool knows of a job.
pub(super) struct Work<Req, Rep> {
    place: Place,
    /// Kept until it is settled, as it may have to be sent again.
    request: RefCell<Option<Rc<Req>>>,
    stage: RefCell<Stage<Req, Rep>>,
    deadline: Cell<Option<Duration>>,
    idempotent: Cell<bool>,
    /// The worker that was given it last.
    pid: Cell<Option<u32>>,
    /// Workers that ended with it in hand, and those of them that it may have killed.
    tries: Cell<u32>,
    kills: Cell<u32>,
    done: Completion<Rep>,
}

pub(super) enum Stage<Req, Rep> {
    Waiting,
    Running(Weak<Worker<Req, Rep>>),
    Settled,
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Job<Req, Rep> {
    pub(super) fn new(request: Req, pool: &Rc<Shared<Req, Rep>>) -> Self {
        let work = Work {
            place: Place::default(),
            request: RefCell::new(Some(Rc::new(request))),
            stage: RefCell::new(Stage::Waiting),
            deadline: Cell::new(pool.options.deadline),
            idempotent: Cell::new(false),
            pid: Cell::new(None),
            tries: Cell::new(0),
            kills: Cell::new(0),
            done: crate::queue().completion(),
        };
        Job { work: Rc::new(work), pool: Rc::downgrade(pool) }
    }

    /// Sets the priority: higher comes first, equal in the order of submission. 0 unless set.
    pub fn priority(self, priority: i32) -> Self {
        self.set_priority(priority);
        self
    }

    /// Gives the job this long in a worker, by the clock. A worker that is over it is killed, the job
    /// settled with [`ErrorKind::Deadline`](crate::ErrorKind::Deadline), and another worker takes over.
    ///
    /// The time before, in the line, does not count.
    pub fn deadline(self, deadline: Duration) -> Self {
        self.work.deadline.set(Some(deadline));
        self
    }

    /// Says that the job may be done twice: it is tried again when its worker dies, and given to another worker when
    /// the one before it in its worker's hand takes long.
    ///
    /// See [`Builder::retries`](super::Builder::retries) for how often, and
    /// [`Builder::poison_after`](super::Builder::poison_after) for one that kills its workers.
    pub fn idempotent(self) -> Self {
        self.work.idempotent.set(true);
        self
    }

    /// Calls back with the answer or the reason why there is none, in a turn of the queue.
    pub fn on_done(self, callback: impl FnOnce(Result<Rep>) + 'static) -> Self {
        self.work.done.on_ready(callback);
        self
    }

    /// Gives the completion that the job settles: to be waited for, or passed on.
    pub fn completion(&self) -> Completion<Rep> {
        self.work.done.clone()
    }

    /// Changes the priority of a job that waits, or may have to again.
    ///
    /// For many at once there is [`Pool::reprioritise`](super::Pool::reprioritise).
    pub fn set_priority(&self, priority: i32) {
        match self.pool.upgrade() {
            Some(pool) => pool.set_priority(&self.work, priority),
            None => self.work.place.set_priority(priority),
        }
    }

    /// Settles the job with [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), if it is not yet.
    ///
    /// One that waits is dropped. If it runs, the worker is told, and killed if it has not answered within
    /// the pool's [grace](super::Builder::grace); another worker takes over.
    pub fn cancel(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.cancel(&self.work);
        }
    }

    /// Tells whether it is settled.
    pub fn is_settled(&self) -> bool {
        self.work.is_settled()
    }

    /// The process id of the worker that has it in hand, or had it last.
    pub fn worker(&self) -> Option<u32> {
        self.work.pid.get()
    }

    pub(super) fn is_of(&self, pool: &Rc<Shared<Req, Rep>>) -> bool {
        std::ptr::eq(self.pool.as_ptr(), Rc::as_ptr(pool))
    }

    pub(super) fn work(&self) -> &Rc<Work<Req, Rep>> {
        &self.work
    }
}

impl<Req, Rep> Work<Req, Rep> {
    pub fn request(&self) -> Option<Rc<Req>> {
        self.request.borrow().clone()
    }

    pub fn is_settled(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Settled)
    }

    /// The worker that has it in hand.
    pub fn worker(&self) -> Option<Rc<Worker<Req, Rep>>> {
        match &*self.stage.borrow() {
            Stage::Running(worker) => worker.upgrade(),
            _ => None,
        }
    }

    pub fn set_stage(&self, stage: Stage<Req, Rep>) {
        drop(self.stage.replace(stage));
    }

    pub fn given_to(&self, worker: &Rc<Worker<Req, Rep>>, pid: Option<u32>) {
        self.pid.set(pid);
        self.set_stage(Stage::Running(Rc::downgrade(worker)));
    }

    pub fn time(&self) -> Option<Duration> {
        self.deadline.get()
    }

    pub fn is_idempotent(&self) -> bool {
        self.idempotent.get()
    }

    /// Notes that a worker ended with this in hand, and by whose doing.
    pub fn lost(&self, own_doing: bool) -> Loss {
        self.tries.set(self.tries.get() + 1);
        self.kills.set(self.kills.get() + u32::from(own_doing));
        Loss { idempotent: self.idempotent.get(), tries: self.tries.get(), kills: self.kills.get() }
    }
}

/// How often workers have ended with a job in hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub idempotent: bool,
    pub tries: u32,
    pub kills: u32,
}

impl<Req, Rep: 'static> Work<Req, Rep> {
    /// Settles the job, if it is not yet; gives what it asked for.
    pub fn settle(&self, result: Result<Rep>) -> Option<Rc<Req>> {
        if matches!(self.stage.replace(Stage::Settled), Stage::Settled) {
            return None;
        }
        let request = self.request.take();
        match result {
            Ok(reply) => self.done.send(reply),
            Err(error) => self.done.fail(error),
        }
        request
    }
}

impl<Req, Rep> Waits for Work<Req, Rep> {
    fn place(&self) -> &Place {
        &self.place
    }
}

impl<Req, Rep: 'static> Future for Job<Req, Rep> {
    type Output = Result<Rep>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Rep>> {
        Pin::new(&mut self.work.done.clone()).poll(context)
    }
}

impl<Req, Rep> Clone for Job<Req, Rep> {
    fn clone(&self) -> Self {
        Job { work: Rc::clone(&self.work), pool: Weak::clone(&self.pool) }
    }
}

impl<Req, Rep> fmt::Debug for Job<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &*self.work.stage.borrow() {
            Stage::Waiting => "waiting",
            Stage::Running(_) => "running",
            Stage::Settled => "settled",
        };
        write!(f, "Job({stage}, priority {})", self.work.place.priority())
    }
}
