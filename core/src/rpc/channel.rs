//! Flow 2, typed, the app's side: one worker's socket, the calls that wait on it, and what becomes of them.
//!
//! ```text
//! Starting ─▶ Open ─▶ Closed ─▶ Over
//!     └─────────┴────────┴─▶ Lost ─▶ Over
//! ```
//! Starting: the worker has not entered its function; requests wait. Open: both ways. Closed: the worker has
//! closed its end, and its exit will say why. Lost: it could not come to be, or sent what the protocol does
//! not allow, and is killed. Over: its exit is told.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::calls::{Call, Calls, OnAnswer, OnValue, Pending, Value};
use super::frame::{HEADER, Header, Hello, Kind, protocol};
use super::inbox::{Found, Frame, Inbox};
use super::outbox::{KEPT, Outbox};
use super::{Error, Format};
use crate::sys::stamp::stamp;
use crate::{ErrorKind, Exit, Interest, Io, Process, Readiness, Result, Running, Timer};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    Starting,
    Open,
    Closed,
    Lost,
    Over,
}

/// How long a worker that has closed its end may go on to its own end before it is killed, if it owes answers.
const GRACE: Duration = Duration::from_secs(2);

/// What the program set before the worker was run.
pub(super) struct Settings {
    pub hello: Hello,
    /// Octets of a message's body, at most.
    pub limit: usize,
    /// Octets that may wait to be sent before requests are refused.
    pub backlog: usize,
}

type Told<T> = Box<dyn FnOnce(T)>;

/// What the program wants to hear.
#[derive(Default)]
pub(super) struct Hooks {
    pub event: RefCell<Option<OnValue>>,
    pub error: RefCell<Option<Told<Error>>>,
    pub exit: RefCell<Option<Told<Exit>>>,
    pub drain: RefCell<Option<Box<dyn FnOnce()>>>,
    pub retire: RefCell<Option<Box<dyn FnOnce()>>>,
}

pub(super) struct Channel {
    /// Of the process that it belongs to ([`stamp`]).
    stamp: u32,
    settings: Settings,
    hooks: Hooks,
    stage: Cell<Stage>,
    socket: RefCell<Option<Rc<OwnedFd>>>,
    watcher: RefCell<Option<Io>>,
    /// Away while messages are taken from it.
    inbox: Cell<Option<Inbox>>,
    outbox: RefCell<Outbox>,
    /// Where requests are encoded.
    scratch: Cell<Vec<u8>>,
    pub calls: Calls,
    next_id: Cell<u64>,
    running: OnceCell<Running>,
    /// Itself, until the worker's end is told: calls are settled also when the client is gone.
    alive: RefCell<Option<Rc<Channel>>>,
    /// Why no call is answered any more.
    why: RefCell<Option<Error>>,
    /// The worker has said who it is.
    greeted: Cell<bool>,
    /// No more requests come: the worker is to end when it has answered all.
    closing: Cell<bool>,
    retiring: Cell<bool>,
    flush_posted: Cell<bool>,
    /// The watcher waits for room as well.
    waiting: Cell<bool>,
    grace: RefCell<Option<Timer>>,
}

/// Does something if what follows panics.
struct OnPanic<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(what) = self.0.take()
        {
            what();
        }
    }
}

impl Channel {
    pub fn new(settings: Settings, hooks: Hooks) -> Rc<Channel> {
        let outbox = RefCell::new(Outbox::default());
        outbox.borrow_mut().push(&settings.hello.encode(), Vec::new());
        Rc::new(Channel {
            stamp: stamp(),
            inbox: Cell::new(Some(Inbox::new(settings.limit))),
            settings,
            hooks,
            stage: Cell::new(Stage::Starting),
            socket: RefCell::default(),
            watcher: RefCell::default(),
            outbox,
            scratch: Cell::default(),
            calls: Calls::default(),
            next_id: Cell::new(1),
            running: OnceCell::new(),
            alive: RefCell::default(),
            why: RefCell::default(),
            greeted: Cell::new(false),
            closing: Cell::new(false),
            retiring: Cell::new(false),
            flush_posted: Cell::new(false),
            waiting: Cell::new(false),
            grace: RefCell::default(),
        })
    }

