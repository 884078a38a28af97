//! Flow 2: the process behind a job, as it can be signalled and looked at.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal, test_kill_process};

use super::{Job, Stage};
use crate::log::note;
use crate::sys::{self, stamp::stamp};
use crate::{Error, ErrorKind, Result};

impl Job {
    pub fn kill(&self, signal: i32) -> Result<()> {
        let known = Signal::from_named_raw(signal)
            .ok_or_else(|| Error::new(ErrorKind::Misuse, format!("there is no signal {signal}")))?;
        if stamp() != self.stamp {
            let message = format!("the worker for {} is one of another process", self.entry);
            return Err(Error::new(ErrorKind::WrongProcess, message));
        }
        if self.stage.get() == Stage::Over {
            return Err(self.over());
        }
        // What ends it is not undone by what comes later.
        if self.signal.get() != Some(Signal::KILL) {
            self.signal.set(Some(known));
        }
        match self.stage.get() {
            Stage::Started | Stage::Running => self.send(known),
            _ => Ok(()),
        }
    }

    /// Another process has its orders: the first was a spare, and was killed before it had taken them.
    pub fn replaced(&self, pid: u32, pidfd: Option<OwnedFd>) {
        self.pid.set(Some(pid));
        self.pidfd.replace(pidfd.map(Rc::new));
        self.span.record("pid", pid);
        self.span.in_scope(|| note!(DEBUG "spare was killed and replaced", pid = pid));
        self.pass_signal_on();
    }

    pub(super) fn pass_signal_on(&self) {
        if let Some(signal) = self.signal.get() {
            // It may have ended by itself already; then its end is told anyway.
            let _ = self.send(signal);
        }
    }

    fn send(&self, signal: Signal) -> Result<()> {
        let pidfd = self.pidfd.borrow().clone();
        if let Some(pidfd) = pidfd {
            return pidfd_send_signal(&*pidfd, signal).map_err(|_| self.over());
        }
        // Descriptors had run out, here or in the template, which is its parent and surely hits no other.
        let asked = self.asked.borrow();
        match (asked.0.upgrade(), self.pid.get()) {
            (Some(link), Some(pid)) => link.signal(asked.1, pid, signal),
            // A template that is gone takes it along.
            _ => Err(self.over()),
        }
    }

    /// Tells of a process whose socket has closed whether that was its end, and not the program that it was to
    /// become. If it is reaped already, its exit tells.
    pub(super) fn has_not_executed(&self) -> bool {
        let Some(executed) = self.pid.get().map(sys::has_executed) else { return false };
        executed == Some(false) || (executed.is_none() && self.is_reaped())
    }

    fn is_reaped(&self) -> bool {
        let pid = self.pid.get().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
    }
}
