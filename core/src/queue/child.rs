//! Flow 1: watchers of children, by their pidfd. Nothing is reaped here: that is the duty, and the
//! right, of whoever made the child.

use super::Queue;
use super::io::{Interest, Io};
use crate::sys::pidfd::reaped_status;
use crate::{Error, ErrorKind, Result};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};
use std::cell::Cell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;

/// A watcher of a child's end; dropping it ends it at once. The child is not touched.
#[must_use = "dropping a watcher ends it"]
pub struct Child {
    /// Gone when the child has ended.
    io: Rc<Cell<Option<Io>>>,
}

impl Queue {
    /// Calls back once when the child process `pid` has ended, with how it ended.
    ///
    /// It may have ended before, as long as nobody has waited for it. It is not waited for here, so
    /// whoever made it may do so as before, and has to: `std::process::Child::wait` or its like. If
    /// that was done before the callback's turn came, the status is known all the same from Linux
    /// 6.15 on; before that the callback gets an error ([`NotFound`](ErrorKind::NotFound)).
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound): there is no such process.
    /// - [`System`](ErrorKind::System): no descriptor is left for a pidfd (`pidfd_open(2)`).
    /// - [`WrongProcess`](ErrorKind::WrongProcess): the queue was inherited through a fork.
    #[track_caller]
    pub fn child(
        &self,
        pid: u32,
        callback: impl FnOnce(Result<ExitStatus>) + 'static,
    ) -> Result<Child> {
        let none = || Error::new(ErrorKind::NotFound, format!("there is no process {pid}"));
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(none)?;
        let pidfd = pidfd_open(id, PidfdFlags::empty()).map_err(|errno| match errno {
            Errno::SRCH => none(),
            _ => Error::system(format_args!("open a pidfd of process {pid}"), errno),
        })?;
        self.child_fd(pidfd, callback)
    }

    /// As [`child`](Queue::child), for who has a pidfd, which the watcher takes or shares.
    ///
    /// # Errors
    /// - [`Misuse`](ErrorKind::Misuse): the descriptor is closed or cannot be watched.
    /// - [`System`](ErrorKind::System): the kernel will watch no more.
    /// - [`WrongProcess`](ErrorKind::WrongProcess): the queue was inherited through a fork.
    #[track_caller]
    pub fn child_fd<F: AsFd + 'static>(
        &self,
        pidfd: F,
        callback: impl FnOnce(Result<ExitStatus>) + 'static,
    ) -> Result<Child> {
        let child = Child { io: Rc::default() };
        let (io, mut callback) = (Rc::clone(&child.io), Some(callback));
        let watched = self.io(pidfd, Interest::READABLE, move |pidfd: &F, _| {
            // It stays readable for ever, and there is one end to tell of.
            drop(io.take());
            if let Some(callback) = callback.take() {
                callback(status(pidfd.as_fd()));
            }
        })?;
        child.io.set(Some(watched));
        Ok(child)
    }
}

/// How the process ended that is behind a readable pidfd.
fn status(pidfd: BorrowedFd<'_>) -> Result<ExitStatus> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    match waitid(WaitId::PidFd(pidfd), look) {
        Ok(Some(status)) => Ok(ExitStatus::from_raw(wait_status(&status))),
        Ok(None) | Err(Errno::CHILD) => {
            reaped_status(pidfd).map(ExitStatus::from_raw).ok_or_else(|| {
                let message =
                    "the child's status was taken by another, or it is no child of this process";
                Error::new(ErrorKind::NotFound, message)
            })
        }
        Err(errno) => Err(Error::system("ask how a child ended", errno)),
    }
}

/// The status as wait(2) would give it.
fn wait_status(status: &WaitIdStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) if status.dumped() => signal | 0x80,
        (None, signal) => signal.unwrap_or(0),
    }
}

impl Child {
    /// Lets the watcher live until the child has ended, or as long as the queue.
    pub fn detach(self) {
        if let Some(io) = self.io.take() {
            io.detach();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.io.take());
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").finish_non_exhaustive()
    }
}
