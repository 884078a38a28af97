//! Flow 2: what a template hears of its children: standard error, requests taken, ends.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, EventFlags};
use rustix::process::{Pid, kill_process};

use super::super::child::Child;
use super::super::stderr::{Read, Stderr};
use super::{Template, Token};
use crate::sys::{self, Reaped};

/// Packets of standard error that are read before other work gets its turn.
const PACKETS: usize = 16;

/// What a child's standard error is watched for, once each time. That all writers are gone is told too, and once is
/// enough: then the pipe can be closed without being [forgotten](forget).
pub(super) const SAID: EventFlags = EventFlags::IN.union(EventFlags::ONESHOT);

/// Listens no more.
///
/// To close the descriptor is not enough: a process that was forked and has not run yet has a copy, and the kernel
/// would go on reporting it, again and again (epoll(7), Questions and answers, 6), while that process waits for the
/// processor.
pub(super) fn forget(epoll: &OwnedFd, fd: impl AsFd) {
    // What is not listened to any more need not be forgotten.
    let _ = epoll::delete(epoll, fd);
}

impl Template {
    /// Sends a child a signal: one that is not reaped has its id for itself.
    pub(super) fn signal(&self, link: u64, id: u64, signal: i32) {
        let child = self.children.find(|child| child.link == link && child.id == id);
        if let (Some(pid), Some(signal)) = (child.and_then(Pid::from_raw), sys::signal(signal)) {
            // It may have ended by itself; then its end is told soon.
            let _ = kill_process(pid, signal);
        }
    }

    pub(super) fn stderr_ready(&mut self, pid: i32, ready: EventFlags) {
        // A pipe that has no writer any more is read when the child has ended, mostly at once.
        if ready.contains(EventFlags::IN)
            && let Some(child) = self.children.get_mut(pid)
            && child.stderr.read(PACKETS, &mut self.packet) != Read::End
        {
            // It is registered, and modifying needs no memory.
            let token = Token::Stderr(pid).data();
            let _ = epoll::modify(&self.epoll, child.stderr.pipe(), token, SAID);
        }
    }

    pub(super) fn stray_ready(&mut self, number: u32) {
        if let Some(stray) = self.strays.get_mut(&number)
            && stray.read(PACKETS, &mut self.packet) == Read::End
        {
            forget(&self.epoll, stray.pipe());
            self.strays.remove(&number);
        }
    }

    pub(super) fn children_ended(&mut self) {
        // Only to empty it: which children have ended is asked below, and SIGCHLD is pending once at most.
        let mut signals = [0; 128];
        let _ = rustix::io::read(&self.signals, &mut signals);
        while let Some((reaped, unexecuted)) = self.reap() {
            let pid = reaped.pid.as_raw_nonzero().get();
            match self.children.remove(pid) {
                Some(child) => self.child_ended(child, &reaped, unexecuted),
                // Not a child of anyone's asking: a spare, or one that a prepared function has left.
                None => self.spares.ended(pid),
            }
        }
    }

    /// Reaps one child. Of those that were to become other programs, it tells whether one had not: as long as it
    /// is not reaped, the kernel does.
    fn reap(&self) -> Option<(Reaped, bool)> {
        let any = || sys::reap(None).map(|reaped| (reaped, false));
        if self.executing == 0 {
            return any();
        }
        // Where it cannot be asked for without being reaped, it is taken for one that had executed what it was to be.
        let Ok(ended) = sys::ended() else { return any() };
        let pid = ended?;
        let raw = pid.as_raw_nonzero().get();
        let unexecuted = self.children.get(raw).is_some_and(|child| child.executes)
            && sys::has_executed(raw as u32) == Some(false);
        sys::reap(Some(pid)).map(|reaped| (reaped, unexecuted))
    }

    fn child_ended(&mut self, mut child: Child, reaped: &Reaped, unexecuted: bool) {
        self.executing -= usize::from(child.executes);
        // All that the child itself wrote lies in the pipe by now.
        let end = child.stderr.read_last(&mut self.packet);
        if child.executes {
            child.stderr.part();
        }
        self.tell(child.link, child.id, &child.ended(reaped, unexecuted), None);
        if end != Read::End {
            self.keep_stray(child.stderr);
        }
    }

    /// Reads on what others write to it. Not by its child's id, which the next child may get.
    fn keep_stray(&mut self, stderr: Stderr) {
        let number = self.next_stray;
        self.next_stray = number.wrapping_add(1);
        let token = Token::Stray(number).data();
        // It is registered, unless memory was short: then what is written is lost.
        if epoll::modify(&self.epoll, stderr.pipe(), token, EventFlags::IN).is_ok() {
            self.strays.insert(number, stderr);
        }
    }
}
