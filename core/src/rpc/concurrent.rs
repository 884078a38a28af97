//! Flow 2, typed, the worker's side: many requests at a time, answered in any order.
//!
//! ```text
//! Taking ── requests under way, or octets that wait, reach their bound ──▶ Busy
//!    │ ▲                                                                    │
//!    │ └──────────────────────── both are below it ─────────────────────────┘
//!    └─ the app makes no more ─▶ Ending ─ all are answered ─▶ over
//! ```
//! While it is busy it goes on reading as far as its inbox has room, to hear what is cancelled.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::rc::{Rc, Weak};

use rustix::net::RecvFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::Kind;
use super::inbox::{Found, Frame, Inbox};
use super::server::{Server, decode};
use super::session::{Events, Session};
use crate::serve::catch;
use crate::{Error, Interest, Readiness, Result, Worker};

/// Octets of answers and events that may wait in a worker before it takes no more requests.
const BOUND: usize = 256 * 1024;

/// Answers requests in any order, with this thread's own [`queue`](crate::queue()), until the app makes no more
/// and all are answered.
///
/// While 64 requests are under way ([`Server::concurrent`]), or 256 KiB of answers and events wait because the
/// app takes none, no more requests are taken in. What is sent beyond that waits until the app has taken some.
///
/// # Errors
/// As [`serve`](super::serve), and those of [`Queue::turn`](crate::Queue::turn).
///
/// # Panics
/// With a panic of a callback of the queue. One in the handler itself is the answer to that request.
pub fn serve_async<Req: DeserializeOwned + 'static, Rep: Serialize + 'static>(
    worker: Worker,
    handler: impl FnMut(Req, Responder<Rep>) + 'static,
) -> Result<()> {
    Server::new(worker).serve_async(handler)
}

type Handler<Req, Rep> = Box<dyn FnMut(Req, Responder<Rep>)>;

struct Concurrent<Req, Rep> {
    session: Rc<Session>,
    /// Away while messages are taken from it.
    inbox: Cell<Option<Inbox>>,
    handler: Cell<Option<Handler<Req, Rep>>>,
    open: Rc<Open>,
    most: usize,
    ended: Cell<bool>,
}

/// What calls that are under way share.
struct Open {
    session: Rc<Session>,
    calls: RefCell<BTreeMap<u64, Weak<OnCancel>>>,
    /// Calls whose responder was dropped by a panic.
    unanswered: RefCell<Vec<u64>>,
    /// As many are under way as may be, or as many octets wait: what has come in may wait too.
    busy: Cell<bool>,
    /// Goes on with what has come in.
    resume: RefCell<Option<Rc<dyn Fn()>>>,
    /// Why nothing can be served any more.
    failed: RefCell<Option<Error>>,
}

type OnCancel = RefCell<Option<Box<dyn FnOnce()>>>;

impl Server {
    /// How many requests an async worker takes in at a time; 64 if nothing else is said.
    pub fn concurrent(self, requests: usize) -> Self {
        Server { concurrent: requests.max(1), ..self }
    }

    /// As [`serve_async`].
    ///
    /// # Errors
    /// As [`serve_async`].
    ///
    /// # Panics
    /// As [`serve_async`].
    pub fn serve_async<Req: DeserializeOwned + 'static, Rep: Serialize + 'static>(
        self,
        handler: impl FnMut(Req, Responder<Rep>) + 'static,
    ) -> Result<()> {
        let most = self.concurrent;
        let session = self.session(BOUND);
        let open = Rc::new(Open {
            session: Rc::clone(&session),
            calls: RefCell::default(),
            unanswered: RefCell::default(),
            busy: Cell::new(false),
            resume: RefCell::default(),
            failed: RefCell::default(),
        });
        let concurrent = Rc::new(Concurrent {
            inbox: Cell::new(Some(Inbox::new(session.limit))),
            handler: Cell::new(Some(Box::new(handler))),
            session,
            open,
            most,
            ended: Cell::new(false),
        });
        concurrent.run()
    }
}

