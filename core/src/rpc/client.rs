//! Flow 2, typed, the app's side: the handle of a worker that answers requests.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::calls::{Call, OnValue, on_answer, on_value};
use super::channel::{Channel, Hooks, Settings, Stage};
use super::frame::Hello;
use super::{BACKLOG, BUILD, Error, Format, LIMIT};
use crate::{Completion, Exit, Posture, Process, Result};

/// A worker that answers requests of type `Req` with replies of type `Rep`.
///
/// It belongs to the thread that made it, whose queue its callbacks run on. Every call is settled exactly
/// once, whatever becomes of the worker. Dropped, it makes no more requests: the worker answers those that it
/// has, and ends; the callbacks run all the same. [`kill`](Client::kill) ends it at once.
pub struct Client<Req: ?Sized, Rep> {
    channel: Rc<Channel>,
    types: PhantomData<fn(&Req) -> Rep>,
}

/// What a client hears, and how it speaks; made by [`Client::builder`].
#[must_use = "nothing is run yet"]
pub struct Builder<Req: ?Sized, Rep> {
    format: Format,
    build: String,
    limit: usize,
    backlog: usize,
    hooks: Hooks,
    types: PhantomData<fn(&Req) -> Rep>,
}

impl<Req: Serialize + ?Sized, Rep: DeserializeOwned + 'static> Client<Req, Rep> {
    /// Has the process enter `entry`, which [serves](super::serve).
    pub fn run(process: Process, entry: impl Into<String>) -> Self {
        Client::builder().run(process, entry)
    }

    /// Makes a client that hears of more than replies, or has other bounds.
    pub fn builder() -> Builder<Req, Rep> {
        Builder {
            format: Format::default(),
            build: BUILD.into(),
            limit: LIMIT,
            backlog: BACKLOG,
            hooks: Hooks::default(),
            types: PhantomData,
        }
    }

    /// Sends a request; the callback runs once, in a dispatch, with the reply or why there is none.
    ///
    /// Requests wait in the app while the worker takes no more. When the octets that wait have reached the
    /// [backlog](Builder::backlog), a request is [refused](Error::Refused).
    pub fn call(&self, request: &Req, callback: impl FnOnce(Result<Rep, Error>) + 'static) -> Call {
        self.send(request, None, callback)
    }

    /// Sends a request whose reply comes in parts: each runs `on_part`, in order, before the callback runs.
    ///
    /// A part that is no `Part` is the channel's end.
    pub fn stream<Part: DeserializeOwned>(
        &self,
        request: &Req,
        on_part: impl FnMut(Part) + 'static,
        callback: impl FnOnce(Result<Rep, Error>) + 'static,
    ) -> Call {
        self.send(request, Some(on_value(on_part)), callback)
    }

    /// Sends a request whose answer is waited for by [`Completion::recv`] or `.await`.
    ///
    /// Its error has the [`Error`] of this module as its source, and the kinds
    /// [`Failed`](crate::ErrorKind::Failed) for what the handler answered,
    /// [`NoProcess`](crate::ErrorKind::NoProcess) where the worker ended.
    pub fn ask(&self, request: &Req) -> Completion<Rep> {
        let completion = crate::queue().completion();
        let sender = completion.sender();
        self.send(request, None, |answer| sender(answer.map_err(Into::into)));
        completion
    }

    fn send(
        &self,
        request: &Req,
        on_part: Option<OnValue>,
        callback: impl FnOnce(Result<Rep, Error>) + 'static,
    ) -> Call {
        let encode = |format: Format, octets: &mut Vec<u8>| format.encode(request, octets);
        self.channel.call(encode, on_part, on_answer(callback))
    }
}

impl<Req: ?Sized, Rep> Client<Req, Rep> {
    /// The worker's process id, once it exists.
    pub fn pid(&self) -> Option<u32> {
        self.channel.running()?.pid()
    }

    /// What holds of the worker's sandbox; None until it has entered its function, and without one.
    pub fn posture(&self) -> Option<&Posture> {
        self.channel.running()?.posture()
    }

    /// Sends the worker a signal (signal(7)); as soon as it exists, if it does not yet.
    ///
    /// # Errors
    /// Those of [`Running::kill`](crate::Running::kill).
    pub fn kill(&self, signal: i32) -> Result<()> {
        self.channel.running().map_or(Ok(()), |running| running.kill(signal))
    }

    /// Calls that the worker has not answered, cancelled ones among them.
    pub fn outstanding(&self) -> usize {
        self.channel.calls.len()
    }

    /// Tells whether the worker has said something that is not read yet.
    pub(crate) fn has_unread(&self) -> bool {
        self.channel.has_unread()
    }

