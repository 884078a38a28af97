//! Flow 2: the loop of a template: forks when told, reaps, and tells how its children ended.
//!
//! One thread, no allocation that a child would have to share beyond what its bookkeeping needs, and no
//! look into a process's orders: those wait in the process's socket and are read by the process.

mod births;
mod ends;

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::child::Children;
use super::enter;
use super::image::Library;
use super::items::Items;
use super::limit::Limit;
use super::link::{Inherited, Link};
use super::spare::Spares;
use super::stderr::{Packet, Stderr};
use crate::entry::Entry;
#[cfg(feature = "testing")]
use crate::fault;
use crate::sys::{self, Apart};
use crate::wire::{Inbox, Message, socket};
use crate::{Error, Result};

/// Events taken at a time.
const EVENTS: usize = 16;

/// Makes this process a template: one that was just forked from the app, or executed for it.
///
/// With `parent`, it dies with the thread of that process that made it, at the latest.
pub(crate) fn settle_and_serve(root: OwnedFd, parent: Option<Pid>) -> ! {
    settle(parent).unwrap_or_else(|error| refuse(&root, &error));
    match sys::descriptors::keep_one(root) {
        Ok(root) => serve(root, Items::default()),
        Err(_) => sys::exit_now(1),
    }
}

/// Ends this process, which cannot be a template, and says why.
fn refuse(root: &OwnedFd, error: &Error) -> ! {
    let errno = error.io().and_then(Errno::from_io_error);
    // Of what passes, the next template may hear nothing.
    if let Some(errno @ (Errno::NOSYS | Errno::PERM)) = errno {
        let what = error.to_string();
        let refused = Message::Refused { errno: errno.raw_os_error(), what: what.as_bytes() };
        // An app that is gone will not ask.
        let _ = socket::send(root, &refused.encode(0, 0).0, &[]);
    }
    sys::exit_now(1)
}

fn settle(parent: Option<Pid>) -> Result<()> {
    sys::default_signals(true);
    sys::title::begin();
    enter::make_ready();
    if let Some(parent) = parent {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| Error::system("die with the app (prctl)", error))?;
        if rustix::process::getppid() != Some(parent) {
            sys::exit_now(0);
        }
    }
    sys::descriptors::fill_standard(1)
        .and_then(|()| sys::descriptors::make_null(0))
        .map_err(|error| Error::system("have standard descriptors of its own", error))
}

/// Serves until every link is closed, which the app's death does too. Processes inherit `items`.
pub(super) fn serve(root: OwnedFd, items: Items) -> ! {
    sys::title::show(*b"template", b"");
    // What a worker leaves behind, templates of its own among it, is reaped here, and no zombie of an app that adopts
    // orphans. Where that cannot be had, it goes where orphans go.
    let _ = rustix::process::set_child_subreaper(Some(Pid::INIT));
    Entry::make_ready();
    let template = Template::new(root, items).and_then(|template| Ok(Apart::new(template)?));
    let code = match template.and_then(|mut template| run_at_the_top_of_a_page(&mut template)) {
        Ok(()) => 0,
        Err(error) => {
            // The one place where tine prints: its own process is about to end, and the links say no why.
            eprintln!("tine: template {}: {error}", std::process::id());
            1
        }
    };
    sys::exit_now(code)
}

/// Runs the template where most of a page of the stack lies below: it and its processes write there, and each page that
/// they write to is copied for each process.
fn run_at_the_top_of_a_page(template: &mut Template) -> Result<()> {
    /// What [`Template::run`] takes, and the functions that most processes call.
    const ROOM: usize = 3 << 10;
    let here = 0_u8;
    let run = match std::ptr::from_ref(std::hint::black_box(&here)).addr() % 4096 {
        ROOM.. => Template::run,
        below => [
            run_below::<512>,
            run_below::<1024>,
            run_below::<1536>,
            run_below::<2048>,
            run_below::<2560>,
            run_below::<3072>,
        ][below / 512],
    };
    run(template)
}

/// Runs the template so many octets further down.
#[inline(never)]
fn run_below<const OCTETS: usize>(template: &mut Template) -> Result<()> {
    let unused = [MaybeUninit::<u8>::uninit(); OCTETS];
    std::hint::black_box(&unused);
    let served = template.run();
    // Not given up before.
    std::hint::black_box(&unused);
    served
}

