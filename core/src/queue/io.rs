//! Flow 1: what is asked of a descriptor, what is told of it, and the watcher in between.

use super::slab::Key;
use super::{Core, Queue};
use crate::sys::epoll::{EventFlags, Number};
use crate::{Error, ErrorKind, Result};
use rustix::io::Errno;
use std::fmt;
use std::ops::BitOr;
use std::os::fd::AsFd;
use std::panic::Location;
use std::rc::{Rc, Weak};

/// What an io watcher waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Nothing, for now: the watcher rests until it is given another interest.
    pub const NONE: Interest = Interest(0);
    /// Something to read: data, a connection to accept, the end of file.
    pub const READABLE: Interest = Interest(1);
    /// Room to write.
    pub const WRITABLE: Interest = Interest(2);
    /// Either.
    pub const BOTH: Interest = Interest(3);

    pub(super) fn has(self, other: Interest) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        if self.has(Interest::READABLE) {
            flags |= EventFlags::IN | EventFlags::RDHUP;
        }
        if self.has(Interest::WRITABLE) {
            flags |= EventFlags::OUT;
        }
        flags
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl fmt::Display for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Interest::NONE => "resting",
            Interest::READABLE => "readable",
            Interest::WRITABLE => "writable",
            _ => "readable or writable",
        })
    }
}

/// What was found of a descriptor at the beginning of the turn.
///
/// It may have changed since: another callback of the same turn may have read what was there. So
/// a callback reads and writes without blocking and takes [`WouldBlock`](std::io::ErrorKind) for
/// an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Readiness(u8);

impl Readiness {
    const READABLE: u8 = Interest::READABLE.0;
    const WRITABLE: u8 = Interest::WRITABLE.0;
    const HANGUP: u8 = 4;
    const ERROR: u8 = 8;

    pub(super) fn of(flags: EventFlags) -> Self {
        use EventFlags as E;
        let mut bits = 0;
        let sets = [
            (E::IN | E::RDHUP | E::HUP | E::ERR, Self::READABLE),
            (E::OUT | E::HUP | E::ERR, Self::WRITABLE),
            (E::HUP | E::RDHUP, Self::HANGUP),
            (E::ERR, Self::ERROR),
        ];
        for (found, bit) in sets {
            if flags.intersects(found) {
                bits |= bit;
            }
        }
        Readiness(bits)
    }

    /// Tells whether reading would not block: it gives data, the end of file, or an error.
    pub fn is_readable(self) -> bool {
        self.0 & Self::READABLE != 0
    }

    /// Tells whether writing would not block: it takes data, or gives an error.
    pub fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE != 0
    }

    /// Tells whether the peer will send no more. What it sent before may still be there.
    pub fn is_hangup(self) -> bool {
        self.0 & Self::HANGUP != 0
    }

    /// Tells whether the descriptor has an error to be read from it.
    pub fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    pub(super) fn meets(self, interest: Interest) -> bool {
        self.0 & interest.0 != 0
    }
}

/// What an io watcher runs.
pub(super) trait IoCall {
    fn call(&mut self, readiness: Readiness);
}

/// A descriptor and the callback that hears of it, in one allocation.
struct Watched<F, C> {
    fd: F,
    callback: C,
}

impl<F, C: FnMut(&F, Readiness)> IoCall for Watched<F, C> {
    fn call(&mut self, readiness: Readiness) {
        (self.callback)(&self.fd, readiness);
    }
}

/// A watcher of a descriptor; dropping it ends it at once.
#[must_use = "dropping a watcher ends it"]
pub struct Io {
    core: Weak<Core>,
    key: Option<Key>,
}

impl Queue {
    /// Calls back whenever `fd` is ready for what `interest` names, until the watcher is dropped.
    ///
    /// The watcher owns `fd`: an `OwnedFd` closes with it, an `Rc<UnixStream>` is shared with it.
    /// Any number of watchers may share a descriptor. Readiness is a level: as long as it lasts,
    /// each turn tells it again.
    ///
    /// # Errors
    /// - [`Misuse`](ErrorKind::Misuse): the descriptor is closed, or is a regular file, a
    ///   directory or a device such as /dev/null, which is always ready and cannot be waited for.
    /// - [`System`](ErrorKind::System): the kernel will watch no more (`epoll_ctl(2)`).
    /// - [`WrongProcess`](ErrorKind::WrongProcess): the queue was inherited through a fork.
    #[track_caller]
    pub fn io<F: AsFd + 'static>(
        &self,
        fd: F,
        interest: Interest,
        callback: impl FnMut(&F, Readiness) + 'static,
    ) -> Result<Io> {
        let place = Location::caller();
        self.core.check()?;
        let number = Number::of(fd.as_fd());
        let call = Box::new(Watched { fd, callback });
        // A host loop may wait before anything is asked of the poller again.
        let lazy = !self.core.hosted.get() || self.core.dispatching.get();
        let key = self.core.poller.borrow_mut().insert(number, interest, place, call, lazy);
        // What was refused is dropped here, where no borrow is held.
        let key = key.map_err(|(errno, _call)| refused(number, errno))?;
        Ok(Io { core: Rc::downgrade(&self.core), key: Some(key) })
    }
}

impl Io {
    /// Waits for something else from the next turn on.
    ///
    /// # Errors
    /// - [`Misuse`](ErrorKind::Misuse): the descriptor was closed under the watcher.
    /// - [`Cancelled`](ErrorKind::Cancelled): the queue is gone.
    pub fn set_interest(&self, interest: Interest) -> Result<()> {
        let core = self.core.upgrade().ok_or_else(gone)?;
        core.check()?;
        let Some(key) = self.key else { return Ok(()) };
        let set = core.poller.borrow_mut().set_interest(key, interest);
        core.changed();
        set.map_err(|(number, errno)| refused(number, errno))
    }

    /// Lets the watcher live as long as the queue.
    pub fn detach(mut self) {
        self.key = None;
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        let (Some(core), Some(key)) = (self.core.upgrade(), self.key) else { return };
        if core.check().is_ok() {
            let call = core.poller.borrow_mut().remove(key);
            core.changed();
            drop(call);
        }
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Cancelled, "the queue of this watcher is gone")
}

fn refused(number: Number, errno: Errno) -> Error {
    match errno {
        Errno::PERM => {
            let what = "files, directories and devices such as /dev/null are always ready";
            Error::new(
                ErrorKind::Misuse,
                format!("cannot watch descriptor {number}: {what}; read or write it at once"),
            )
        }
        // ENOENT: it was closed, and the number names another file, which is not watched.
        Errno::BADF | Errno::NOENT => Error::new(
            ErrorKind::Misuse,
            format!("cannot watch descriptor {number}: it was closed"),
        ),
        _ => Error::system(format_args!("watch descriptor {number}"), errno),
    }
}