    /// Belongs to this process.
    pub fn is_own(&self) -> bool {
        self.stamp == stamp()
    }

    /// Runs the process, and lives until its end is told.
    pub fn run(self: &Rc<Self>, process: Process) {
        self.alive.replace(Some(Rc::clone(self)));
        let (started, exited) = (Rc::downgrade(self), Rc::downgrade(self));
        let started = move |socket| {
            if let Some(channel) = started.upgrade() {
                channel.started(socket);
            }
        };
        let running = process.run(&*self.settings.hello.entry, started).on_exit(move |exit| {
            if let Some(channel) = exited.upgrade() {
                channel.exited(exit);
            }
        });
        // It is set here only, once.
        let _ = self.running.set(running);
    }

    pub fn running(&self) -> Option<&Running> {
        self.running.get()
    }

    pub fn format(&self) -> Format {
        self.settings.hello.format
    }

    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    pub fn is_retiring(&self) -> bool {
        self.retiring.get()
    }

    /// As many octets wait as may.
    pub fn is_full(&self) -> bool {
        self.outbox.borrow().len() >= self.settings.backlog
    }

    pub fn on_drain(&self, callback: Box<dyn FnOnce()>) {
        let former = self.hooks.drain.replace(Some(callback));
        drop(former);
        self.drained();
    }

    /// What `run`'s callback was given.
    fn started(self: &Rc<Self>, socket: Result<UnixStream>) {
        let channel = Rc::downgrade(self);
        let watched = socket.and_then(|socket| {
            let socket: Rc<OwnedFd> = Rc::new(socket.into());
            let watcher =
                crate::queue().io(Rc::clone(&socket), Interest::READABLE, move |_, ready| {
                    if let Some(channel) = channel.upgrade() {
                        channel.ready(ready);
                    }
                })?;
            Ok((socket, watcher))
        });
        match watched {
            Ok((socket, watcher)) if self.stage.get() == Stage::Starting => {
                self.stage.set(Stage::Open);
                self.socket.replace(Some(socket));
                self.watcher.replace(Some(watcher));
                self.flush();
            }
            Ok(_) => (),
            Err(error) => {
                self.lose(error);
                // If there is an end to be told, that is due already.
                let alive = self.alive.take();
                crate::queue().post(move || drop(alive));
            }
        }
    }

    /// Encodes a request and sends it, or has it wait. What is wrong with it is told in a later dispatch.
    pub fn call(
        self: &Rc<Self>,
        encode: impl FnOnce(Format, &mut Vec<u8>) -> Result<Vec<Arc<OwnedFd>>>,
        on_part: Option<OnValue>,
        on_answer: OnAnswer,
    ) -> Call {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let mut octets = self.scratch.take();
        octets.clear();
        octets.resize(HEADER, 0);
        let encoded = self.may_call().and_then(|()| {
            let fds = encode(self.format(), &mut octets).map_err(Error::refused)?;
            self.finish(&mut octets, id, fds.len()).map_err(Error::refused)?;
            Ok(fds)
        });
        match encoded {
            Ok(fds) => {
                let idle = self.calls.len() == 0;
                self.calls.insert(id, Pending { on_answer: Some(on_answer), on_part });
                self.send(&octets, fds, idle);
                if self.stage.get() == Stage::Closed {
                    self.give_grace();
                }
            }
            Err(error) => tell(on_answer, error),
        }
        octets.shrink_to(KEPT);
        self.scratch.set(octets);
        Call { channel: Rc::clone(self), id }
    }