/// All that a template knows. Processes do not get it: see [`Apart`].
struct Template {
    epoll: OwnedFd,
    signals: OwnedFd,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    children: Children,
    /// How many of them are to become other programs.
    executing: usize,
    /// Standard error of children that have ended while others still hold it. Their ids may be those of others by now.
    strays: BTreeMap<u32, Stderr>,
    next_stray: u32,
    /// What of the app's this process has taken over.
    state: Option<Rc<Inherited>>,
    /// Made ahead, so that a fork need not wait for it.
    pipe: Option<Stderr>,
    spares: Spares,
    /// What processes get back of the limit that was raised for this one.
    limit: Limit,
    /// What images of their own are executed with, once there was one.
    library: Option<Option<Library>>,
    /// What every process inherits.
    items: Items,
    inbox: Inbox,
    packet: Packet,
    pid: Pid,
}

/// What an event is about; the number that epoll carries.
#[derive(Clone, Copy)]
enum Token {
    Signals,
    Link(u64),
    Stderr(i32),
    Stray(u32),
    Pressure,
}

impl Token {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Token::Signals => 0,
            Token::Link(number) => 1 << 32 | number,
            Token::Stderr(pid) => 2 << 32 | pid as u64,
            Token::Pressure => 3 << 32,
            Token::Stray(number) => 4 << 32 | u64::from(number),
        })
    }

    fn of(data: EventData) -> Token {
        match (data.u64() >> 32, data.u64() & 0xffff_ffff) {
            (1, number) => Token::Link(number),
            (2, pid) => Token::Stderr(pid as i32),
            (3, _) => Token::Pressure,
            (4, number) => Token::Stray(number as u32),
            _ => Token::Signals,
        }
    }
}

impl Template {
    fn new(root: OwnedFd, items: Items) -> Result<Self> {
        // What the template before was to do is not what this one is.
        #[cfg(feature = "testing")]
        fault::set(fault::Faults::new());
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let signals = sys::child_signals()?;
        epoll::add(&epoll, &signals, Token::Signals.data(), EventFlags::IN)?;
        let mut template = Template {
            epoll,
            signals,
            links: BTreeMap::new(),
            next_link: 0,
            children: Children::default(),
            executing: 0,
            strays: BTreeMap::new(),
            next_stray: 0,
            state: None,
            pipe: None,
            spares: Spares::default(),
            limit: Limit::raise(),
            library: None,
            items,
            inbox: Inbox::default(),
            packet: Packet::default(),
            pid: rustix::process::getpid(),
        };
        let started = Message::Started { pid: std::process::id(), spare: false };
        match socket::send(&root, &started.encode(0, 0).0, &[]) {
            // An app that has dropped its handle already is seen when the link is read.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => (),
            Err(error) => return Err(error.into()),
        }
        template.connect(root, None)?;
        // Not when the first message comes: the heap would grow.
        template.inbox.make_room();
        sys::heap::trim();
        Ok(template)
    }

