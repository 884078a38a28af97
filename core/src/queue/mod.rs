//! Flow 1, host loop → readiness descriptor → `dispatch` → callbacks. Knows nothing of processes.
//!
//! ```text
//! as_fd ─ outer epoll ─┬─ timerfd: when dispatch has to be called, for host loops
//!                      └─ inner epoll ─┬─ eventfd: the bell, rung by other threads
//!                                      └─ what io watchers watch
//! ```
//! The embedded loop waits on the inner one with a timeout, so it needs no timerfd; and the inner
//! one can be replaced (see `poller`) without a host loop's noticing.

mod account;
mod attachment;
mod calls;
mod child;
mod clock;
mod completion;
mod dispatch;
mod due;
mod entry;
mod idle;
mod io;
mod own;
mod poller;
mod posts;
mod signal;
mod slab;
mod timer;
mod timers;
mod weak;

pub use account::{Watching, What};
pub use attachment::Attachment;
pub use child::Child;
pub use completion::Completion;
pub use idle::Idle;
pub use io::{Interest, Io, Readiness};
pub(crate) use own::own_descriptors;
pub(crate) use posts::post_to_all;
pub use posts::{Closed, Poster};
pub use signal::Signal;
pub use timer::Timer;
pub use weak::WeakQueue;

use crate::sys::epoll::{EventFlags, Number, Set, Token};
use crate::sys::stamp::stamp;
use crate::{Error, ErrorKind, Result};
use attachment::Hosts;
use due::Due;
use idle::Idles;
use own::Own;
use poller::Poller;
use posts::Bell;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use signal::Signals;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use timers::Timers;

/// One readiness descriptor and the callbacks that are due.
///
/// The descriptor ([`AsFd`]) is readable exactly while [`dispatch`](Queue::dispatch) has something
/// to do, timers and posts of other threads included: a host loop polls it for reading, calls
/// `dispatch` when it is, and needs no timeout. The descriptor stays the same as long as the queue.
///
/// A queue is a handle that can be cloned; it lives as long as one of them does. Watchers do not
/// keep it alive. It belongs to one thread and to the process that made it.
#[derive(Clone)]
pub struct Queue {
    core: Rc<Core>,
}

struct Core {
    /// What host loops poll.
    outer: Own<Set>,
    timerfd: Own<OwnedFd>,
    bell: Arc<Bell>,
    poller: RefCell<Poller>,
    timers: RefCell<Timers>,
    posts: RefCell<VecDeque<Box<dyn FnOnce()>>>,
    signals: RefCell<Signals>,
    idles: RefCell<Idles>,
    hosts: RefCell<Hosts>,
    /// What the last turn left for want of budget. Nothing new is looked for before it has run.
    due: RefCell<Due>,
    /// When the turn began, in nanoseconds; has a meaning while `dispatching` only.
    now: Cell<u64>,
    dispatching: Cell<bool>,
    /// Somebody has asked for the descriptor: its readiness is kept true.
    hosted: Cell<bool>,
    /// A loop inside a callback has asked for a turn: it is let sleep until the callback returns.
    resting: Cell<bool>,
    /// Whether the time of callbacks is noted.
    timing: Cell<bool>,
    /// What the host loop that serves idleness was told last.
    idle_told: Cell<bool>,
    /// What the timerfd is set to: the earliest deadline, or one long past if more is to be done.
    armed: Cell<Option<u64>>,
    epoch: clock::Epoch,
    pid: u32,
    stamp: u32,
}

impl Queue {
    /// Makes a queue besides the thread's own, which [`queue`] gives.
    ///
    /// It takes four descriptors.
    ///
    /// # Errors
    /// [`System`](ErrorKind::System): no descriptors or memory are left.
    pub fn new() -> Result<Queue> {
        let core = Core::new().map_err(|errno| Error::system("make a queue", errno))?;
        Ok(Queue { core: Rc::new(core) })
    }
}

impl Core {
    fn new() -> rustix::io::Result<Self> {
        let outer = Own::new(Set::new()?);
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timerfd = Own::new(timerfd_create(TimerfdClockId::Monotonic, flags)?);
        let token = Token { number: Number::of(timerfd.as_fd()), generation: 0 };
        outer.add(token, EventFlags::IN)?;
        let bell = Bell::new()?;
        let poller = Poller::new(bell.as_fd())?;
        poller.report_to(&outer, false)?;
        Ok(Core {
            outer,
            timerfd,
            bell: Arc::new(bell),
            poller: RefCell::new(poller),
            timers: RefCell::new(Timers::new()),
            posts: RefCell::default(),
            signals: RefCell::new(Signals::new()),
            idles: RefCell::new(Idles::new()),
            hosts: RefCell::default(),
            due: RefCell::default(),
            now: Cell::new(0),
            dispatching: Cell::new(false),
            hosted: Cell::new(false),
            resting: Cell::new(false),
            timing: Cell::new(false),
            idle_told: Cell::new(false),
            armed: Cell::new(None),
            epoch: clock::Epoch::now(),
            pid: std::process::id(),
            stamp: stamp(),
        })
    }

