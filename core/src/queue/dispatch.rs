//! Flow 1: the turn. What is due is looked for once, then run.
//!
//! ```text
//!            fetch, collect                 run, run, …
//!   Idle ───────────────────▶ Due is full ─────────────▶ Due is empty ──▶ Idle
//!    ▲                            │ budget is over            ▲
//!    └────────────────────────────┘ (the next dispatch goes on from here)
//! ```
//! What callbacks make while a turn runs is found by a later one. So none of timers, posts and
//! descriptors can keep the others waiting for more than a turn, and no budget changes that.

use super::due::{Callback, take_over};
use super::{Core, Queue, clock};
use crate::log::note;
use crate::{Error, ErrorKind, Result};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

impl Queue {
    /// Runs what is due, without waiting; gives the number of callbacks that ran.
    ///
    /// One call is one turn: each descriptor, timer and post that is ready when it begins.
    ///
    /// # Errors
    /// The queue itself is broken or cannot be used here; it is not used up by it.
    /// - [`Misuse`](ErrorKind::Misuse): called inside a callback of this queue. The descriptor is not
    ///   readable from then on until that callback has returned, so that a loop inside it sleeps.
    /// - [`WrongProcess`](ErrorKind::WrongProcess): the queue was inherited through a fork.
    /// - [`System`](ErrorKind::System): the kernel has no descriptors or memory left.
    ///
    /// # Panics
    /// With the first panic of a callback, after the others of this turn have run. The queue can be
    /// used as before; what panicked is still watched.
    pub fn dispatch(&self) -> Result<usize> {
        self.core.turn(Wait::No, None)
    }

    /// Runs what is due until `budget` is used up: at least one callback if there is one.
    ///
    /// What is left stays due, the descriptor stays readable, and the next call goes on where this
    /// one stopped.
    ///
    /// # Errors
    /// As [`dispatch`](Queue::dispatch).
    ///
    /// # Panics
    /// As [`dispatch`](Queue::dispatch).
    pub fn dispatch_for(&self, budget: Duration) -> Result<usize> {
        self.core.turn(Wait::No, Some(budget))
    }

    /// The embedded loop: waits until something is due, up to `timeout`, and runs it.
    ///
    /// Gives the number of callbacks that ran: 0 when the time has passed, and now and then after a
    /// signal. Without a timeout and without anything to wait for it waits for posts of other
    /// threads.
    ///
    /// # Errors
    /// As [`dispatch`](Queue::dispatch).
    ///
    /// # Panics
    /// As [`dispatch`](Queue::dispatch).
    pub fn turn(&self, timeout: Option<Duration>) -> Result<usize> {
        self.core.turn(Wait::UpTo(timeout.map(clock::nanos)), None)
    }

    /// The embedded loop: turns until `done` says so. It is asked before each turn.
    ///
    /// # Errors
    /// As [`dispatch`](Queue::dispatch).
    ///
    /// # Panics
    /// As [`dispatch`](Queue::dispatch).
    pub fn run_until(&self, mut done: impl FnMut() -> bool) -> Result<()> {
        while !done() {
            self.turn(None)?;
        }
        Ok(())
    }
}

/// Whether a turn waits for something to be due, in nanoseconds.
#[derive(Clone, Copy)]
enum Wait {
    No,
    UpTo(Option<u64>),
}

/// The mark of a running turn; goes when it ends, however it ends.
struct Running<'a>(&'a Cell<bool>);