    fn may_call(&self) -> Result<(), Error> {
        let misuse = |kind, message: String| Err(Error::refused(crate::Error::new(kind, message)));
        let entry = &self.settings.hello.entry;
        if !self.is_own() {
            let message = format!("the worker for {entry} is one of another process");
            return misuse(ErrorKind::WrongProcess, message);
        }
        if let Some(why) = &*self.why.borrow() {
            return Err(why.clone());
        }
        if self.is_full() {
            let waiting = self.outbox.borrow().len();
            let message = format!("{waiting} octets wait to be sent to the worker for {entry}");
            return misuse(ErrorKind::Misuse, message);
        }
        Ok(())
    }

    /// Fills in the header of a request.
    fn finish(&self, octets: &mut [u8], id: u64, fds: usize) -> Result<()> {
        let header = Header { kind: Kind::Request, fds, len: octets.len() - HEADER, id };
        header.may_travel(self.settings.limit)?;
        octets[..HEADER].copy_from_slice(&header.encode());
        Ok(())
    }

    /// Sends at once if the worker may be waiting for it. If not, what one turn brings goes out together.
    fn send(self: &Rc<Self>, octets: &[u8], fds: Vec<Arc<OwnedFd>>, at_once: bool) {
        let socket = self.socket.borrow().clone();
        match socket.filter(|_| at_once && self.stage.get() == Stage::Open) {
            Some(socket) => {
                let sent = self.outbox.borrow_mut().send(socket, octets, fds, SendFlags::DONTWAIT);
                self.sent(sent);
            }
            None if self.stage.get() > Stage::Open => (),
            None => {
                self.outbox.borrow_mut().push(octets, fds);
                if self.outbox.borrow().len() > KEPT {
                    self.flush();
                } else if !self.flush_posted.replace(true) {
                    let channel = Rc::clone(self);
                    crate::queue().post(move || {
                        channel.flush_posted.set(false);
                        channel.flush();
                    });
                }
            }
        }
    }

    fn flush(self: &Rc<Self>) {
        let socket = self.socket.borrow().clone();
        if let Some(socket) = socket.filter(|_| self.stage.get() == Stage::Open) {
            let flushed = self.outbox.borrow_mut().flush(&*socket, SendFlags::DONTWAIT);
            self.sent(flushed);
        }
    }

    /// Waits for room if any is needed.
    fn sent(self: &Rc<Self>, sent: rustix::io::Result<()>) {
        if sent.is_err() {
            // The worker has closed its end, which is read from it.
            drop(self.outbox.take());
        }
        let full = !self.outbox.borrow().is_empty();
        if let Some(watcher) = &*self.watcher.borrow()
            && self.waiting.replace(full) != full
        {
            let interest = if full { Interest::BOTH } else { Interest::READABLE };
            // The descriptor is open and watched, so there is nothing to refuse.
            let _ = watcher.set_interest(interest);
        }
        self.drained();
        if !full && self.closing.get() {
            self.shut_down();
        }
    }

    /// Tells who waits for it that there is room for more.
    fn drained(&self) {
        if self.outbox.borrow().len() > self.settings.backlog / 2 {
            return;
        }
        if let Some(on_drain) = self.hooks.drain.take() {
            crate::queue().post(on_drain);
        }
    }

    fn ready(self: &Rc<Self>, ready: Readiness) {
        if ready.is_writable() && !self.outbox.borrow().is_empty() {
            self.flush();
        }
        if ready.is_readable() {
            self.read();
        }
    }

    /// Reads once, and hears what came; tells whether there may be more.
    fn read(self: &Rc<Self>) -> bool {
        let Some(socket) = self.socket.borrow().clone() else { return false };
        let Some(mut inbox) = self.inbox.take() else { return false };
        match inbox.receive(&*socket, RecvFlags::DONTWAIT) {
            Ok(Found::Octets) => {
                self.hear_all(inbox);
                return self.stage.get() == Stage::Open;
            }
            Ok(Found::Nothing) => self.inbox.set(Some(inbox)),
            Ok(Found::End) => self.ended(),
            Err(error) => self.lose(crate::Error::system("read from a worker", error)),
        }
        false
    }

