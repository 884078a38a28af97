//! Flow 2: what the app knows of one process between `run` and the account of its end.
//!
//! ```text
//! Waiting ─▶ Asked ─▶ Started ─▶ Running ─▶ Over
//!    └─────────┴─────────┴──────────┴────────▲    (its template dies, or refuses)
//! ```
//! Waiting: held back in the app. Asked: the template has the request. Started: it exists, and not all of
//! its orders are written yet. Running: `run`'s callback has its socket. Over: everything is told.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rustix::process::Signal;

use super::Exit;
use crate::wire::Outbox;
use crate::{Error, ErrorKind, Interest, Io, Result};

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
    entry: String,
    stage: Cell<Stage>,
    pid: Cell<Option<u32>>,
    pidfd: RefCell<Option<Rc<OwnedFd>>>,
    /// The app's end of the process's socket, until `run`'s callback has it.
    socket: RefCell<Option<Rc<OwnedFd>>>,
    /// Orders that the socket has not taken yet.
    orders: RefCell<Outbox>,
    /// Waits for room for them.
    room: RefCell<Option<Io>>,
    on_run: RefCell<Option<OnRun>>,
    on_exit: RefCell<Vec<OnExit>>,
    exit: OnceCell<Exit>,
    /// A signal that was sent before there was a process.
    signal: Cell<Option<Signal>>,
}

impl Job {
    pub fn new(entry: String, on_run: OnRun) -> Rc<Job> {
        Rc::new(Job {
            entry,
            stage: Cell::new(Stage::Waiting),
            pid: Cell::new(None),
            pidfd: RefCell::default(),
            socket: RefCell::default(),
            orders: RefCell::default(),
            room: RefCell::default(),
            on_run: RefCell::new(Some(on_run)),
            on_exit: RefCell::default(),
            exit: OnceCell::new(),
            signal: Cell::new(None),
        })
    }

    pub fn entry(&self) -> &str {
        &self.entry
    }

    pub fn pid(&self) -> Option<u32> {
        self.pid.get()
    }

    pub fn set_orders(&self, orders: Outbox) {
        self.orders.replace(orders);
    }

    /// Writes what the socket takes; gives the octets, which the process will find there.
    ///
    /// # Errors
    /// The kernel's, when the first of them cannot be written.
    pub fn asked(&self, socket: OwnedFd) -> rustix::io::Result<u32> {
        let written = self.orders.borrow_mut().flush(&socket)?;
        self.socket.replace(Some(Rc::new(socket)));
        self.stage.set(Stage::Asked);
        Ok(written as u32)
    }

    /// Goes back to where it was held back.
    pub fn not_asked(&self) {
        self.socket.take();
        self.stage.set(Stage::Waiting);
    }

    /// The process exists.
    pub fn started(self: &Rc<Self>, pid: u32, pidfd: Option<OwnedFd>) {
        self.stage.set(Stage::Started);
        self.pid.set(Some(pid));
        self.pidfd.replace(pidfd.map(Rc::new));
        if let Some(signal) = self.signal.take() {
            // It may have ended by itself already; then its end is told anyway.
            let _ = self.send(signal);
        }
        self.write_orders();
    }

    /// Hands out the socket when all orders are written, else waits for room.
    fn write_orders(self: &Rc<Self>) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        // A process that is gone takes no orders, and its end is told.
        let broken = self.orders.borrow_mut().flush(&*socket).is_err();
        if !broken && self.orders.borrow().is_empty() {
            drop(socket);
            return self.deliver();
        }
        if !broken && self.room.borrow().is_none() {
            let job = Rc::downgrade(self);
            let room = crate::queue().io(socket, Interest::WRITABLE, move |_, _| {
                if let Some(job) = job.upgrade() {
                    job.room_for_orders();
                }
            });
            match room {
                Ok(io) => drop(self.room.replace(Some(io))),
                Err(error) => self.fail_later(error),
            }
        }
    }

    fn room_for_orders(self: &Rc<Self>) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let flushed = self.orders.borrow_mut().flush(&*socket);
        if flushed.is_err() || self.orders.borrow().is_empty() {
            // The watcher shares the socket until this callback is over.
            drop(self.room.take());
            let job = Rc::clone(self);
            crate::queue().post(move || job.deliver());
        }
    }

    fn deliver(&self) {
        if self.stage.get() != Stage::Started || !self.orders.borrow().is_empty() {
            return;
        }
        let Some(socket) = self.socket.take().and_then(Rc::into_inner) else { return };
        self.stage.set(Stage::Running);
        if let Some(on_run) = self.on_run.take() {
            on_run(Ok(socket.into()));
        }
    }

    /// Tells that the process cannot come to be, from within a dispatch.
    pub fn fail(&self, error: Error) {
        if self.on_run.borrow().is_some() {
            self.room.take();
            self.socket.take();
            if self.stage.get() < Stage::Started {
                self.stage.set(Stage::Over);
            }
            if let Some(on_run) = self.on_run.take() {
                on_run(Err(error));
            }
        }
    }

    /// The same, from anywhere: the callback runs in a dispatch to come.
    pub fn fail_later(self: &Rc<Self>, error: Error) {
        let job = Rc::clone(self);
        crate::queue().post(move || job.fail(error));
    }

    /// Tells the end.
    pub fn ended(&self, exit: Exit) {
        self.room.take();
        if self.on_run.borrow().is_some() {
            let error = format!("{exit}, before it had all of its orders");
            self.fail(Error::new(ErrorKind::NoProcess, error));
        }
        self.stage.set(Stage::Over);
        self.pidfd.take();
        let _ = self.exit.set(exit.clone());
        for callback in self.on_exit.take() {
            callback(exit.clone());
        }
    }

    /// The template is gone, and takes the process along; tells the end when that is so.
    pub fn orphaned(self: &Rc<Self>, error: Error) {
        if self.stage.get() < Stage::Started {
            return self.fail_later(error);
        }
        let Some(pidfd) = self.pidfd.take() else {
            let job = Rc::clone(self);
            return crate::queue().post(move || job.lost());
        };
        let job = Rc::clone(self);
        // It holds its own watcher until it is told.
        let watching = crate::queue().io(pidfd, Interest::READABLE, move |_, _| job.lost());
        match watching {
            Ok(io) => drop(self.room.replace(Some(io))),
            Err(_) => self.lost_later(),
        }
    }

    fn lost_later(self: &Rc<Self>) {
        let job = Rc::clone(self);
        crate::queue().post(move || job.lost());
    }

    fn lost(&self) {
        let pid = self.pid.get().unwrap_or(0);
        self.ended(Exit::with_template(&self.entry, pid));
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

    pub fn kill(&self, signal: i32) -> Result<()> {
        let known = Signal::from_named_raw(signal)
            .ok_or_else(|| Error::new(ErrorKind::Misuse, format!("there is no signal {signal}")))?;
        match self.stage.get() {
            Stage::Waiting | Stage::Asked => self.signal.set(Some(known)),
            Stage::Started | Stage::Running => self.send(known)?,
            Stage::Over => return Err(self.over()),
        }
        Ok(())
    }

    fn send(&self, signal: Signal) -> Result<()> {
        let pidfd = self.pidfd.borrow().clone().ok_or_else(|| self.over())?;
        rustix::process::pidfd_send_signal(&*pidfd, signal).map_err(|_| self.over())
    }

    fn over(&self) -> Error {
        let message = match self.pid.get() {
            Some(pid) => format!("worker {pid} ({}) has ended", self.entry),
            None => format!("the worker for {} never came to be", self.entry),
        };
        Error::new(ErrorKind::NoProcess, message)
    }
}
