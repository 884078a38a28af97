//! Flow 2: the loop of a template: forks when told, reaps, and tells how its children ended.
//!
//! One thread, no allocation that a child would have to share beyond what its bookkeeping needs, and no
//! look into a process's orders: those wait in the process's socket and are read by the process.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::child::Child;
use super::enter::{Birth, enter, note_panics};
use super::link::Link;
use super::stderr::{Read, Stderr};
use crate::sys::{self, Forked};
use crate::wire::Message;
use crate::{Error, Result};

/// Packets of standard error that are read before other work gets its turn.
const PACKETS: usize = 16;

/// Makes a process that was just forked from the app a template.
///
/// With `parent`, it dies with that process's main thread at the latest.
pub(crate) fn begin(root: OwnedFd, parent: Option<Pid>) -> ! {
    match settle(root, parent) {
        Ok(root) => serve(root),
        Err(_) => sys::exit_now(1),
    }
}

fn settle(root: OwnedFd, parent: Option<Pid>) -> Result<OwnedFd> {
    sys::default_signals(true);
    if let Some(parent) = parent {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(parent) {
            sys::exit_now(0);
        }
    }
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    sys::descriptors::make_standard(&null, 0)?;
    let [root] = sys::descriptors::keep_only([root])?;
    std::mem::forget(null);
    Ok(root)
}

/// Serves until every link is closed, which the app's death does too.
fn serve(root: OwnedFd) -> ! {
    let code = match Template::new(root).and_then(|mut template| template.run()) {
        Ok(()) => 0,
        Err(error) => {
            // The one place where tine prints: its own process is about to end, and the links say no why.
            eprintln!("tine: template {}: {error}", std::process::id());
            1
        }
    };
    sys::exit_now(code)
}

struct Template {
    epoll: OwnedFd,
    signals: OwnedFd,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    children: BTreeMap<i32, Child>,
    /// Standard error of children that have ended while others still hold it.
    strays: BTreeMap<i32, Stderr>,
    /// The link whose state this process has, and which of its states.
    state: Option<(u64, u64)>,
    /// Made ahead, so that a fork need not wait for it.
    pipe: Option<(Stderr, OwnedFd)>,
    pid: Pid,
}

/// What an event is about; the number that epoll carries.
#[derive(Clone, Copy)]
enum Token {
    Signals,
    Link(u64),
    Stderr(i32),
}

impl Token {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Token::Signals => 0,
            Token::Link(number) => 1 << 32 | number,
            Token::Stderr(pid) => 2 << 32 | pid as u64,
        })
    }

    fn of(data: EventData) -> Token {
        match (data.u64() >> 32, data.u64() & 0xffff_ffff) {
            (1, number) => Token::Link(number),
            (2, pid) => Token::Stderr(pid as i32),
            _ => Token::Signals,
        }
    }
}

impl Template {
    fn new(root: OwnedFd) -> Result<Self> {
        note_panics();
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let signals = sys::child_signals()?;
        epoll::add(&epoll, &signals, Token::Signals.data(), EventFlags::IN)?;
        let mut template = Template {
            epoll,
            signals,
            links: BTreeMap::new(),
            next_link: 0,
            children: BTreeMap::new(),
            strays: BTreeMap::new(),
            state: None,
            pipe: None,
            pid: rustix::process::getpid(),
        };
        template.connect(root)?;
        Ok(template)
    }

