//! Flow 2: what the app knows of one process between `run` and the account of its end.
//!
//! ```text
//! Waiting ─▶ Asked ─▶ Started ─▶ Running ─▶ Over
//!    ▲         │ └───────┴──────────┴────────▲    (its template dies, or refuses)
//!    └─────────┘  (its template dies, and no process has read its orders)
//! ```
//! Waiting: held back in the app. Asked: the template has the request. Started: it exists, and has not all
//! of its orders or is not ready yet. Running: `run`'s callback has its socket. Over: everything is told.

pub(super) mod orphan;
mod signals;

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::Signal;
use tracing::Span;
use tracing::field::Empty;

use super::link::{Link, crowded};
use super::listing::{Phase, Underway};
use super::recipe::{Recipe, Then, unwritten};
use super::said::Said;
use super::state::AppState;
use super::{Exit, Template};
use crate::log::note;
use crate::sys::stamp::stamp;
use crate::wire::{self, Message, Outbox, PAUSE, Waiting};
use crate::{Error, ErrorKind, Interest, Io, Posture, Result, Timer};

pub(super) type OnRun = Box<dyn FnOnce(Result<UnixStream>)>;
pub(super) type OnExit = Box<dyn FnOnce(Exit)>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    Waiting,
    Asked,
    Started,
    Running,
    Over,
}

pub(super) struct Job {
    /// Of the process that it belongs to ([`stamp`]).
    stamp: u32,
    entry: String,
    /// Where in the source it was told to run, and when.
    place: &'static Location<'static>,
    since: Instant,
    /// Around all that is recorded of it, and its callbacks.
    span: Span,
    recipe: RefCell<Option<Asking>>,
    stage: Cell<Stage>,
    pid: Cell<Option<u32>>,
    /// The link over which it was asked for, and its id there.
    asked: RefCell<(Weak<Link>, u64)>,
    /// None also when descriptors had run out, here or in the template.
    pidfd: RefCell<Option<Rc<OwnedFd>>>,
    /// The app's end of the process's socket, until `run`'s callback has it.
    socket: RefCell<Option<Rc<OwnedFd>>>,
    /// Orders that the socket has not taken yet.
    orders: RefCell<Outbox>,
    /// The process will say when it is ready.
    reports: bool,
    /// It is ready when it has become another program, which closes its socket.
    executes: bool,
    /// It does not die with its template once it has.
    outlives: bool,
    /// Waits for room in the socket, or for the process to be ready.
    watcher: RefCell<Option<Io>>,
    /// Since when its descriptors are held up, and until the next try.
    crowd: RefCell<Option<(Instant, Timer)>>,
    /// Waits for its end when the template is not there to tell it.
    end: RefCell<Option<Io>>,
    on_run: RefCell<Option<OnRun>>,
    on_exit: RefCell<Vec<OnExit>>,
    exit: OnceCell<Exit>,
    posture: OnceCell<Posture>,
    /// Those that were asked for before it existed, in order: sent when it says that it does.
    signals: RefCell<Vec<Signal>>,
}

/// What it takes to ask once more; dropped, and with it the descriptors sent, when the process exists.
struct Asking {
    template: Template,
    recipe: Recipe,
    /// The app's state at the time of the request.
    state: Option<Rc<AppState>>,
}

impl Job {
    #[track_caller]
    pub fn new(template: Template, recipe: Recipe, on_run: OnRun) -> Rc<Job> {
        let entry = recipe.entry();
        Rc::new(Job {
            stamp: stamp(),
            place: Location::caller(),
            since: Instant::now(),
            span: tracing::debug_span!("process", entry, pid = Empty),
            entry: entry.into(),
            reports: recipe.reports(),
            executes: matches!(recipe.then, Then::Execute(_)),
            outlives: matches!(&recipe.then, Then::Execute(order) if order.outlives()),
            recipe: RefCell::new(Some(Asking { template, recipe, state: None })),
            stage: Cell::new(Stage::Waiting),
            pid: Cell::new(None),
            asked: RefCell::default(),
            pidfd: RefCell::default(),
            socket: RefCell::default(),
            orders: RefCell::default(),
            watcher: RefCell::default(),
            crowd: RefCell::default(),
            end: RefCell::default(),
            on_run: RefCell::new(Some(on_run)),
            on_exit: RefCell::default(),
            exit: OnceCell::new(),
            posture: OnceCell::new(),
            signals: RefCell::default(),
        })
    }

    pub fn entry(&self) -> &str {
        &self.entry
    }

    pub fn underway(&self) -> Underway {
        let phase = match self.stage.get() {
            Stage::Waiting => Phase::Waiting,
            Stage::Asked => Phase::Asked,
            Stage::Started => Phase::Started,
            Stage::Running => Phase::Running,
            Stage::Over => Phase::Ended,
        };
        let (pid, place) = (self.pid.get(), self.place);
        Underway { entry: self.entry.clone(), pid, phase, place, age: self.since.elapsed() }
    }