impl<Req: DeserializeOwned + 'static, Rep: Serialize + 'static> Concurrent<Req, Rep> {
    fn run(self: Rc<Self>) -> Result<()> {
        let (queue, watched) = (crate::queue(), Rc::downgrade(&self));
        let socket = Rc::clone(&self.session.socket);
        let watcher = queue.io(socket, Interest::READABLE, move |_, ready| {
            if let Some(concurrent) = watched.upgrade() {
                concurrent.open.note(concurrent.ready(ready));
            }
        })?;
        self.session.watcher.replace(Some(watcher));
        let resumed = Rc::downgrade(&self);
        self.open.resume.replace(Some(Rc::new(move || {
            if let Some(concurrent) = resumed.upgrade() {
                concurrent.open.note(concurrent.go_on());
            }
        })));
        self.session.flush_some()?;
        self.session.update()?;
        let driven = queue.run_until(|| self.is_over());
        drop((self.session.watcher.take(), self.open.resume.take()));
        driven?;
        self.open.failed.take().map_or(Ok(()), Err)
    }

    fn is_over(&self) -> bool {
        let answered = !self.open.busy.get()
            && self.open.calls.borrow().is_empty()
            && self.session.outbox.borrow().is_empty();
        self.open.failed.borrow().is_some() || (self.ended.get() && answered)
    }

    fn ready(&self, ready: Readiness) -> Result<()> {
        if ready.is_writable() {
            self.session.flush_some()?;
            if self.open.busy.get() {
                self.go_on()?;
            }
        }
        if ready.is_readable() && !self.session.paused.get() {
            let Some(mut inbox) = self.inbox.take() else { return Ok(()) };
            let found = inbox.receive(&*self.session.socket, RecvFlags::DONTWAIT);
            let heard = self.hear_cancels(&mut inbox);
            self.inbox.set(Some(inbox));
            match found? {
                Found::Octets => heard.and_then(|()| self.go_on())?,
                Found::Nothing => (),
                Found::End => {
                    self.ended.set(true);
                    self.session.paused.set(true);
                }
            }
        }
        self.session.update()
    }

    /// Calls that are under way hear that they are cancelled, whatever waits before that.
    fn hear_cancels(&self, inbox: &mut Inbox) -> Result<()> {
        let mut cancelled = BTreeSet::new();
        inbox.look_ahead(&mut cancelled)?;
        for id in cancelled {
            self.open.cancel(id);
        }
        Ok(())
    }

