//! Flow 2: what one thread of the app and one template say to each other.

mod patience;
mod shortage;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::Shutdown;
use rustix::process::{Pid, Signal};

use super::Exit;
use super::job::Job;
use super::listing::Underway;
use super::state::{AppState, Observer};
use super::template::{Report, Template, WeakTemplate};
use crate::sys::stamp::stamp;
use crate::wire::{Inbox, Message, Outbox, socket};
use crate::{Error, ErrorKind, Interest, Io, Readiness, Result, Timer};
use shortage::Shortage;

pub(super) use shortage::{crowded, is_shortage};

/// Requests that a template has and has not answered. More wait in the app, where they hold no descriptor.
const ASKED_MAX: usize = 64;

thread_local! {
    /// This thread's links, by the generation of the template's process.
    static LINKS: RefCell<Links> = const { RefCell::new(Links { owner: None, links: BTreeMap::new() }) };
}

struct Links {
    /// The process that made them: a fork of it must leave them alone.
    owner: Option<Pid>,
    links: BTreeMap<u64, Rc<Link>>,
}

/// This thread's end of a link to a template.
pub(super) struct Link {
    /// Of the process that it belongs to ([`stamp`]).
    stamp: u32,
    generation: u64,
    template: WeakTemplate,
    socket: Rc<OwnedFd>,
    watcher: RefCell<Option<Io>>,
    awaits_room: Cell<bool>,
    outbox: RefCell<Outbox>,
    jobs: RefCell<BTreeMap<u64, Rc<Job>>>,
    /// Held back, in order.
    waiting: RefCell<VecDeque<Rc<Job>>>,
    /// Requests without an answer.
    asked: Cell<usize>,
    /// Runs while there are any; an answer postpones it.
    patience: RefCell<Option<Timer>>,
    /// It has run out, and who may be stopped was told to go on.
    nudged: Cell<bool>,
    next_id: Cell<u64>,
    observer: Observer,
    /// The app's state as last seen, and as the template last heard.
    seen: RefCell<Option<Rc<AppState>>>,
    told: RefCell<Option<Rc<AppState>>>,
    /// No handle of the template is left: closed after the last process.
    retired: Cell<bool>,
    inbox: RefCell<Inbox>,
    shortage: RefCell<Shortage>,
    /// Runs until what is refused now is tried again.
    crowd: RefCell<Option<Timer>>,
}

impl Link {
    /// This thread's link to a template, made on first need.
    pub fn of(template: &Template) -> Result<Rc<Link>> {
        Link::known(template).map_or_else(|| Link::make(template), Ok)
    }

    /// The same, if it was made.
    pub fn known(template: &Template) -> Option<Rc<Link>> {
        let here = rustix::process::getpid();
        LINKS.with_borrow_mut(|links| {
            if links.owner.is_some_and(|owner| owner != here) {
                // Inherited through a fork: descriptors with these numbers are others by now.
                std::mem::forget(std::mem::take(&mut links.links));
            }
            links.owner = Some(here);
            links.links.get(&template.core().generation()).cloned()
        })
    }

    /// This thread's links, the oldest first.
    pub fn all() -> Vec<Rc<Link>> {
        let here = rustix::process::getpid();
        LINKS.with_borrow(|links| match links.owner {
            Some(owner) if owner == here => links.links.values().cloned().collect(),
            _ => Vec::new(),
        })
    }

    /// The processes that were asked for, or will be, over this link.
    pub fn underway(&self) -> Vec<Underway> {
        let asked = self.jobs.borrow();
        let waiting = self.waiting.borrow();
        asked.values().chain(waiting.iter()).map(|job| job.underway()).collect()
    }

    fn make(template: &Template) -> Result<Rc<Link>> {
        let (socket, generation) = template.core().connect()?;
        super::reaper::sweep();
        let link = Rc::new(Link {
            stamp: stamp(),
            generation,
            template: template.downgrade(),
            socket: Rc::new(socket),
            watcher: RefCell::default(),
            awaits_room: Cell::new(false),
            outbox: RefCell::new(Outbox::for_link()),
            jobs: RefCell::default(),
            waiting: RefCell::default(),
            asked: Cell::new(0),
            patience: RefCell::default(),
            nudged: Cell::new(false),
            next_id: Cell::new(1),
            observer: Observer::new()?,
            seen: RefCell::default(),
            told: RefCell::default(),
            retired: Cell::new(false),
            inbox: RefCell::default(),
            shortage: RefCell::default(),
            crowd: RefCell::default(),
        });
        let weak = Rc::downgrade(&link);
        let socket = Rc::clone(&link.socket);
        let watcher = crate::queue().io(socket, Interest::READABLE, move |_, ready| {
            if let Some(link) = weak.upgrade() {
                link.ready(ready);
            }
        })?;
        link.watcher.replace(Some(watcher));
        LINKS.with_borrow_mut(|links| links.links.insert(link.generation, Rc::clone(&link)));
        Ok(link)
    }

