//! Flow 2: what a template knows of each child, until it has told the child's end.

use std::time::Instant;

use super::stderr::Stderr;
use crate::sys::Reaped;
use crate::wire::{Ended, Message};

/// A process that the template has forked.
pub(super) struct Child {
    /// The link over which it was asked for.
    pub link: u64,
    /// The app's name for it.
    pub id: u64,
    pub stderr: Stderr,
    pub born: Instant,
}

impl Child {
    /// The exit report.
    pub fn ended(&self, reaped: &Reaped) -> Message<'_> {
        Message::Ended(Ended {
            pid: reaped.pid.as_raw_nonzero().get() as u32,
            status: reaped.status,
            user_us: reaped.user.as_micros() as u64,
            system_us: reaped.system.as_micros() as u64,
            peak_kib: reaped.peak_kib,
            lived_us: self.born.elapsed().as_micros() as u64,
            last_words: self.stderr.last_words(),
            stderr: self.stderr.tail(),
        })
    }
}
