//! Flow 1: watchers that are no more than a callback: of signals, and of idleness.

use super::account::{Account, Watching, What};
use super::slab::{Key, Slab};
use std::panic::Location;

struct Slot {
    /// Away while it runs.
    call: Option<Box<dyn FnMut()>>,
    account: Account,
}

/// Callbacks of one kind.
pub(super) struct Calls(Slab<Slot>);

impl Calls {
    pub(super) fn new() -> Self {
        Calls(Slab::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.0.get(key).is_some()
    }

    pub(super) fn insert(
        &mut self,
        place: &'static Location<'static>,
        call: Box<dyn FnMut()>,
    ) -> Key {
        self.0.insert(Slot { call: Some(call), account: Account::new(place) })
    }

    /// Ends a watcher. What it would have run is the caller's, to drop where no borrow is held.
    pub(super) fn remove(&mut self, key: Key) -> Option<Box<dyn FnMut()>> {
        self.0.remove(key)?.call
    }

    pub(super) fn start(&mut self, key: Key) -> Option<Box<dyn FnMut()>> {
        self.0.get_mut(key)?.call.take()
    }

    /// Puts back what ran. It comes back out if the watcher was ended meanwhile.
    pub(super) fn finish(
        &mut self,
        key: Key,
        call: Box<dyn FnMut()>,
        nanos: u64,
    ) -> Option<Box<dyn FnMut()>> {
        match self.0.get_mut(key) {
            Some(slot) => {
                slot.account.note(nanos);
                slot.call.replace(call)
            }
            None => Some(call),
        }
    }

    pub(super) fn watching(&self, key: Key, what: What) -> Option<Watching> {
        self.0.get(key).map(|slot| slot.account.watching(what))
    }
}