    /// Has the template fail as it is told, before what is asked of it next.
    #[cfg(feature = "testing")]
    pub fn inject(self: &Rc<Self>, faults: crate::fault::Faults) -> Result<()> {
        self.outbox.borrow_mut().push(&Message::Inject(faults), 0, Vec::new())?;
        self.flush();
        Ok(())
    }

    /// Has the template send a signal to the process that was asked for under this id.
    pub fn signal(self: &Rc<Self>, id: u64, signal: Signal) -> Result<()> {
        let message = Message::Signal { signal: signal.as_raw() };
        self.outbox.borrow_mut().send(&*self.socket, &message, id, None)?;
        self.flush();
        Ok(())
    }

    /// Asks for a process, now or when the template has answered others.
    pub fn ask(self: &Rc<Self>, job: &Rc<Job>) -> Result<()> {
        job.state(|| self.look())?;
        self.waiting.borrow_mut().push_back(Rc::clone(job));
        self.pump();
        Ok(())
    }

    /// The app's state as of now; the same snapshot as before when nothing has changed.
    fn look(&self) -> Result<Rc<AppState>> {
        let mut seen = self.seen.borrow_mut();
        if let Some(last) = &*seen
            && self.observer.still_sees(last)?
        {
            return Ok(Rc::clone(last));
        }
        let state = Rc::new(self.observer.look(seen.as_deref())?);
        *seen = Some(Rc::clone(&state));
        Ok(state)
    }

    /// Asks for what waits, as far as the limit allows.
    pub(super) fn pump(self: &Rc<Self>) {
        while self.asked.get() < ASKED_MAX {
            let Some(next) = self.waiting.borrow_mut().pop_front() else { break };
            match self.request(&next) {
                Ok(()) => {
                    self.asked.set(self.asked.get() + 1);
                    self.shortage.take();
                }
                Err(error) if is_shortage(&error) && self.can_wait() => {
                    next.wait();
                    self.waiting.borrow_mut().push_front(next);
                    break;
                }
                Err(error) => next.fail_later(error),
            }
        }
        self.flush();
        self.be_patient();
    }

    fn request(self: &Rc<Self>, job: &Rc<Job>) -> Result<()> {
        let (near, far) = socket::process_pair()
            .map_err(|error| Error::system("make a process's socket", error))?;
        self.tell_state(&job.state(|| self.look())?)?;
        let (waiting, fresh) = job.ask(near)?;
        let id = self.next_id.replace(self.next_id.get() + 1);
        job.asked(Rc::downgrade(self), id);
        self.jobs.borrow_mut().insert(id, Rc::clone(job));
        let message = if fresh { Message::Exec } else { Message::Fork(waiting) };
        self.outbox.borrow_mut().send(&*self.socket, &message, id, Some(far))
    }

    fn tell_state(&self, state: &Rc<AppState>) -> Result<()> {
        let mut told = self.told.borrow_mut();
        if told.as_ref().is_some_and(|told| Rc::ptr_eq(told, state)) {
            return Ok(());
        }
        let fds = state.directory().into_iter().collect();
        self.outbox.borrow_mut().push(&Message::State(state.message()), 0, fds)?;
        *told = Some(Rc::clone(state));
        Ok(())
    }

