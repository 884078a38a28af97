//! Flow 2, typed, the worker's side: the socket on which requests come and answers go.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SendFlags;
use serde::Serialize;

use super::Format;
use super::frame::{HEADER, Header, Hello, Kind, protocol};
use super::inbox::Frame;
use super::outbox::{KEPT, Outbox};
use crate::serve::Panic;
use crate::wire::PAUSE;
use crate::{Interest, Io, Result, Timer};

pub(super) struct Session {
    pub socket: Rc<OwnedFd>,
    hello: Hello,
    pub limit: usize,
    /// Octets that may wait to be sent. What would exceed it waits until the app has taken some.
    pub bound: usize,
    pub outbox: RefCell<Outbox>,
    /// What the app's `Hello` said.
    format: Cell<Option<Format>>,
    /// Calls that were given up, and are not answered yet.
    pub cancelled: RefCell<BTreeSet<u64>>,
    /// Where answers are encoded; empty.
    scratch: Cell<Vec<u8>>,
    /// Of an async worker.
    pub watcher: RefCell<Option<Io>>,
    /// The next try of what is [crowded](Outbox::is_crowded).
    crowd: RefCell<Option<Timer>>,
    interest: Cell<Interest>,
    /// An async worker takes no more requests for now.
    pub paused: Cell<bool>,
}

impl Session {
    pub fn new(socket: OwnedFd, hello: Hello, limit: usize, bound: usize) -> Rc<Session> {
        let outbox = RefCell::new(Outbox::default());
        // It goes out with the first answer, or before the worker waits for a request.
        outbox.borrow_mut().push(&hello.encode(), Vec::new());
        Rc::new(Session {
            socket: Rc::new(socket),
            hello,
            limit,
            bound,
            outbox,
            format: Cell::new(None),
            cancelled: RefCell::default(),
            scratch: Cell::default(),
            watcher: RefCell::default(),
            crowd: RefCell::default(),
            interest: Cell::new(Interest::READABLE),
            paused: Cell::new(false),
        })
    }

    pub fn format(&self) -> Format {
        self.format.get().unwrap_or_default()
    }