    /// Hears every message that is whole. If one's callback panics, a later turn goes on behind it.
    fn hear_all(self: &Rc<Self>, inbox: Inbox) {
        struct Taken<'a>(&'a Rc<Channel>, Option<Inbox>);
        impl Drop for Taken<'_> {
            fn drop(&mut self) {
                self.0.inbox.set(self.1.take());
            }
        }
        let again = Rc::clone(self);
        let _again = OnPanic(Some(move || crate::queue().post(move || again.hear_rest())));
        let mut taken = Taken(self, Some(inbox));
        while self.stage.get() == Stage::Open
            && let Some(inbox) = &mut taken.1
        {
            let heard = match inbox.next() {
                Ok(Some(frame)) => self.hear(frame),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = heard {
                return self.lose(error);
            }
        }
    }

    fn hear_rest(self: &Rc<Self>) {
        if let Some(inbox) = self.inbox.take() {
            self.hear_all(inbox);
        }
    }

    fn hear(self: &Rc<Self>, frame: Frame<'_>) -> Result<()> {
        let Frame { header, body, fds, lost_fds } = frame;
        if !self.greeted.replace(true) {
            let theirs = Hello::decode(header, body)?;
            return self.settings.hello.meets(&theirs);
        }
        let value = Value { format: self.format(), octets: body, fds, lost_fds };
        match header.kind {
            Kind::Reply => self.answered(header.id, Ok(value)),
            Kind::Failed => self.answered(header.id, Err(Error::Failed(text(body)))),
            Kind::Panicked => {
                let text = text(body);
                let (message, place) = text.split_once('\0').unwrap_or((&text, ""));
                let (message, place) = (message.into(), place.into());
                self.answered(header.id, Err(Error::Panicked { message, place }))
            }
            Kind::Part => {
                self.calls.hear_part(header.id, value).unwrap_or_else(|| Err(unasked(header)))
            }
            Kind::Event => self.hear_event(value),
            Kind::Retire => {
                self.retiring.set(true);
                if let Some(on_retire) = self.hooks.retire.take() {
                    on_retire();
                }
                Ok(())
            }
            Kind::Hello | Kind::Request | Kind::Cancel => {
                Err(protocol(format!("a worker does not send {:?}", header.kind)))
            }
        }
    }

    fn answered(&self, id: u64, answer: Result<Value<'_>, Error>) -> Result<()> {
        let Some(Pending { on_answer, .. }) = self.calls.remove(id) else {
            return Err(protocol(format!("call {id} was answered, which waits for no answer")));
        };
        on_answer.map_or(Ok(()), |on_answer| on_answer(answer))
    }

    fn hear_event(&self, value: Value<'_>) -> Result<()> {
        let Some(mut on_event) = self.hooks.event.take() else { return Ok(()) };
        let heard = on_event(value);
        if self.stage.get() == Stage::Open {
            self.hooks.event.replace(Some(on_event));
        }
        heard
    }

    pub fn cancel(self: &Rc<Self>, id: u64) {
        if !self.is_own() {
            return;
        }
        if let Some(on_answer) = self.calls.cancel(id) {
            let header = Header { kind: Kind::Cancel, fds: 0, len: 0, id };
            self.send(&header.encode(), Vec::new(), true);
            tell(on_answer, Error::Cancelled);
        }
    }

    /// No more requests: the worker hears of it when it has all of them.
    pub fn close(self: &Rc<Self>) {
        if self.closing.replace(true) || !self.is_own() {
            return;
        }
        if self.stage.get() == Stage::Open {
            self.flush();
        }
    }

    fn shut_down(&self) {
        if let Some(socket) = &*self.socket.borrow() {
            // The worker may have gone before; then there is nobody to be told.
            let _ = rustix::net::shutdown(socket, Shutdown::Write);
        }
    }

    /// The worker has closed its end, or is gone; its exit will say why.
    fn ended(self: &Rc<Self>) {
        self.stage.set(Stage::Closed);
        self.let_go();
        if self.calls.len() > 0 {
            self.give_grace();
        }
    }

    fn give_grace(self: &Rc<Self>) {
        if self.grace.borrow().is_none() {
            let channel = Rc::downgrade(self);
            let timer = crate::queue().after(GRACE, move || {
                if let Some(channel) = channel.upgrade() {
                    let message = "the worker closed its end, owes answers, and lives on";
                    channel.lose(protocol(message.into()));
                }
            });
            self.grace.replace(Some(timer));
        }
    }

    fn let_go(&self) {
        drop((self.watcher.take(), self.socket.take(), self.outbox.take()));
    }

    /// The channel cannot be used any more: kills the worker and settles every call.
    fn lose(self: &Rc<Self>, error: crate::Error) {
        if self.stage.get() >= Stage::Lost {
            return;
        }
        self.stage.set(Stage::Lost);
        self.let_go();
        if let Some(running) = self.running.get() {
            // It may have ended by itself, or never have come to be.
            let _ = running.kill(libc::SIGKILL);
        }
        let entry = &self.settings.hello.entry;
        let message = match self.running.get().and_then(Running::pid) {
            Some(pid) if error.kind() == ErrorKind::Protocol => {
                format!("worker {pid} ({entry}) does not keep to the protocol: {error}")
            }
            _ => error.to_string(),
        };
        self.fail_all(Error::lost(crate::Error::new(error.kind(), message)));
    }

    /// Settles every call, each in a callback of its own, so that a panic in one keeps nothing from another.
    fn fail_all(&self, error: Error) {
        self.why.replace(Some(error.clone()));
        for pending in self.calls.take() {
            if let Some(on_answer) = pending.on_answer {
                tell(on_answer, error.clone());
            }
        }
        if let Some(on_error) = self.hooks.error.take() {
            crate::queue().post(move || on_error(error));
        }
    }

    /// The account of the worker's end: what it has sent before is heard first.
    fn exited(self: &Rc<Self>, exit: Exit) {
        let (again, told) = (Rc::clone(self), exit.clone());
        let _again = OnPanic(Some(move || {
            crate::queue().post(move || again.exited(told));
        }));
        // No more than a socket holds can be there, unless a process of the worker's own lives on.
        let most = self.settings.limit.max(KEPT);
        let mut rounds = 2 + most / KEPT;
        while self.stage.get() == Stage::Open && rounds > 0 && self.read() {
            rounds -= 1;
        }
        self.finished(exit);
    }

    fn finished(self: &Rc<Self>, exit: Exit) {
        self.let_go();
        drop(self.grace.take());
        if self.stage.replace(Stage::Over) < Stage::Lost {
            let expected = self.closing.get() || self.retiring.get();
            if expected && exit.success() && self.calls.len() == 0 {
                drop(self.hooks.error.take());
            }
            self.fail_all(Error::Ended(Box::new(exit.clone())));
        }
        drop((self.hooks.event.take(), self.hooks.drain.take(), self.hooks.retire.take()));
        if let Some(on_exit) = self.hooks.exit.take() {
            crate::queue().post(move || on_exit(exit));
        }
        drop(self.alive.take());
    }
}

/// Tells a call's end in a dispatch to come.
fn tell(on_answer: OnAnswer, error: Error) {
    crate::queue().post(move || {
        // Nothing is decoded, so nothing can be wrong with it.
        let _ = on_answer(Err(error));
    });
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn unasked(header: Header) -> crate::Error {
    protocol(format!("{:?} came for call {}, which waits for nothing", header.kind, header.id))
}
