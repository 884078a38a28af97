//! Flow 1: the watcher of a deadline, and the clock that it goes by.

use super::slab::Key;
use super::timers::TimerCall;
use super::{Core, Queue, clock};
use std::fmt;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

struct Once<F>(Option<F>);

impl<F: FnOnce()> TimerCall for Once<F> {
    fn call(&mut self) {
        if let Some(callback) = self.0.take() {
            callback();
        }
    }

    fn interval(&self) -> Option<u64> {
        None
    }
}

struct Every<F> {
    interval: u64,
    callback: F,
}

impl<F: FnMut()> TimerCall for Every<F> {
    fn call(&mut self) {
        (self.callback)();
    }

    fn interval(&self) -> Option<u64> {
        Some(self.interval)
    }
}

/// A watcher of a deadline; dropping it ends it at once.
#[must_use = "dropping a timer ends it"]
pub struct Timer {
    core: Weak<Core>,
    key: Option<Key>,
}

impl Queue {
    /// Calls back once, when `delay` has passed since [`now`](Queue::now).
    ///
    /// Even a delay of zero ends in a later turn. Equal deadlines are kept in the order in which
    /// they were set.
    #[track_caller]
    pub fn after(&self, delay: Duration, callback: impl FnOnce() + 'static) -> Timer {
        self.timer(delay, Box::new(Once(Some(callback))), Location::caller())
    }

    /// Calls back each time that `interval` has passed, first one interval from now.
    ///
    /// The deadlines are whole intervals apart. A turn that comes late makes good for all that it
    /// missed by one call; an interval of zero gives a call in each turn.
    #[track_caller]
    pub fn every(&self, interval: Duration, callback: impl FnMut() + 'static) -> Timer {
        let every = Every { interval: clock::nanos(interval).max(1), callback };
        self.timer(interval, Box::new(every), Location::caller())
    }

    fn timer(
        &self,
        delay: Duration,
        call: Box<dyn TimerCall>,
        place: &'static Location<'static>,
    ) -> Timer {
        let deadline = self.core.now().saturating_add(clock::nanos(delay));
        let key = self.core.timers.borrow_mut().insert(deadline, place, call);
        self.core.changed();
        Timer { core: Rc::downgrade(&self.core), key: Some(key) }
    }

    /// The time that timers are set by: in a callback when its turn began, elsewhere the clock's.
    pub fn now(&self) -> Instant {
        self.core.epoch.instant(self.core.now())
    }

    /// The time by the clock, which runs on in a callback.
    pub fn time(&self) -> Instant {
        self.core.epoch.instant(clock::read())
    }

    /// Brings [`now`](Queue::now) up to the clock: for a callback that takes long and then sets
    /// timers.
    pub fn update_now(&self) {
        self.core.now.set(clock::read());
    }
}

impl Timer {
    /// Puts the deadline to `delay` from [`now`](Queue::now), sooner or later than it was; an
    /// interval goes on from there. Tells whether the timer still had to run.
    ///
    /// Putting it off is cheap: a timer that guards each step of a long job may be reset at each.
    pub fn reset(&self, delay: Duration) -> bool {
        let (Some(core), Some(key)) = (self.core.upgrade(), self.key) else { return false };
        let deadline = core.now().saturating_add(clock::nanos(delay));
        let reset = core.timers.borrow_mut().reset(key, deadline);
        core.changed();
        reset
    }

    /// Lets the timer live until it has run, or as long as the queue.
    pub fn detach(mut self) {
        self.key = None;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let (Some(core), Some(key)) = (self.core.upgrade(), self.key) else { return };
        let call = core.timers.borrow_mut().remove(key);
        core.changed();
        drop(call);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
