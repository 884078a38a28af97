//! Flow 1: one descriptor number: who watches it, and what the kernel knows of it.

use super::io::Interest;
use crate::sys::epoll::Number;
use rustix::io::{Errno, Result};
use std::num::NonZeroU64;

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
    /// Which file the number named when the last of its watchers went to rest, and the kernel was let
    /// forget it.
    pub(super) rested: Option<NonZeroU64>,
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
        rested: None,
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

    /// To be called when all watchers rest: notes which file they mean.
    pub(super) fn rest(&mut self, number: Number) -> Result<()> {
        let file = number.file()?;
        if self.rested.replace(file).is_some_and(|before| before != file) {
            self.rested = None;
            return Err(Errno::NOENT);
        }
        Ok(())
    }

    /// To be called when they rest no more: tells whether the number still names that file.
    pub(super) fn is_as_it_rested(&mut self, number: Number) -> bool {
        self.rested.take().is_none_or(|before| number.file() == Ok(before))
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
