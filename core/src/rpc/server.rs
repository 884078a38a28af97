//! Flow 2, typed, the worker's side: requests one after another.

use std::fmt;
use std::rc::Rc;

use rustix::net::RecvFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{Hello, Kind};
use super::inbox::{Found, Frame, Inbox};
use super::session::{Events, Session};
use super::{BUILD, Format, LIMIT};
use crate::serve::{Panic, catch};
use crate::{Result, Worker};

/// How a worker serves requests; [`serve`] and [`serve_async`](super::serve_async) are the usual ways.
#[must_use = "nothing is served yet"]
#[derive(Debug)]
pub struct Server {
    pub(super) worker: Worker,
    pub(super) build: String,
    pub(super) limit: usize,
    pub(super) concurrent: usize,
}

/// Answers requests, one after another, until the app makes no more.
///
/// What an entry does before is its initialisation, and what it does after is done when the app has dropped its
/// client. An error of the handler, or a panic in it, is the answer to that request, and the worker lives on.
///
/// Answers and events that the app does not take stay in the socket, and the worker waits: it holds one
/// message and no more.
///
/// # Errors
/// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol): the app is another build, or no client.
/// [`ErrorKind::System`](crate::ErrorKind::System): the app is gone.
pub fn serve<Req: DeserializeOwned, Rep: Serialize, E: fmt::Display>(
    worker: Worker,
    handler: impl FnMut(Req, &mut Caller<'_>) -> Result<Rep, E>,
) -> Result<()> {
    Server::new(worker).serve(handler)
}

impl Server {
    /// Serves over the worker's socket. What was sent is to be taken from the worker before.
    pub fn new(worker: Worker) -> Server {
        Server { worker, build: BUILD.into(), limit: LIMIT, concurrent: super::CONCURRENT }
    }

    /// Says which build of the program this is. An app of [another](super::Builder::build) is refused.
    pub fn build(self, build: impl Into<String>) -> Self {
        Server { build: build.into(), ..self }
    }

    /// Bounds the octets of one message, 16 MiB if nothing else is said.
    pub fn limit(self, octets: usize) -> Self {
        Server { limit: octets.min(u32::MAX as usize), ..self }
    }

    pub(super) fn session(self, bound: usize) -> Rc<Session> {
        let entry = self.worker.entry().into();
        let hello = Hello { format: Format::default(), entry, build: self.build };
        Session::new(self.worker.into_socket().into(), hello, self.limit, bound)
    }

    /// As [`serve`].
    ///
    /// # Errors
    /// As [`serve`].
    pub fn serve<Req: DeserializeOwned, Rep: Serialize, E: fmt::Display>(
        self,
        mut handler: impl FnMut(Req, &mut Caller<'_>) -> Result<Rep, E>,
    ) -> Result<()> {
        let session = self.session(0);
        let mut inbox = Inbox::new(session.limit);
        loop {
            while let Some(frame) = inbox.next()? {
                if session.greeted_by(&frame)? {
                    continue;
                }
                let id = frame.header.id;
                match frame.header.kind {
                    Kind::Cancel => drop(session.cancelled.borrow_mut().remove(&id)),
                    Kind::Request => {
                        let request = catch(|| decode(&session, frame));
                        let mut caller = Caller { session: &session, inbox: &mut inbox, id };
                        answer(&mut caller, request, &mut handler)?;
                    }
                    kind => return Err(Session::is_bad(kind)),
                }
            }
            session.flush()?;
            if inbox.receive(&*session.socket, RecvFlags::empty())? == Found::End {
                return Ok(());
            }
            inbox.look_ahead(&mut session.cancelled.borrow_mut())?;
        }
    }
}

/// A request, or what to answer instead.
pub(super) fn decode<Req: DeserializeOwned>(
    session: &Session,
    frame: Frame<'_>,
) -> Result<Req, String> {
    if session.cancelled.borrow().contains(&frame.header.id) {
        return Err("the call was cancelled".into());
    }
    if frame.lost_fds {
        return Err("the worker has no room for the descriptors of this request".into());
    }
    session.format().decode(frame.body, frame.fds).map_err(|error| error.to_string())
}

fn answer<Req, Rep: Serialize, E: fmt::Display>(
    caller: &mut Caller<'_>,
    request: Result<Result<Req, String>, Panic>,
    handler: &mut impl FnMut(Req, &mut Caller<'_>) -> Result<Rep, E>,
) -> Result<()> {
    let (session, id) = (caller.session, caller.id);
    // What decodes a request, tells an error's text and encodes a reply is the program's as well.
    let answered = request.and_then(|request| match request {
        Ok(request) => catch(|| {
            let answer = handler(request, caller).map_err(|error| error.to_string());
            session.answer(id, answer)
        }),
        Err(text) => Ok(session.answer(id, Err::<(), _>(text))),
    });
    answered.unwrap_or_else(|panic| session.panicked(id, &panic))
}

/// The app, while a handler works for it.
pub struct Caller<'a> {
    session: &'a Rc<Session>,
    inbox: &'a mut Inbox,
    id: u64,
}

impl Caller<'_> {
    /// Sends a part of the reply; what the handler returns comes after all of them. It waits while the app
    /// takes no more.
    ///
    /// # Errors
    /// As [`Events::send`].
    pub fn part<Part: Serialize + ?Sized>(&mut self, part: &Part) -> Result<()> {
        self.session.send(Kind::Part, self.id, part)
    }

    /// Sends an event, which belongs to no call. It waits while the app takes no more.
    ///
    /// # Errors
    /// As [`Events::send`].
    pub fn event<Event: Serialize + ?Sized>(&mut self, event: &Event) -> Result<()> {
        self.session.send(Kind::Event, 0, event)
    }

    /// Gives a handle that sends events at other times too.
    pub fn events(&self) -> Events {
        Events { session: Rc::clone(self.session) }
    }

    /// Asks the app for no more requests. Those that it has sent by then are answered; when it has dropped
    /// its client, serving ends.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System): the app is gone.
    pub fn retire(&mut self) -> Result<()> {
        self.session.retire()
    }

    /// Tells whether the app has given up this call. It looks, without waiting, what has come since.
    pub fn is_cancelled(&mut self) -> bool {
        let mut cancelled = self.session.cancelled.borrow_mut();
        if cancelled.contains(&self.id) {
            return true;
        }
        // What is wrong with the socket or with what came is told when it is that message's turn.
        let _ = self.inbox.receive(&*self.session.socket, RecvFlags::DONTWAIT);
        let _ = self.inbox.look_ahead(&mut cancelled);
        cancelled.contains(&self.id)
    }
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("call", &self.id).finish_non_exhaustive()
    }
}
