//! Flow 1: what a turn has found to do and not yet done.

use super::io::Readiness;
use super::poller::Poller;
use super::signal::Signals;
use super::slab::Key;
use super::timers::TimerCall;
use std::collections::VecDeque;

/// A callback that is to run.
pub(super) enum Callback {
    Timer(Key, Box<dyn TimerCall>),
    Post(Box<dyn FnOnce()>),
    Signal(Key),
    Io(Key, Readiness),
}

/// The rest of a turn, but for its timers, which run first, and which [`Timers`](super::timers::Timers) has in order.
/// Then posts, signal and io watchers.
#[derive(Default)]
pub(super) struct Due {
    pub(super) posts: VecDeque<Box<dyn FnOnce()>>,
    /// Posts of other threads.
    pub(super) sent: VecDeque<Box<dyn FnOnce() + Send>>,
    pub(super) signals: VecDeque<Key>,
    pub(super) io: VecDeque<(Key, Readiness)>,
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        self.posts.is_empty()
            && self.sent.is_empty()
            && self.signals.is_empty()
            && self.io.is_empty()
    }

    /// Forgets what was cancelled since it fell due, up to the first callback that is still to run.
    pub(super) fn settle(&mut self, signals: &Signals, poller: &Poller) {
        cut(&mut self.signals, |key| signals.calls.has(*key));
        cut(&mut self.io, |(key, readiness)| poller.is_due(*key, *readiness));
    }

    pub(super) fn pop(&mut self) -> Option<Callback> {
        if let Some(post) = self.posts.pop_front() {
            Some(Callback::Post(post))
        } else if let Some(post) = self.sent.pop_front() {
            Some(Callback::Post(post))
        } else if let Some(key) = self.signals.pop_front() {
            Some(Callback::Signal(key))
        } else {
            self.io.pop_front().map(|(key, readiness)| Callback::Io(key, readiness))
        }
    }
}

/// Posts that keep their room when they have run.
const KEPT: usize = 4096;

/// Takes over what was posted, however much that is, and leaves room for more.
pub(super) fn take_over<T>(due: &mut VecDeque<T>, posted: &mut VecDeque<T>) {
    debug_assert!(due.is_empty());
    due.shrink_to(KEPT);
    std::mem::swap(due, posted);
}

/// Cuts off what comes before the first that is still to run.
fn cut<T>(due: &mut VecDeque<T>, is_due: impl Fn(&T) -> bool) {
    while due.front().is_some_and(|first| !is_due(first)) {
        due.pop_front();
    }
}
