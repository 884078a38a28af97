//! Flow 2: the handle of a process that was run.

use std::fmt;
use std::rc::{Rc, Weak};

use super::Exit;
use super::job::Job;
use crate::{Posture, Result};

/// A process that was told to run. Dropping the handle changes nothing.
pub struct Running {
    job: Rc<Job>,
}

impl Running {
    pub(super) fn new(job: Rc<Job>) -> Running {
        Running { job }
    }

    pub(super) fn job(&self) -> Weak<Job> {
        Rc::downgrade(&self.job)
    }

    /// Calls back with the account of the process's end, once, on the queue of the thread that ran it.
    ///
    /// It comes after `run`'s callback and after everything else that tine tells of the process. A process
    /// that could not come to be has no end: `run`'s callback has told why.
    pub fn on_exit(self, callback: impl FnOnce(Exit) + 'static) -> Self {
        self.job.on_exit(Box::new(callback));
        self
    }

    /// The process id, once the process has said that it exists. It is a child of its template, and never of the app
    /// ([`Template::is_child`](crate::Template::is_child)), which neither has to wait for it nor can.
    pub fn pid(&self) -> Option<u32> {
        self.job.pid()
    }

    /// What holds of the sandbox that the process was given, as it said itself before it entered its
    /// function; None until then, and without one.
    pub fn posture(&self) -> Option<&Posture> {
        self.job.posture()
    }

    /// Sends a signal (signal(7)); to a process that does not exist yet, as soon as it does.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`](crate::ErrorKind::NoProcess) when it has ended or could not come to be;
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) for a number that is no signal;
    /// [`ErrorKind::System`](crate::ErrorKind::System) when the kernel refuses, as for one that has changed its user;
    /// [`ErrorKind::WrongProcess`](crate::ErrorKind::WrongProcess) when the handle came through a fork.
    pub fn kill(&self, signal: i32) -> Result<()> {
        self.job.kill(signal)
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("pid", &self.pid()).finish_non_exhaustive()
    }
}