    /// Tells whether a request would be refused, because as many octets wait as the
    /// [backlog](Builder::backlog) allows.
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// Calls back once in a dispatch to come, when no more than half of the backlog waits; the latest
    /// callback counts.
    pub fn on_drain(&self, callback: impl FnOnce() + 'static) {
        self.channel.on_drain(Box::new(callback));
    }

    /// Makes no more requests, as when the client is dropped: the worker answers those that it has, and ends.
    pub fn close(&self) {
        self.channel.close();
    }

    /// Tells whether calls can be answered still, as far as is known.
    pub fn is_open(&self) -> bool {
        self.channel.stage() < Stage::Closed
    }

    /// Tells whether the worker has said that it wants no more requests.
    pub fn is_retiring(&self) -> bool {
        self.channel.is_retiring()
    }
}

impl<Req: ?Sized, Rep> Drop for Client<Req, Rep> {
    fn drop(&mut self) {
        self.channel.close();
    }
}

impl<Req: ?Sized, Rep> fmt::Debug for Client<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pid", &self.pid())
            .field("stage", &self.channel.stage())
            .field("outstanding", &self.outstanding())
            .finish()
    }
}

impl<Req: Serialize + ?Sized, Rep: DeserializeOwned + 'static> Builder<Req, Rep> {
    /// Hears of each event, in order with replies. Without it events are dropped; one that is no `Event` is
    /// the channel's end.
    pub fn on_event<Event: DeserializeOwned>(self, callback: impl FnMut(Event) + 'static) -> Self {
        self.hooks.event.replace(Some(on_value(callback)));
        self
    }

    /// Hears once that no call can be answered any more, and why, unless that was meant: the client was
    /// dropped or the worker has retired, every call is answered, and the worker has ended well.
    pub fn on_error(self, callback: impl FnOnce(Error) + 'static) -> Self {
        self.hooks.error.replace(Some(Box::new(callback)));
        self
    }

    /// Hears once that the worker serves: it has said who it is, and waits for the first request.
    pub fn on_ready(self, callback: impl FnOnce() + 'static) -> Self {
        self.hooks.ready.replace(Some(Box::new(callback)));
        self
    }

    /// Hears once that the worker wants no more requests: it has retired
    /// ([`Caller::retire`](super::Caller::retire)).
    pub fn on_retire(self, callback: impl FnOnce() + 'static) -> Self {
        self.hooks.retire.replace(Some(Box::new(callback)));
        self
    }

    /// Hears of the worker's end, when every call is settled, whether the client is there still or not. A
    /// worker that could not come to be has no end; [`on_error`](Builder::on_error) has told why.
    pub fn on_exit(self, callback: impl FnOnce(Exit) + 'static) -> Self {
        self.hooks.exit.replace(Some(Box::new(callback)));
        self
    }

    /// Hears once, as the very last, that nothing more will be heard: the client is dropped or
    /// [closed](Client::close), every call is settled, and the worker has ended or could not come to be.
    pub fn on_destroy(self, callback: impl FnOnce() + 'static) -> Self {
        self.hooks.destroy.replace(Some(Box::new(callback)));
        self
    }

    /// Says how values become octets; the worker follows.
    pub fn format(self, format: Format) -> Self {
        Builder { format, ..self }
    }

    /// Says which build of the program this is. A worker of [another](super::Server::build) is refused.
    pub fn build(self, build: impl Into<String>) -> Self {
        Builder { build: build.into(), ..self }
    }

    /// Bounds the octets of one message, 16 MiB if nothing else is said. A request that is longer is refused;
    /// a worker that sends a longer one is lost. What is large goes through [`Shared`](crate::Shared) memory.
    pub fn limit(self, octets: usize) -> Self {
        Builder { limit: octets.min(u32::MAX as usize), ..self }
    }

    /// Bounds the octets that wait to be sent, 1 MiB if nothing else is said: when they have reached it,
    /// requests are refused. So the app holds no more than this and one request.
    pub fn backlog(self, octets: usize) -> Self {
        Builder { backlog: octets.max(1), ..self }
    }

    /// Has the process enter `entry`, which [serves](super::serve).
    #[track_caller]
    pub fn run(self, process: Process, entry: impl Into<String>) -> Client<Req, Rep> {
        let hello = Hello { format: self.format, entry: entry.into(), build: self.build };
        let settings = Settings { hello, limit: self.limit, backlog: self.backlog };
        let channel = Channel::new(settings, self.hooks);
        channel.run(process);
        Client { channel, types: PhantomData }
    }
}