impl<'a> Running<'a> {
    fn begin(core: &'a Core) -> Result<Self> {
        if core.dispatching.replace(true) {
            core.rest();
            let message = "dispatch was called inside a callback of the same queue";
            return Err(Error::new(ErrorKind::Misuse, message));
        }
        Ok(Running(&core.dispatching))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Core {
    fn turn(self: &Rc<Self>, wait: Wait, budget: Option<Duration>) -> Result<usize> {
        self.check()?;
        // A callback may drop the last handle.
        let core = Rc::clone(self);
        let running = Running::begin(&core)?;
        let _span = tracing::trace_span!("turn").entered();
        let mut caught = Caught(None);
        let collected = core.collect(wait);
        let mut count = core.run_due(budget, &mut caught);
        let embedded = matches!(wait, Wait::UpTo(_));
        if count == 0 && (embedded || !core.hosts.borrow().serve_idle()) {
            count = core.run_idle(budget, &mut caught);
        }
        drop(running);
        core.changed();
        note!(TRACE "turn", callbacks = count);
        caught.resume();
        collected.map(|()| count)
    }

    /// A turn of idle watchers alone.
    pub(super) fn idle_turn(self: &Rc<Self>, budget: Option<Duration>) -> Result<usize> {
        self.check()?;
        let core = Rc::clone(self);
        let running = Running::begin(&core)?;
        core.now.set(clock::read());
        let mut caught = Caught(None);
        let count = core.run_idle(budget, &mut caught);
        drop(running);
        core.changed();
        caught.resume();
        Ok(count)
    }

    /// Fills `due`, unless an earlier turn left some.
    fn collect(&self, wait: Wait) -> Result<()> {
        let mut due = self.due.borrow_mut();
        let mut timers = self.timers.borrow_mut();
        if !due.is_empty() || timers.are_due() {
            self.now.set(clock::read());
            return Ok(());
        }
        let timeout = self.timeout(wait, timers.earliest()).map(clock::timespec);
        let mut poller = self.poller.borrow_mut();
        let fetched = poller.fetch(timeout.as_ref(), &mut due);
        self.now.set(clock::read());
        timers.begin_turn(self.now.get());
        take_over(&mut due.posts, &mut self.posts.borrow_mut());
        let fetched = fetched.map_err(|errno| Error::system("wait for descriptors", errno))?;
        if fetched.rung {
            self.bell.collect(&mut due);
            self.signals.borrow().collect(&mut due);
        }
        if fetched.stuck {
            let renewed = poller.renew(&self.outer, self.hosted.get());
            renewed.map_err(|errno| Error::system("renew the queue's epoll set", errno))?;
        }
        Ok(())
    }

    /// How many nanoseconds the kernel may wait for descriptors.
    fn timeout(&self, wait: Wait, deadline: Option<u64>) -> Option<u64> {
        let Wait::UpTo(limit) = wait else { return Some(0) };
        if !self.posts.borrow().is_empty() || !self.idles.borrow().is_empty() {
            return Some(0);
        }
        let left = deadline.map(|deadline| deadline.saturating_sub(clock::read()));
        left.into_iter().chain(limit).min()
    }

    /// Runs callbacks until none is left or the budget is used up.
    fn run_due(&self, budget: Option<Duration>, caught: &mut Caught) -> usize {
        let end = self.end(budget);
        let mut count = 0;
        loop {
            let Some(callback) = self.next() else { break };
            count += usize::from(self.run(callback, caught));
            if count > 0 && end.is_some_and(|end| clock::read() >= end) {
                break;
            }
        }
        count
    }

    /// Takes the turn's next callback.
    fn next(&self) -> Option<Callback> {
        match self.timers.borrow_mut().start(self.now.get()) {
            Some((key, call)) => Some(Callback::Timer(key, call)),
            None => self.due.borrow_mut().pop(),
        }
    }

    /// Runs each idle watcher once, or until the budget is used up.
    fn run_idle(&self, budget: Option<Duration>, caught: &mut Caught) -> usize {
        let end = self.end(budget);
        let mut count = 0;
        let round = self.idles.borrow().round();
        for _ in 0..round {
            let next = self.idles.borrow_mut().start();
            let Some((key, mut call)) = next else { continue };
            count += 1;
            let nanos = self.timed(|| caught.run(&mut call));
            let ended = self.idles.borrow_mut().calls.finish(key, call, nanos);
            caught.drop(ended);
            if end.is_some_and(|end| clock::read() >= end) {
                break;
            }
        }
        count
    }

    /// Runs a callback and gives the nanoseconds that it took; 0 if nobody asked for them.
    fn timed(&self, run: impl FnOnce()) -> u64 {
        if !self.timing.get() {
            run();
            return 0;
        }
        let begin = clock::read();
        run();
        clock::read() - begin
    }

    fn end(&self, budget: Option<Duration>) -> Option<u64> {
        budget.map(|budget| self.now.get().saturating_add(clock::nanos(budget)))
    }

    /// Runs one callback, unless it was cancelled since it fell due.
    fn run(&self, callback: Callback, caught: &mut Caught) -> bool {
        match callback {
            Callback::Post(post) => caught.run(post),
            Callback::Timer(key, mut call) => {
                let nanos = self.timed(|| caught.run(|| call.call()));
                let ended = self.timers.borrow_mut().finish(key, call, nanos);
                caught.drop(ended);
            }
            Callback::Signal(key) => {
                let call = self.signals.borrow_mut().calls.start(key);
                let Some(mut call) = call else { return false };
                let nanos = self.timed(|| caught.run(&mut call));
                let ended = self.signals.borrow_mut().calls.finish(key, call, nanos);
                caught.drop(ended);
            }
            Callback::Io(key, readiness) => {
                let call = self.poller.borrow_mut().start(key, readiness);
                let Some(mut call) = call else { return false };
                let nanos = self.timed(|| caught.run(|| call.call(readiness)));
                let ended = self.poller.borrow_mut().finish(key, call, nanos);
                caught.drop(ended);
            }
        }
        true
    }
}

/// The first panic of a turn, kept until its other callbacks have run.
struct Caught(Option<Box<dyn Any + Send>>);

impl Caught {
    fn run(&mut self, callback: impl FnOnce()) {
        // What a callback leaves behind when it panics is its own; the queue lent it nothing.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(callback)) {
            self.0.get_or_insert(panic);
        }
    }

    /// Drops what belongs to the user, whose destructors may panic too.
    fn drop<T>(&mut self, ended: Option<T>) {
        if let Some(ended) = ended {
            self.run(|| drop(ended));
        }
    }

    fn resume(self) {
        if let Some(panic) = self.0 {
            resume_unwind(panic);
        }
    }
}