    /// A function of its own, and not a part of one that has made the template: what it writes to on the stack has
    /// to be copied for each process, by the page.
    #[inline(never)]
    fn run(&mut self) -> Result<()> {
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS];
        while !self.links.is_empty() {
            if self.pipe.is_none() {
                // Without one the next fork tries again, and refuses with the reason.
                self.pipe = Stderr::new().ok();
            }
            // Spares are made one at a time, and only while nothing else is to be done.
            let timeout = self.spares.patience().map(|patience| Timespec {
                tv_sec: patience.as_secs() as i64,
                tv_nsec: patience.subsec_nanos().into(),
            });
            let events = match sys::epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
                Ok([]) if timeout.is_some() => {
                    if self.fork_spare().is_err() {
                        self.spares.rest();
                    }
                    continue;
                }
                Ok(events) => events,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Error::system("wait for orders", error)),
            };
            // What is asked for goes before what was said and what has ended: an app waits for it, and hears of
            // the end together with the beginning.
            let mut ended = false;
            for event in &*events {
                if let Token::Link(number) = Token::of(event.data) {
                    self.link_ready(number, event.flags);
                }
            }
            for event in &*events {
                match Token::of(event.data) {
                    Token::Link(_) => (),
                    Token::Signals => ended = true,
                    Token::Stderr(pid) => self.stderr_ready(pid, event.flags),
                    Token::Stray(number) => self.stray_ready(number),
                    Token::Pressure if self.spares.is_memory_short() => self.spares.relieve(),
                    Token::Pressure => (),
                }
            }
            if ended {
                self.children_ended();
            }
        }
        Ok(())
    }

    fn connect(&mut self, socket: OwnedFd, through: Option<u64>) -> Result<()> {
        let number = self.next_link;
        epoll::add(&self.epoll, &socket, Token::Link(number).data(), EventFlags::IN)?;
        self.next_link += 1;
        self.links.insert(number, Link::new(socket, through));
        Ok(())
    }

    fn link_ready(&mut self, number: u64, ready: EventFlags) {
        if ready.contains(EventFlags::OUT) {
            self.flush(number);
        }
        if !ready.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(link) = self.links.get(&number) else { return };
        let mut inbox = std::mem::take(&mut self.inbox);
        let goes_on = match link.receive(&mut inbox) {
            Ok(Some((id, message, fd))) => self.obey(number, id, message, fd),
            Ok(None) => false,
            // The app speaks for itself alone: what it garbles costs it this link. One that has closed it with
            // something unread is told of before what it had sent by then (unix(7)), which comes next.
            Err(error) => {
                let errno = error.io().and_then(Errno::from_io_error);
                matches!(errno, Some(Errno::AGAIN | Errno::CONNRESET))
            }
        };
        self.inbox = inbox;
        if !goes_on {
            self.disconnect(number);
        }
    }

    /// Carries out one message; false closes the link.
    fn obey(&mut self, link: u64, id: u64, message: Message<'_>, fd: Option<OwnedFd>) -> bool {
        match (message, fd) {
            (Message::Connect, Some(socket)) => self.connect(socket, Some(link)).is_ok(),
            // There was no room for it: the app sees that it is closed, and this one goes on.
            (Message::Connect, None) => true,
            (Message::State(state), directory) => self.links.get_mut(&link).is_some_and(|link| {
                link.inherit(state, directory);
                true
            }),
            (Message::Fork(waiting), Some(socket)) => {
                let forked = self.fork(link, id, socket, waiting);
                self.refuse_failed(link, id, forked)
            }
            (Message::Exec, Some(socket)) => {
                let executed = self.exec(link, id, socket);
                self.refuse_failed(link, id, executed)
            }
            (Message::Fork(_) | Message::Exec, None) => {
                let lost = Error::system("receive a process's socket", Errno::MFILE);
                self.refuse_failed(link, id, Err(lost))
            }
            (Message::Spares { count }, None) => {
                self.want_spares(count as usize);
                true
            }
            (Message::Begin, None) => true,
            (Message::Signal { signal }, None) => {
                self.signal(link, id, signal);
                true
            }
            #[cfg(feature = "testing")]
            (Message::Inject(faults), None) => {
                fault::set(faults);
                if faults.pressure {
                    self.spares.relieve();
                }
                true
            }
            _ => false,
        }
    }

    /// Tells the app when a process could not be made; the link goes on.
    fn refuse_failed(&mut self, link: u64, id: u64, made: Result<()>) -> bool {
        if let Err(error) = made {
            let errno = error.io().and_then(io::Error::raw_os_error).unwrap_or(0);
            let what = error.to_string();
            self.tell(link, id, &Message::Refused { errno, what: what.as_bytes() }, None);
        }
        true
    }

    fn disconnect(&mut self, number: u64) {
        if let Some(link) = self.links.remove(&number) {
            ends::forget(&self.epoll, link.as_fd());
        }
        // Nobody has that handle any more: the links made through it close when their last process has ended.
        let came_over = self.links.iter().filter(|(_, link)| link.came_over(number));
        for link in came_over.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.tell(link, 0, &Message::Retired, None);
        }
    }

    fn want_spares(&mut self, count: usize) {
        if let Some(pressure) = self.spares.want(count) {
            // Without it, spares are kept however short memory is.
            let _ = epoll::add(&self.epoll, pressure, Token::Pressure.data(), EventFlags::PRI);
        }
    }

    fn take_over_state(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let Some(wanted) = &link.state else { return };
        match &self.state {
            Some(state) if Rc::ptr_eq(state, wanted) => (),
            // Another thread's, which has said the same.
            Some(state) if state == wanted => link.state = Some(Rc::clone(state)),
            _ => {
                wanted.apply();
                self.state = Some(Rc::clone(wanted));
                self.spares.tell(wanted);
            }
        }
    }

    fn tell(&mut self, number: u64, id: u64, message: &Message<'_>, fd: Option<OwnedFd>) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let told = link.tell(id, message, fd);
        self.told(number, told);
    }

    fn flush(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let told = link.flush();
        self.told(number, told.map_err(Error::from));
    }

    fn told(&mut self, number: u64, told: Result<Option<EventFlags>>) {
        let Some(link) = self.links.get_mut(&number) else { return };
        match told {
            Ok(None) => (),
            Ok(Some(interest)) => {
                // The link is registered, and modifying needs no memory.
                let _ =
                    epoll::modify(&self.epoll, link.as_fd(), Token::Link(number).data(), interest);
            }
            Err(_) => self.disconnect(number),
        }
    }
}
