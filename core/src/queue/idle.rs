//! Flow 1: watchers that run when nothing else is to be done.

use super::account::{Watching, What};
use super::calls::Calls;
use super::slab::Key;
use super::{Core, Queue};
use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::rc::{Rc, Weak};

/// The idle watchers of a queue.
pub(super) struct Idles {
    pub(super) calls: Calls,
    /// Who runs next is first; may hold keys of watchers that are gone.
    order: VecDeque<Key>,
}

impl Idles {
    pub(super) fn new() -> Self {
        Idles { calls: Calls::new(), order: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn watching(&self) -> impl Iterator<Item = Watching> {
        self.order.iter().filter_map(|key| self.calls.watching(*key, What::Idle))
    }

    /// How many may run in one turn.
    pub(super) fn round(&self) -> usize {
        self.order.len()
    }

    /// Takes what the first watcher runs, and puts it last. Not fair to the first ones only: a
    /// budget that ends each turn early gets to all of them in the end.
    pub(super) fn start(&mut self) -> Option<(Key, Box<dyn FnMut()>)> {
        let key = self.order.pop_front()?;
        let call = self.calls.start(key)?;
        self.order.push_back(key);
        Some((key, call))
    }
}

/// A watcher of idleness; dropping it ends it at once.
#[must_use = "dropping a watcher ends it"]
pub struct Idle {
    core: Weak<Core>,
    key: Option<Key>,
}

impl Queue {
    /// Calls back in each turn that finds nothing else to do, until the watcher is dropped.
    ///
    /// So a program with an idle watcher does not sleep: drop it when there is nothing left to do.
    #[track_caller]
    pub fn idle(&self, callback: impl FnMut() + 'static) -> Idle {
        let place = Location::caller();
        let mut idles = self.core.idles.borrow_mut();
        let key = idles.calls.insert(place, Box::new(callback));
        idles.order.push_back(key);
        drop(idles);
        self.core.idle_changed();
        Idle { core: Rc::downgrade(&self.core), key: Some(key) }
    }
}

impl Idle {
    /// Lets the watcher live as long as the queue.
    pub fn detach(mut self) {
        self.key = None;
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let (Some(core), Some(key)) = (self.core.upgrade(), self.key) else { return };
        let call = core.idles.borrow_mut().calls.remove(key);
        core.idle_changed();
        drop(call);
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}