    /// The app's state at the time of the request: `now` when it is asked for the first time.
    pub fn state(&self, now: impl FnOnce() -> Result<Rc<AppState>>) -> Result<Rc<AppState>> {
        let known = self.recipe.borrow().as_ref().and_then(|asking| asking.state.clone());
        if let Some(state) = known {
            return Ok(state);
        }
        let state = now()?;
        if let Some(asking) = &mut *self.recipe.borrow_mut() {
            asking.state = Some(Rc::clone(&state));
        }
        Ok(state)
    }

    /// Writes what the socket takes of the orders.
    ///
    /// Gives what the process will find there, and whether it is to be a fresh image.
    pub fn ask(&self, socket: OwnedFd) -> Result<(Waiting, bool)> {
        let (mut orders, fresh) = match &*self.recipe.borrow() {
            Some(asking) => (asking.recipe.orders()?, asking.recipe.fresh),
            None => return Err(self.over()),
        };
        let plain = !orders.has_fds();
        if fresh {
            // By which its image knows that it is to be one; for what comes with descriptors there may be no room.
            let (begin, _) = Message::Begin.encode(0, 0);
            wire::socket::send(&socket, &begin, &[]).map_err(unwritten)?;
        }
        let written = orders.flush(&socket).map_err(unwritten)?;
        self.orders.replace(orders);
        self.socket.replace(Some(Rc::new(socket)));
        self.stage.set(Stage::Asked);
        self.span.in_scope(|| note!(DEBUG "asked for a process", entry = self.entry));
        Ok((Waiting { octets: written as u32, plain, executes: self.executes }, fresh))
    }

    /// Over which link it is asked for, and by which id.
    pub fn asked(&self, link: Weak<Link>, id: u64) {
        self.asked.replace((link, id));
    }

    /// Goes back to where it was held back.
    pub fn wait(&self) {
        drop((self.watcher.take(), self.socket.take(), self.orders.take(), self.crowd.take()));
        self.stage.set(Stage::Waiting);
    }

    pub fn posture(&self) -> Option<&Posture> {
        self.posture.get()
    }

    pub fn pid(&self) -> Option<u32> {
        self.pid.get()
    }

    /// The process exists.
    pub fn started(self: &Rc<Self>, pid: u32, pidfd: Option<OwnedFd>) {
        self.stage.set(Stage::Started);
        self.pid.set(Some(pid));
        self.pidfd.replace(pidfd.map(Rc::new));
        self.span.record("pid", pid);
        self.span.in_scope(|| note!(DEBUG "process started", pid = pid, entry = self.entry));
        self.pass_signal_on();
        self.write_orders();
    }