    /// Tells whether this is the process that made the queue.
    fn check(&self) -> Result<()> {
        if self.stamp == stamp() {
            return Ok(());
        }
        let (owner, here) = (self.pid, std::process::id());
        let message = format!("tine's queue of process {owner} cannot be used in process {here}");
        Err(Error::new(ErrorKind::WrongProcess, message))
    }

    fn now(&self) -> u64 {
        if self.dispatching.get() { self.now.get() } else { clock::read() }
    }

    /// To be called after a change from outside a turn: the host loop may poll next.
    fn changed(&self) {
        if self.hosted.get() && !self.dispatching.get() && self.check().is_ok() {
            self.hand_back();
        }
    }

    /// To be called after the first idle watcher came, or the last one went.
    fn idle_changed(&self) {
        let want_idle = self.hosts.borrow().want_idle();
        let wanted = !self.idles.borrow().is_empty() && !self.resting.get();
        match want_idle {
            None => self.changed(),
            Some(want_idle) if self.idle_told.replace(wanted) != wanted => want_idle(wanted),
            Some(_) => {}
        }
    }

    /// Lets a loop that runs inside a callback sleep: there is nothing for it to do here before that
    /// returns.
    fn rest(&self) {
        if !self.hosted.get() || self.resting.replace(true) {
            return;
        }
        let hidden = self.poller.borrow().report_to(&self.outer, false);
        debug_assert!(hidden.is_ok(), "{hidden:?}");
        if self.armed.take().is_some() {
            self.arm(None);
        }
        self.idle_changed();
    }

    /// The turn is over that was rested in.
    fn wake(&self) {
        if self.resting.replace(false) {
            let reports = self.poller.borrow().report_to(&self.outer, true);
            debug_assert!(reports.is_ok(), "{reports:?}");
            self.idle_changed();
        }
    }

    /// Makes the descriptor readable if there is something to do, or for when there will be.
    fn hand_back(&self) {
        self.wake();
        self.poller.borrow_mut().make_sure();
        self.due.borrow_mut().settle(&self.signals.borrow(), &self.poller.borrow());
        let waiting = !self.due.borrow().is_empty()
            || self.timers.borrow_mut().are_due()
            || !self.posts.borrow().is_empty()
            || (!self.idles.borrow().is_empty() && !self.hosts.borrow().serve_idle());
        let earliest = if waiting { Some(0) } else { self.timers.borrow_mut().earliest() };
        if self.armed.replace(earliest) != earliest {
            self.arm(earliest);
        }
    }

    fn arm(&self, deadline: Option<u64>) {
        // 0 would disarm it, and is long past anyway.
        let nanos = deadline.map_or(0, |deadline| deadline.max(1));
        let (it_interval, it_value) = (clock::timespec(0), clock::timespec(nanos));
        let spec = Itimerspec { it_interval, it_value };
        // The descriptor is a timerfd and the time is in range, so there is nothing to refuse.
        let _set = timerfd_settime(&self.timerfd, TimerfdTimerFlags::ABSTIME, &spec);
    }

    /// From now on a host loop may poll the descriptor.
    fn host(&self) {
        if self.check().is_err() || self.hosted.replace(true) {
            return;
        }
        // The registration exists since `new`; to change its flags takes no memory.
        let reports = self.poller.borrow().report_to(&self.outer, true);
        debug_assert!(reports.is_ok(), "{reports:?}");
        self.changed();
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.host();
        self.core.outer.as_fd()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.core.check().is_err() {
            // What the core would close, or take out of epoll sets, is the other process's; and
            // its numbers may by now be those of other files here.
            std::mem::forget(Rc::clone(&self.core));
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        drop(self.bell.close());
        // Signal handlers have to let go of the bell before it may close.
        drop(self.signals.replace(Signals::new()));
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("fd", &self.core.outer.as_fd()).finish_non_exhaustive()
    }
}

thread_local! {
    static QUEUE: RefCell<Option<Queue>> = const { RefCell::new(None) };
}

/// This thread's queue, made on first use. A forked process gets one of its own.
///
/// # Panics
/// When no descriptors are left to make it, as a thread cannot start without memory. Make it early,
/// or use [`Queue::new`], where that matters.
pub fn queue() -> Queue {
    // A thread that ends has no place to keep a queue any more; whoever asks gets one for himself.
    QUEUE.try_with(thread_queue).unwrap_or_else(|_| new_queue())
}

fn thread_queue(kept: &RefCell<Option<Queue>>) -> Queue {
    if let Some(queue) = &*kept.borrow()
        && queue.core.check().is_ok()
    {
        return queue.clone();
    }
    let queue = new_queue();
    posts::note(&queue);
    let inherited = kept.replace(Some(queue.clone()));
    drop(inherited);
    queue
}

fn new_queue() -> Queue {
    Queue::new().unwrap_or_else(|error| panic!("{error}"))
}

/// This thread's queue, if it has one.
pub(crate) fn existing() -> Option<Queue> {
    let kept = QUEUE.try_with(|kept| kept.borrow().clone()).ok().flatten();
    kept.filter(|queue| queue.core.check().is_ok())
}
