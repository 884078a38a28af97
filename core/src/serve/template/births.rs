//! Flow 2: how a template's children come to be.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::Instant;

use rustix::event::epoll;
use rustix::process::{Pid, PidfdFlags};

use super::super::child::Child;
use super::super::enter::{Birth, Caller, enter};
use super::super::group;
use super::super::image::{self, Library};
use super::super::items::Items;
use super::super::spare::Spare;
use super::super::stderr::Stderr;
use super::{Template, Token, ends};
use crate::fault::{self, Stage};
use crate::sys::{self, Forked};
use crate::wire::{Message, Waiting, socket};
use crate::{Error, Result};

impl Template {
    /// Makes a process, which tells the app of itself.
    pub(super) fn fork(
        &mut self,
        link: u64,
        id: u64,
        socket: OwnedFd,
        waiting: Waiting,
    ) -> Result<()> {
        self.take_over_state(link);
        let (born, executes) = (Instant::now(), waiting.executes);
        let Some(caller) = self.links.get(&link).map(|link| Caller { link: link.as_fd(), id })
        else {
            return Ok(());
        };
        if let Some((pid, stderr)) = self.spares.hand_over(&socket, caller, waiting) {
            self.born(pid, Child { link, id, stderr, born, executes, spare: true });
            return Ok(());
        }
        let mut stderr = match self.pipe.take() {
            Some(pipe) => pipe,
            None => new_pipe()?,
        };
        fault::template_at(Stage::Asked);
        let birth = Birth {
            socket,
            voice: stderr.voice(),
            waiting,
            caller: Some(caller),
            spare: false,
            items: std::mem::take(&mut self.items),
            parent: self.pid,
            limit: self.limit,
        };
        let (pid, items) = bear(birth);
        self.items = items;
        drop(stderr.take_writer());
        let pid = pid.map_err(|error| Error::system("fork the template", error))?;
        self.born(pid, Child { link, id, stderr, born, executes, spare: false });
        Ok(())
    }

    /// Executes this program's image anew, without copying this process: the C library's posix_spawn does.
    pub(super) fn exec(&mut self, link: u64, id: u64, socket: OwnedFd) -> Result<()> {
        self.take_over_state(link);
        let mut stderr = self.stderr()?;
        let writer = stderr.take_writer().map_or_else(Stdio::null, Stdio::from);
        let (parent, limit) = (self.pid.as_raw_nonzero(), self.limit.number());
        let locale = sys::locale();
        let locale = locale.to_str().unwrap_or("C");
        let role = format!("process-of {parent} {} {limit} {locale}", group::apps());
        let child = image::own(&role, socket, self.library()?)?
            .stderr(writer)
            .spawn()
            .map_err(image::not_executed)?;
        let pid = child.id() as i32;
        // No process can have this id before it is reaped.
        let pidfd = Pid::from_raw(pid)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        self.tell(link, id, &Message::Started { pid: child.id(), spare: false }, pidfd);
        let (born, executes, spare) = (Instant::now(), false, false);
        self.born(pid, Child { link, id, stderr, born, executes, spare });
        Ok(())
    }

    /// The library that this copy of tine lies in, if it is one.
    fn library(&mut self) -> Result<Option<&Library>> {
        if self.library.is_none() {
            self.library = Some(Library::find()?);
        }
        Ok(self.library.as_ref().and_then(Option::as_ref))
    }

    /// Forks a process ahead, which waits for its request.
    #[inline(never)]
    pub(super) fn fork_spare(&mut self) -> Result<()> {
        let (handoff, far) = socket::link_pair()?;
        let mut stderr = self.stderr()?;
        let birth = Birth {
            socket: far,
            voice: stderr.voice(),
            waiting: Waiting::default(),
            caller: None,
            spare: true,
            items: std::mem::take(&mut self.items),
            parent: self.pid,
            limit: self.limit,
        };
        let (pid, items) = bear(birth);
        self.items = items;
        drop(stderr.take_writer());
        self.spares.add(Spare { pid: pid?, handoff, stderr });
        Ok(())
    }

    fn stderr(&mut self) -> Result<Stderr> {
        match self.pipe.take() {
            Some(pipe) => Ok(pipe),
            None => new_pipe(),
        }
    }

    /// Notes a child.
    fn born(&mut self, pid: i32, child: Child) {
        // Without it, standard error is read when the child ends: later, but nothing is missing.
        let _ = epoll::add(&self.epoll, child.stderr.pipe(), Token::Stderr(pid).data(), ends::SAID);
        self.executing += usize::from(child.executes);
        self.children.add(pid, child);
        fault::template_at(Stage::Told);
    }
}

/// Forks; in the process, the call does not return. Gives the process's id, and what the next ones inherit.
#[inline(always)]
fn bear(mut birth: Birth<'_>) -> (rustix::io::Result<i32>, Items) {
    match fault::fork().and_then(|()| sys::fork_with(&mut birth)) {
        Ok(Forked::Child) => enter(birth),
        Ok(Forked::Parent(pid)) => (Ok(pid.as_raw_nonzero().get()), birth.items),
        Err(error) => (Err(error), birth.items),
    }
}

fn new_pipe() -> Result<Stderr> {
    Stderr::new().map_err(|error| Error::system("make a pipe", error))
}