    fn run(&mut self) -> Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(64);
        while !self.links.is_empty() {
            if self.pipe.is_none() {
                // Without one the next fork tries again, and refuses with the reason.
                self.pipe = Stderr::new().ok();
            }
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => return Err(Error::system("wait for orders", error)),
            }
            for event in &events {
                match Token::of(event.data) {
                    Token::Signals => self.children_ended(),
                    Token::Link(number) => self.link_ready(number, event.flags),
                    Token::Stderr(pid) => self.stderr_ready(pid),
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self, socket: OwnedFd) -> Result<()> {
        let number = self.next_link;
        epoll::add(&self.epoll, &socket, Token::Link(number).data(), EventFlags::IN)?;
        self.next_link += 1;
        self.links.insert(number, Link::new(socket));
        Ok(())
    }

    fn link_ready(&mut self, number: u64, ready: EventFlags) {
        if ready.contains(EventFlags::OUT) {
            self.flush(number);
        }
        if !ready.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(link) = self.links.get_mut(&number) else { return };
        let mut buffer = std::mem::take(&mut link.buffer);
        let mut fds = Vec::new();
        let goes_on = match link.receive(&mut buffer, &mut fds) {
            Ok(Some((id, message))) => self.obey(number, id, message, fds),
            Ok(None) => false,
            // The app speaks for itself alone: what it garbles costs it this link.
            Err(error) => error.io().and_then(Errno::from_io_error) == Some(Errno::AGAIN),
        };
        match self.links.get_mut(&number) {
            Some(link) if goes_on => link.buffer = buffer,
            _ => self.disconnect(number),
        }
    }

    /// Carries out one message; false closes the link.
    fn obey(&mut self, link: u64, id: u64, message: Message<'_>, fds: Vec<OwnedFd>) -> bool {
        let mut fds = fds.into_iter();
        match (message, fds.next()) {
            (Message::Connect, Some(socket)) => self.connect(socket).is_ok(),
            (Message::State(state), directory) => self.links.get_mut(&link).is_some_and(|link| {
                link.state.replace(state, directory);
                true
            }),
            (Message::Fork { waiting }, Some(socket)) => {
                if let Err(error) = self.fork(link, id, socket, waiting as usize) {
                    let errno = error.io().and_then(io::Error::raw_os_error).unwrap_or(0);
                    let what = error.to_string();
                    self.tell(link, id, &Message::Refused { errno, what: what.as_bytes() }, None);
                }
                true
            }
            _ => false,
        }
    }

    fn disconnect(&mut self, number: u64) {
        self.links.remove(&number);
        if number == 0 {
            // The app has no handle any more: links close when their last process has ended.
            for link in self.links.keys().copied().collect::<Vec<_>>() {
                self.tell(link, 0, &Message::Retired, None);
            }
        }
    }

    fn fork(&mut self, link: u64, id: u64, socket: OwnedFd, waiting: usize) -> Result<()> {
        self.take_over_state(link);
        let (stderr, writer) = match self.pipe.take() {
            Some(pipe) => pipe,
            None => Stderr::new().map_err(|error| Error::system("make a pipe", error))?,
        };
        match sys::fork().map_err(|error| Error::system("fork the template", error))? {
            Forked::Child => enter(Birth {
                socket,
                stderr: writer,
                waiting,
                items: VecDeque::new(),
                parent: self.pid,
            }),
            Forked::Parent(pid) => self.born(pid, Child { link, id, stderr, born: Instant::now() }),
        }
        Ok(())
    }

    /// Notes a child and tells the app, with a pidfd: no process can have this id before it is reaped.
    fn born(&mut self, pid: Pid, child: Child) {
        let raw = pid.as_raw_nonzero().get();
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        let (link, id) = (child.link, child.id);
        // Without it, standard error is read when the child ends: later, but nothing is missing.
        let _ =
            epoll::add(&self.epoll, child.stderr.pipe(), Token::Stderr(raw).data(), EventFlags::IN);
        self.children.insert(raw, child);
        self.tell(link, id, &Message::Started { pid: raw as u32 }, pidfd);
    }

    fn take_over_state(&mut self, number: u64) {
        if let Some(link) = self.links.get(&number) {
            let wanted = (number, link.state.version());
            if self.state != Some(wanted) {
                link.state.apply();
                self.state = Some(wanted);
            }
        }
    }

    fn tell(&mut self, number: u64, id: u64, message: &Message<'_>, fd: Option<OwnedFd>) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let fds = fd.map(Arc::new).into_iter().collect();
        // No message of a template is long: nothing here can fail.
        let _ = link.outbox.push(message, id, fds);
        self.flush(number);
    }

    fn flush(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        match link.flush() {
            Ok(None) => (),
            Ok(Some(interest)) => {
                // The link is registered, and modifying needs no memory.
                let _ =
                    epoll::modify(&self.epoll, link.as_fd(), Token::Link(number).data(), interest);
            }
            Err(_) => self.disconnect(number),
        }
    }

    fn stderr_ready(&mut self, pid: i32) {
        if let Some(child) = self.children.get_mut(&pid) {
            if child.stderr.read(PACKETS) == Read::End {
                // It has closed its standard error and lives on: stop listening.
                let _ = epoll::delete(&self.epoll, child.stderr.pipe());
            }
        } else if let Some(stray) = self.strays.get_mut(&pid)
            && stray.read(PACKETS) == Read::End
        {
            self.strays.remove(&pid);
        }
    }

    fn children_ended(&mut self) {
        let mut signals = [0; 1024];
        // Only to empty it: which children have ended is asked below.
        let _ = rustix::io::read(&self.signals, &mut signals);
        while let Some(reaped) = sys::reap() {
            let pid = reaped.pid.as_raw_nonzero().get();
            // Not one of ours: a prepared function has left it.
            let Some(mut child) = self.children.remove(&pid) else { continue };
            // All that the child itself wrote lies in the pipe by now, and a pipe has 16 packets.
            let end = child.stderr.read(2 * PACKETS);
            self.tell(child.link, child.id, &child.ended(&reaped), None);
            if end != Read::End {
                self.strays.insert(pid, child.stderr);
            }
        }
    }
}