    /// Takes in the app's greeting, which comes before anything else; tells whether this was it.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind): it is another one's, or none. The app is told who is here.
    pub fn greeted_by(&self, frame: &Frame<'_>) -> Result<bool> {
        if self.format.get().is_some() {
            return Ok(false);
        }
        let met = Hello::decode(frame.header, frame.body).and_then(|theirs| {
            self.hello.meets(&theirs)?;
            Ok(theirs.format)
        });
        match met {
            Ok(format) => self.format.set(Some(format)),
            Err(error) => {
                self.flush()?;
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Sends a value.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind): it cannot be sent. The kernel's: the app is gone.
    pub fn send<T: Serialize + ?Sized>(
        self: &Rc<Self>,
        kind: Kind,
        id: u64,
        value: &T,
    ) -> Result<()> {
        let mut octets = self.scratch.take();
        octets.resize(HEADER, 0);
        let sent = self.format().encode(value, &mut octets).and_then(|fds| {
            let header = Header { kind, fds: fds.len(), len: octets.len() - HEADER, id };
            header.may_travel(self.limit)?;
            octets[..HEADER].copy_from_slice(&header.encode());
            let flags = SendFlags::DONTWAIT;
            let sent = self.outbox.borrow_mut().send(&*self.socket, &octets, fds, flags);
            sent.map_err(|error| crate::Error::system("answer the app", error))
        });
        octets.clear();
        octets.shrink_to(KEPT);
        self.scratch.set(octets);
        sent?;
        self.keep_bound()
    }

    fn send_text(self: &Rc<Self>, kind: Kind, id: u64, text: &str) -> Result<()> {
        let text = &text[..text.floor_char_boundary(self.limit)];
        let header = Header { kind, fds: 0, len: text.len(), id };
        self.outbox.borrow_mut().push(&[&header.encode(), text.as_bytes()].concat(), Vec::new());
        self.flush_some()?;
        self.keep_bound()
    }

    /// Answers a call: with the reply, or why there is none.
    ///
    /// # Errors
    /// The kernel's: the app is gone.
    pub fn answer<T: Serialize>(self: &Rc<Self>, id: u64, answer: Result<T, String>) -> Result<()> {
        self.cancelled.borrow_mut().remove(&id);
        match answer {
            Err(text) => self.send_text(Kind::Failed, id, &text),
            Ok(reply) => match self.send(Kind::Reply, id, &reply) {
                Err(error) if error.kind() == crate::ErrorKind::Misuse => {
                    self.send_text(Kind::Failed, id, &error.to_string())
                }
                sent => sent,
            },
        }
    }

    /// # Errors
    /// As [`Session::answer`].
    pub fn panicked(self: &Rc<Self>, id: u64, panic: &Panic) -> Result<()> {
        self.cancelled.borrow_mut().remove(&id);
        self.send_text(Kind::Panicked, id, &format!("{}\0{}", panic.place, panic.message))
    }

    /// # Errors
    /// As [`Session::answer`].
    pub fn retire(self: &Rc<Self>) -> Result<()> {
        self.send_text(Kind::Retire, 0, "")
    }

    /// Sends what the socket takes.
    ///
    /// # Errors
    /// The kernel's: the app is gone.
    pub fn flush_some(&self) -> Result<()> {
        let flushed = self.outbox.borrow_mut().flush(&*self.socket, SendFlags::DONTWAIT);
        flushed.map_err(|error| crate::Error::system("answer the app", error))
    }

    /// Sends everything, however long the app takes.
    ///
    /// # Errors
    /// The kernel's: the app is gone.
    pub fn flush(&self) -> Result<()> {
        self.wait_for(0)
    }

    fn keep_bound(self: &Rc<Self>) -> Result<()> {
        self.wait_for(self.bound)?;
        self.update()
    }

    /// Waits until no more than `bound` octets wait to be sent.
    fn wait_for(&self, bound: usize) -> Result<()> {
        while self.outbox.borrow().len() > bound {
            self.flush_some()?;
            if self.outbox.borrow().len() > bound {
                self.wait_for_room()?;
            }
        }
        Ok(())
    }

    fn wait_for_room(&self) -> Result<()> {
        let is_crowded = self.outbox.borrow().is_crowded();
        // Where nothing tells when to try again, only the app's end is waited for, and not for long.
        let (events, limit) = if is_crowded {
            (PollFlags::empty(), Timespec::try_from(PAUSE).ok())
        } else {
            (PollFlags::OUT, None)
        };
        let mut room = [PollFd::new(&self.socket, events)];
        match rustix::event::poll(&mut room, limit.as_ref()) {
            Ok(1..) if is_crowded => Err(crate::Error::system("answer the app", Errno::PIPE)),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the watcher of an async worker wait for what is needed now.
    ///
    /// # Errors
    /// Those of [`Io::set_interest`].
    pub fn update(self: &Rc<Self>) -> Result<()> {
        let Some(watcher) = &*self.watcher.borrow() else { return Ok(()) };
        let is_crowded = self.outbox.borrow().is_crowded();
        self.crowd.replace(is_crowded.then(|| self.try_later()));
        let mut interest = Interest::NONE;
        if !self.paused.get() {
            interest = interest | Interest::READABLE;
        }
        if !is_crowded && !self.outbox.borrow().is_empty() {
            interest = interest | Interest::WRITABLE;
        }
        if self.interest.replace(interest) == interest {
            return Ok(());
        }
        watcher.set_interest(interest)
    }

    /// Takes the socket for full after a while, which has it tried again.
    fn try_later(self: &Rc<Self>) -> Timer {
        let session = Rc::downgrade(self);
        crate::queue().after(PAUSE, move || {
            let Some(session) = session.upgrade() else { return };
            let interest = session.interest.get() | Interest::WRITABLE;
            session.interest.set(interest);
            if let Some(watcher) = &*session.watcher.borrow() {
                // The descriptor is open and watched, so there is nothing to refuse.
                let _ = watcher.set_interest(interest);
            }
        })
    }

    pub fn is_bad(kind: Kind) -> crate::Error {
        protocol(format!("an app does not send {kind:?}"))
    }
}

/// Tells the app of things that it did not ask for, in order with replies; can be kept and cloned.
#[derive(Clone)]
pub struct Events {
    pub(super) session: Rc<Session>,
}

impl Events {
    /// Sends an event. It waits while the app takes no more.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse): the event cannot be sent: it is too long, or
    /// carries too many descriptors. [`ErrorKind::System`](crate::ErrorKind::System): the app is gone.
    pub fn send<Event: Serialize + ?Sized>(&self, event: &Event) -> Result<()> {
        self.session.send(Kind::Event, 0, event)
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("socket", &self.session.socket.as_fd()).finish()
    }
}