    /// Hands out the socket when the process has all it needs, else waits for what is missing.
    fn write_orders(self: &Rc<Self>) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let flushed = self.orders.borrow_mut().flush(&*socket);
        match flushed {
            Ok(_) => (),
            // A process that is gone takes no orders, and its end is told.
            Err(Errno::PIPE | Errno::CONNRESET) => return,
            // One that lives would wait for the rest: it leaves as its socket ends.
            Err(error) => return self.fail_later(unwritten(error)),
        }
        if self.orders.borrow().is_crowded() {
            return self.try_later();
        }
        if !self.orders.borrow().is_empty() {
            return self.watch(socket, Interest::WRITABLE, Job::room_for_orders);
        }
        drop((self.crowd.take(), self.recipe.take()));
        if self.reports {
            return self.watch(socket, Interest::READABLE, Job::maybe_ready);
        }
        drop(socket);
        self.deliver();
    }

    /// Tries again to send the descriptors that others hold up, for as long as a template may take to answer.
    fn try_later(self: &Rc<Self>) {
        let deadline =
            self.recipe.borrow().as_ref().map(|asking| asking.template.core().deadline());
        let since = self.crowd.take().map_or_else(Instant::now, |(since, _)| since);
        if deadline.is_some_and(|deadline| since.elapsed() > deadline) {
            return self.fail_later(crowded());
        }
        let job = Rc::downgrade(self);
        let timer = crate::queue().after(PAUSE, move || {
            if let Some(job) = job.upgrade()
                && job.stage.get() == Stage::Started
            {
                job.write_orders();
            }
        });
        self.crowd.replace(Some((since, timer)));
    }

    fn watch(self: &Rc<Self>, fd: Rc<OwnedFd>, interest: Interest, then: fn(&Rc<Job>)) {
        let job = Rc::downgrade(self);
        let watching = crate::queue().io(fd, interest, move |_, _| {
            if let Some(job) = job.upgrade() {
                then(&job);
            }
        });
        match watching {
            Ok(io) => drop(self.watcher.replace(Some(io))),
            Err(error) => self.fail_later(error),
        }
    }

    /// Goes on outside of the watcher's callback, which shares the socket until it is over.
    fn unwatch(self: &Rc<Self>, then: fn(&Rc<Job>)) {
        drop(self.watcher.take());
        let job = Rc::clone(self);
        crate::queue().post(move || then(&job));
    }

    fn room_for_orders(self: &Rc<Self>) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let flushed = self.orders.borrow_mut().flush(&*socket);
        let orders = self.orders.borrow();
        if flushed.is_err() || orders.is_empty() || orders.is_crowded() {
            drop(orders);
            self.unwatch(|job| {
                if job.stage.get() == Stage::Started {
                    job.write_orders();
                }
            });
        }
    }

    fn maybe_ready(self: &Rc<Self>) {
        match self.listen() {
            Said::Nothing => (),
            // Its end is told soon, too.
            Said::Ready(_) if self.executes && self.has_not_executed() => drop(self.watcher.take()),
            Said::Ready(_) => self.unwatch(|job| job.deliver()),
            Said::Error(error) => self.fail(error),
            // It has ended instead, which its template tells with the reason.
            Said::End => drop(self.watcher.take()),
        }
    }

    /// Hears what the process says on its socket before the program has it.
    fn listen(&self) -> Said {
        let Some(socket) = self.socket.borrow().clone() else { return Said::Nothing };
        let said = Said::hear(&*socket, self.executes);
        if let Said::Ready(Some(posture)) = &said {
            let _ = self.posture.set(posture.clone());
        }
        said
    }

    fn deliver(&self) {
        if self.stage.get() != Stage::Started {
            return;
        }
        let Some(socket) = self.socket.take().and_then(Rc::into_inner) else { return };
        self.stage.set(Stage::Running);
        let _span = self.span.enter();
        note!(DEBUG "process runs", pid = self.pid.get().unwrap_or(0), entry = self.entry);
        if let Some(on_run) = self.on_run.take() {
            on_run(Ok(socket.into()));
        }
    }

    /// Tells that the process cannot come to be, from within a dispatch.
    pub fn fail(&self, error: Error) {
        if self.on_run.borrow().is_some() {
            drop((self.watcher.take(), self.socket.take(), self.recipe.take()));
            let never_was = self.stage.get() < Stage::Started;
            if never_was {
                self.stage.set(Stage::Over);
            }
            let _span = self.span.enter();
            note!(INFO "process does not run", entry = self.entry, error = error);
            if let Some(on_run) = self.on_run.take() {
                on_run(Err(error));
            }
            if never_was {
                // They have no end to hear of, and may own the handle of this process.
                drop(self.on_exit.take());
            }
        }
    }

    /// The same, from anywhere: the callback runs in a dispatch to come.
    pub fn fail_later(self: &Rc<Self>, error: Error) {
        let job = Rc::clone(self);
        crate::queue().post(move || job.fail(error));
    }

    /// Tells whether the process has said that it exists.
    pub fn has_started(&self) -> bool {
        self.stage.get() >= Stage::Started
    }

    /// Tells the end of process `pid`, which may have come before it could say that it exists. Each callback is posted,
    /// so that a panic in one keeps nothing from another.
    pub fn ended(self: &Rc<Self>, pid: u32, exit: Exit) {
        if !self.has_started() {
            self.started(pid, None);
        }
        drop((self.watcher.take(), self.end.take(), self.recipe.take()));
        self.pidfd.take();
        self.span.in_scope(|| match exit.success() {
            true => note!(DEBUG "process ended", exit = exit),
            false => note!(INFO "process ended", exit = exit),
        });
        let (job, told) = (Rc::clone(self), exit.clone());
        crate::queue().post(move || job.settle(&told));
        let _ = self.exit.set(exit);
        for callback in self.on_exit.take() {
            self.on_exit(callback);
        }
    }

    /// Runs `run`'s callback if it has not run yet: a process may have been ready, and ended, in one turn.
    fn settle(&self, exit: &Exit) {
        if self.on_run.borrow().is_none() {
            return self.stage.set(Stage::Over);
        }
        let unheard = self.reports && self.orders.borrow().is_empty();
        match if unheard { self.listen() } else { Said::End } {
            Said::Ready(_) if exit.may_have_begun() => self.deliver(),
            // A program that another thread of the app's has forked for has a copy of the far end until it is executed.
            Said::Nothing if self.executes && exit.was_seen() && exit.may_have_begun() => {
                self.deliver();
            }
            Said::Error(error) => self.fail(error),
            Said::Ready(_) | Said::Nothing | Said::End => (),
        }
        if self.on_run.borrow().is_some() {
            self.fail(exit.refusal());
        }
        self.stage.set(Stage::Over);
    }

    pub fn on_exit(self: &Rc<Self>, callback: OnExit) {
        match self.exit.get() {
            None => self.on_exit.borrow_mut().push(callback),
            Some(exit) => {
                let exit = exit.clone();
                crate::queue().post(move || callback(exit));
            }
        }
    }

    fn over(&self) -> Error {
        let message = match self.pid.get() {
            Some(pid) => format!("worker {pid} ({}) has ended", self.entry),
            None => format!("the worker for {} never came to be", self.entry),
        };
        Error::new(ErrorKind::NoProcess, message)
    }
}
