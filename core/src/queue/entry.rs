//! Flow 1: one descriptor number: who watches it, and what the kernel knows of it.

use super::io::Interest;

/// The end of an entry's list of watchers.
pub(super) const END: u32 = u32::MAX;

/// What is watched under one descriptor number.
pub(super) struct Entry {
    pub(super) generation: u32,
    /// The ends of the list of watchers, oldest first.
    pub(super) first: u32,
    pub(super) last: u32,
    /// How many of them want to read, and to write.
    pub(super) readers: u32,
    pub(super) writers: u32,
    /// The first watcher that came since the kernel was asked whether the number still names the
    /// file that it registered.
    pub(super) unsure: u32,
    /// The round in which the kernel was asked last.
    pub(super) asked: u32,
    /// What the kernel was asked for; nothing if it does not know the descriptor.
    pub(super) registered: Interest,
    pub(super) reports: u8,
}

impl Entry {
    pub(super) const EMPTY: Entry = Entry {
        generation: 0,
        first: END,
        last: END,
        readers: 0,
        writers: 0,
        unsure: END,
        asked: 0,
        registered: Interest::NONE,
        reports: 0,
    };

    pub(super) fn wanted(&self) -> Interest {
        let mut wanted = Interest::NONE;
        if self.readers > 0 {
            wanted = wanted | Interest::READABLE;
        }
        if self.writers > 0 {
            wanted = wanted | Interest::WRITABLE;
        }
        wanted
    }

    pub(super) fn count(&mut self, interest: Interest) {
        self.readers += u32::from(interest.has(Interest::READABLE));
        self.writers += u32::from(interest.has(Interest::WRITABLE));
    }

    pub(super) fn discount(&mut self, interest: Interest) {
        self.readers -= u32::from(interest.has(Interest::READABLE));
        self.writers -= u32::from(interest.has(Interest::WRITABLE));
    }
}
