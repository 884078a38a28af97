//! Flow 2, typed, the app's side: one worker's socket, the calls that wait on it, and what becomes of them.
//!
//! ```text
//! Starting ─▶ Open ─▶ Closed ─▶ Over
//!     └─────────┴────────┴─▶ Lost ─▶ Over
//! ```
//! Starting: the worker has not entered its function; requests wait. Open: both ways. Closed: the worker has
//! closed its end, and its exit will say why. Lost: it could not come to be, or sent what the protocol does
//! not allow, and is killed. Over: its exit is told.

mod messages;
mod requests;

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use super::calls::{Calls, OnAnswer, OnValue};
use super::frame::{Hello, protocol};
use super::inbox::Inbox;
use super::outbox::{KEPT, Outbox};
use super::{Error, Format};
use crate::sys::stamp::stamp;
use crate::{ErrorKind, Exit, Interest, Io, Process, Result, Running, Timer};

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
    pub ready: RefCell<Option<Box<dyn FnOnce()>>>,
    pub retire: RefCell<Option<Box<dyn FnOnce()>>>,
    pub destroy: RefCell<Option<Box<dyn FnOnce()>>>,
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
    /// Where requests are encoded; empty.
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
    /// The next try of what is [crowded](Outbox::is_crowded).
    crowd: RefCell<Option<Timer>>,
    grace: RefCell<Option<Timer>>,
    /// The worker's end is told, or it never came to be.
    gone: Cell<bool>,
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
            crowd: RefCell::default(),
            grace: RefCell::default(),
            gone: Cell::new(false),
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
                crate::queue().post(move || alive.iter().for_each(|channel| channel.gone()));
            }
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
        self.destroy();
    }

    /// Nothing more comes of the worker.
    fn gone(&self) {
        self.gone.set(true);
        self.destroy();
    }

    /// Tells, when neither client nor worker is left, that nothing more will be told.
    fn destroy(&self) {
        if self.gone.get()
            && self.closing.get()
            && let Some(on_destroy) = self.hooks.destroy.take()
        {
            crate::queue().post(on_destroy);
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
        drop(self.crowd.take());
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

    pub fn has_unread(&self) -> bool {
        let socket = self.socket.borrow();
        let unread = socket.as_ref().map(rustix::io::ioctl_fionread);
        matches!(unread, Some(Ok(1..)))
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
        drop((self.hooks.event.take(), self.hooks.drain.take()));
        drop((self.hooks.ready.take(), self.hooks.retire.take()));
        if let Some(on_exit) = self.hooks.exit.take() {
            crate::queue().post(move || on_exit(exit));
        }
        self.gone();
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
