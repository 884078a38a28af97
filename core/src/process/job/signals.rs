//! Flow 2: the process behind a job, as it can be signalled and looked at.

use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal, test_kill_process};

use super::{Job, Stage};
use crate::sys::{self, stamp::stamp};
use crate::{Error, ErrorKind, Result};

impl Job {
    pub fn kill(&self, signal: i32) -> Result<()> {
        let known = sys::signal(signal)
            .ok_or_else(|| Error::new(ErrorKind::Misuse, format!("there is no signal {signal}")))?;
        if stamp() != self.stamp {
            let message = format!("the worker for {} is one of another process", self.entry);
            return Err(Error::new(ErrorKind::WrongProcess, message));
        }
        if self.stage.get() == Stage::Over {
            return Err(self.over());
        }
        if self.stage.get() < Stage::Started {
            self.signals.borrow_mut().push(known);
        }
        match self.stage.get() {
            Stage::Started | Stage::Running => self.send(known),
            // It may be held up, and never come to say that it exists.
            Stage::Asked if known == Signal::KILL => self.send(known),
            _ => Ok(()),
        }
    }

    pub(super) fn pass_signal_on(&self) {
        for signal in self.signals.take() {
            // It may have ended by itself already; then its end is told anyway.
            let _ = self.send(signal);
        }
    }

    /// Tells whether the app wants it dead.
    pub fn is_killed(&self) -> bool {
        self.signals.borrow().contains(&Signal::KILL)
    }

    fn send(&self, signal: Signal) -> Result<()> {
        let pidfd = self.pidfd.borrow().clone();
        if let Some(pidfd) = pidfd {
            return pidfd_send_signal(&*pidfd, signal).map_err(|error| match error {
                Errno::SRCH => self.over(),
                // It has changed its user, or become a program that does.
                error => {
                    let (pid, entry) = (self.pid.get().unwrap_or(0), &self.entry);
                    Error::system(format_args!("signal worker {pid} ({entry})"), error)
                }
            });
        }
        // It has not said that it exists, or descriptors had run out as it did. The template is its parent and surely
        // hits no other.
        let (link, id) = &*self.asked.borrow();
        match link.upgrade() {
            Some(link) => link.signal(*id, signal),
            // A template that is gone takes it along.
            None => Err(self.over()),
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