    /// Takes in requests that are there, up to the bounds.
    fn go_on(&self) -> Result<()> {
        let Some(mut inbox) = self.inbox.take() else { return Ok(()) };
        let taken = loop {
            let waiting = self.session.outbox.borrow().len() >= BOUND;
            let busy = waiting || self.open.calls.borrow().len() >= self.most;
            self.open.busy.set(busy);
            if busy {
                self.session.paused.set(waiting || self.ended.get() || inbox.is_full());
                break Ok(());
            }
            self.session.paused.set(self.ended.get());
            match inbox.next() {
                Ok(Some(frame)) => {
                    if let Err(error) = self.take(frame) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.inbox.set(Some(inbox));
        taken.and_then(|()| self.session.update())
    }

    fn take(&self, frame: Frame<'_>) -> Result<()> {
        if self.session.greeted_by(&frame)? {
            return Ok(());
        }
        let id = frame.header.id;
        match frame.header.kind {
            // Heard when it came. If there is no such call, there will be none.
            Kind::Cancel if !self.open.calls.borrow().contains_key(&id) => {
                self.session.cancelled.borrow_mut().remove(&id);
            }
            Kind::Cancel => (),
            Kind::Request => match catch(|| decode(&self.session, frame)) {
                Ok(Ok(request)) => return self.handle(id, request),
                Ok(Err(text)) => return self.session.answer(id, Err::<(), _>(text)),
                Err(panic) => return self.session.panicked(id, &panic),
            },
            kind => return Err(Session::is_bad(kind)),
        }
        Ok(())
    }

    fn handle(&self, id: u64, request: Req) -> Result<()> {
        let Some(mut handler) = self.handler.take() else { return Ok(()) };
        let on_cancel = Rc::new(RefCell::new(None));
        self.open.calls.borrow_mut().insert(id, Rc::downgrade(&on_cancel));
        let open = Rc::clone(&self.open);
        let responder = Responder { open, on_cancel, id, types: PhantomData };
        let handled = catch(|| handler(request, responder));
        self.handler.set(Some(handler));
        if let Err(panic) = handled {
            for id in self.open.unanswered.take() {
                self.session.panicked(id, &panic)?;
            }
        }
        Ok(())
    }
}

impl Open {
    fn note(&self, done: Result<()>) {
        if let Err(error) = done {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    fn cancel(&self, id: u64) {
        // If it has not begun, it will not.
        self.session.cancelled.borrow_mut().insert(id);
        let on_cancel = self.calls.borrow().get(&id).and_then(Weak::upgrade);
        if let Some(callback) = on_cancel.and_then(|on_cancel| on_cancel.take()) {
            crate::queue().post(callback);
        }
    }

    /// A call is not under way any more.
    fn close(&self, id: u64, answered: Result<()>) {
        self.calls.borrow_mut().remove(&id);
        self.note(answered);
        let resume = self.resume.borrow().clone();
        if let Some(resume) = resume.filter(|_| self.busy.get()) {
            crate::queue().post(move || resume());
        }
    }
}

/// Answers one request, now or later. Dropped without an answer, it says so to the app.
pub struct Responder<Rep> {
    open: Rc<Open>,
    on_cancel: Rc<OnCancel>,
    id: u64,
    types: PhantomData<fn(Rep)>,
}

impl<Rep: Serialize> Responder<Rep> {
    /// Answers. It waits only while more than 256 KiB wait that the app does not take.
    pub fn answer<E: fmt::Display>(self, answer: Result<Rep, E>) {
        let answered = self.open.session.answer(self.id, answer.map_err(|error| error.to_string()));
        self.open.close(self.id, answered);
    }
}

impl<Rep> Responder<Rep> {
    /// Sends a part of the reply; the answer comes after all of them.
    ///
    /// # Errors
    /// As [`Events::send`].
    pub fn part<Part: Serialize + ?Sized>(&self, part: &Part) -> Result<()> {
        self.open.session.send(Kind::Part, self.id, part)
    }

    /// Sends an event, which belongs to no call.
    ///
    /// # Errors
    /// As [`Events::send`].
    pub fn event<Event: Serialize + ?Sized>(&self, event: &Event) -> Result<()> {
        self.open.session.send(Kind::Event, 0, event)
    }

    /// Gives a handle that sends events at other times too.
    pub fn events(&self) -> Events {
        Events { session: Rc::clone(&self.open.session) }
    }

    /// Asks the app for no more requests, as [`Caller::retire`](super::Caller::retire).
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System): the app is gone.
    pub fn retire(&self) -> Result<()> {
        self.open.session.retire()
    }

    /// Tells whether the app has given up this call.
    pub fn is_cancelled(&self) -> bool {
        self.open.session.cancelled.borrow().contains(&self.id)
    }

    /// Calls back when the app gives up this call, if it does before the answer; the latest callback counts.
    pub fn on_cancel(&self, callback: impl FnOnce() + 'static) {
        if self.is_cancelled() {
            return crate::queue().post(callback);
        }
        let former = self.on_cancel.replace(Some(Box::new(callback)));
        drop(former);
    }
}

impl<Rep> Drop for Responder<Rep> {
    fn drop(&mut self) {
        if !self.open.calls.borrow().contains_key(&self.id) {
            return;
        }
        let answered = if std::thread::panicking() {
            self.open.unanswered.borrow_mut().push(self.id);
            Ok(())
        } else {
            let text = "the worker dropped this request unanswered";
            self.open.session.answer(self.id, Err::<(), _>(text.into()))
        };
        self.open.close(self.id, answered);
    }
}

impl<Rep> fmt::Debug for Responder<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("call", &self.id).finish_non_exhaustive()
    }
}
