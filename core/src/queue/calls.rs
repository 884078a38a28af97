//! Flow 1: watchers that are no more than a callback: of signals, and of idleness.

use super::slab::{Key, Slab};
use std::panic::Location;

struct Slot {
    /// Away while it runs.
    call: Option<Box<dyn FnMut()>>,
    #[expect(dead_code, reason = "for the report of watchers")]
    place: &'static Location<'static>,
    calls: u32,
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

    pub(super) fn insert(
        &mut self,
        place: &'static Location<'static>,
        call: Box<dyn FnMut()>,
    ) -> Key {
        self.0.insert(Slot { call: Some(call), place, calls: 0 })
    }

    /// Ends a watcher. What it would have run is the caller's, to drop where no borrow is held.
    pub(super) fn remove(&mut self, key: Key) -> Option<Box<dyn FnMut()>> {
        self.0.remove(key)?.call
    }

    pub(super) fn start(&mut self, key: Key) -> Option<Box<dyn FnMut()>> {
        let slot = self.0.get_mut(key)?;
        slot.calls = slot.calls.wrapping_add(1);
        slot.call.take()
    }

    /// Puts back what ran. It comes back out if the watcher was ended meanwhile.
    pub(super) fn finish(&mut self, key: Key, call: Box<dyn FnMut()>) -> Option<Box<dyn FnMut()>> {
        match self.0.get_mut(key) {
            Some(slot) => slot.call.replace(call),
            None => Some(call),
        }
    }
}