    fn flush(self: &Rc<Self>) {
        // A template that is gone is seen when its end is read.
        let broken = self.outbox.borrow_mut().flush(&*self.socket).is_err();
        let is_crowded = !broken && self.outbox.borrow().is_crowded();
        self.crowd.replace(is_crowded.then(|| self.try_later()));
        let awaits_room = !broken && !is_crowded && !self.outbox.borrow().is_empty();
        if self.awaits_room.replace(awaits_room) != awaits_room {
            let interest = if awaits_room {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            if let Some(watcher) = &*self.watcher.borrow() {
                // The descriptor is watched already, so nothing new is needed of the kernel.
                let _ = watcher.set_interest(interest);
            }
        }
    }

    fn ready(self: &Rc<Self>, ready: Readiness) {
        if ready.is_writable() {
            self.flush();
        }
        let mut inbox = self.inbox.take();
        match inbox.receive(&*self.socket) {
            Ok(Some((header, body, fd))) => {
                let heard = Message::decode(header, body)
                    .and_then(|message| self.hear(header.id, message, fd));
                if let Err(error) = heard {
                    self.lost(&error.to_string());
                }
            }
            Ok(None) => self.lost("it has ended"),
            Err(error) if is(&error, Errno::AGAIN) => (),
            // It died with something of ours unread, which is said once and before what it had sent by then
            // (unix(7)): its last answers and its end come next.
            Err(error) if is(&error, Errno::CONNRESET) => (),
            Err(error) => self.lost(&error.to_string()),
        }
        self.inbox.replace(inbox);
    }

    fn hear(self: &Rc<Self>, id: u64, message: Message<'_>, fd: Option<OwnedFd>) -> Result<()> {
        match message {
            Message::Retired => {
                self.retired.set(true);
                self.close_if_done();
            }
            Message::Started { pid, spare } => {
                let job = self.jobs.borrow().get(&id).cloned();
                self.answered();
                if let Some(template) = self.template.upgrade() {
                    template.core().proved(self.generation, spare);
                }
                if let Some(job) = job {
                    job.started(pid, fd);
                }
            }
            Message::Refused { errno, what } => {
                let job = self.jobs.borrow_mut().remove(&id);
                self.answered();
                if let Some(job) = job {
                    job.fail_later(refused(errno, what));
                }
                self.close_if_done();
            }
            Message::Ended(ended) => {
                let job = self.jobs.borrow_mut().remove(&id);
                if let Some(job) = job {
                    let begun = job.has_started();
                    if !begun {
                        self.answered();
                    }
                    if begun || !ended.spare || job.is_killed() {
                        job.ended(ended.pid, Exit::new(job.entry(), &ended));
                    } else {
                        job.not_begun();
                    }
                }
                super::reaper::sweep();
                if !self.waiting.borrow().is_empty() {
                    self.pump();
                }
                self.close_if_done();
            }
            other => return Err(other.misplaced()),
        }
        Ok(())
    }

    fn answered(self: &Rc<Self>) {
        self.asked.set(self.asked.get().saturating_sub(1));
        // Another timer, if need be, begins anew.
        drop(self.patience.take());
        self.nudged.set(false);
        if !self.waiting.borrow().is_empty() {
            self.pump();
        }
        self.be_patient();
    }

    fn close_if_done(&self) {
        if self.retired.get() && self.jobs.borrow().is_empty() {
            self.close();
        }
    }

    fn close(&self) {
        let link = LINKS.with_borrow_mut(|links| links.links.remove(&self.generation));
        drop((self.watcher.take(), self.patience.take()));
        drop(link);
    }

    /// The template's process is gone: everything that was asked of it is settled, or asked anew.
    fn lost(&self, why: &str) {
        self.close();
        if let Some(template) = self.template.upgrade() {
            // Whoever wants something of it next is told why it has no successor.
            let _ = template.core().revive(self.generation);
        }
        for job in self.jobs.take().into_values() {
            job.orphaned(why);
        }
        for job in self.waiting.take() {
            job.orphaned(why);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Ends it also for those that the app has forked without tine's knowing, which have it too; one that was
        // inherited in such a way is another process's.
        if self.stamp == stamp() {
            let _ = rustix::net::shutdown(&*self.socket, Shutdown::Both);
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(template) = self.template.upgrade() else {
            return f.write_str("a template without a handle");
        };
        match template.pid() {
            Some(pid) => write!(f, "template {pid}: ")?,
            None => f.write_str("template: ")?,
        }
        let made = template.report();
        let Report { processes, from_spares, deaths } = made;
        write!(f, "{processes} processes made, {from_spares} of them spares; {deaths} deaths")
    }
}

fn refused(errno: i32, what: &[u8]) -> Error {
    let (what, source) = (String::from_utf8_lossy(what), io::Error::from_raw_os_error(errno));
    let said = what.strip_suffix(&format!(": {source}"));
    let message = format!("the template could not make a process: {}", said.unwrap_or(&what));
    match errno {
        0 => Error::new(ErrorKind::NoProcess, message),
        _ => Error::caused(ErrorKind::NoProcess, message, source),
    }
}

/// Tells whether the kernel's error in it is this one.
pub(super) fn is(error: &Error, errno: Errno) -> bool {
    error.io().and_then(Errno::from_io_error) == Some(errno)
}
