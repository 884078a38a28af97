//! Flow 2, the app's side: the workers that decode, one per processor, each with a few pictures in
//! hand so that it never waits for the app.
//!
//! ```text
//!   Coming ──socket──▶ Serving ──end of stream, broken rule, patience lost──▶ Leaving ──exit──▶ gone
//!      └──────────────────┴───────────────── exit, or could not come to be ──────────────────────▲
//! ```
//! A worker that goes takes one picture with it: the first that it has not answered. The others that
//! it had in hand are handed back, and another worker comes when there is a picture for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::process::Signal;
use tine::{Exit, Interest, Io, Posture, Running, Sandbox, Template, Timer};
use tine_viewer::protocol::{Caller, Drawing, Failure, ProtocolError, Request};
use tine_viewer::worker::{self, DECODE};

/// Pictures that a worker has in hand at most: the one it decodes, and the next.
const LOAD: usize = 2;
/// How long a worker may take for one picture, by the clock: plenty, as the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a request.
pub enum News {
    /// It was answered by the worker with this process id, or died with its worker.
    Answered(u64, Option<u32>, Result<Drawing, Failure>),
    /// It was not tried, and may be asked for again.
    HandedBack(u64),
}

/// The workers. When it is dropped they leave, as their sockets end.
pub struct Crew(Rc<Inside>);

struct Inside {
    template: Template,
    sandbox: Sandbox,
    /// What holds of it, as the first worker told.
    posture: OnceCell<Posture>,
    /// How many workers there may be.
    max: usize,
    /// By number, in the order they were started.
    workers: RefCell<BTreeMap<u32, Worker>>,
    /// How many were ever asked for: the next one's number.
    next: Cell<u32>,
    started: Cell<u32>,
    crashed: Cell<u32>,
    answered: Cell<u64>,
    tell: Box<dyn Fn(News)>,
}

struct Worker {
    running: Running,
    phase: Phase,
    /// What it has not answered, oldest first.
    jobs: VecDeque<Job>,
}

enum Phase {
    Coming,
    Serving {
        caller: Box<Caller>,
        /// Tells when there is something to receive.
        _watcher: Io,
        /// Runs while there is something to answer.
        patience: Option<Timer>,
    },
    /// Nothing is expected of it but its exit. Holds what it did wrong, if it was that.
    Leaving(Option<String>),
}

struct Job {
    request: Request,
    /// Until it is sent.
    file: Option<OwnedFd>,
}

impl Crew {
    /// No workers yet, and at most `max` later. What becomes of requests is told to `tell`, on this
    /// thread's queue.
    pub fn new(template: &Template, max: usize, tell: impl Fn(News) + 'static) -> Self {
        Self(Rc::new(Inside {
            template: template.clone(),
            sandbox: worker::sandbox(),
            posture: OnceCell::new(),
            max,
            workers: RefCell::default(),
            next: Cell::new(0),
            started: Cell::new(0),
            crashed: Cell::new(0),
            answered: Cell::new(0),
            tell: Box::new(tell),
        }))
    }

    /// How many requests can be submitted now.
    pub fn room(&self) -> usize {
        let workers = self.0.workers.borrow();
        let in_hand: usize =
            workers.values().filter(|worker| worker.stays()).map(|worker| worker.jobs.len()).sum();
        (self.0.max * LOAD).saturating_sub(in_hand)
    }

    /// Asks for a picture from `file`.
    pub fn submit(&self, request: Request, file: OwnedFd) {
        let number = self.0.choose().unwrap_or_else(|| self.0.start());
        let job = Job { request, file: Some(file) };
        if let Some(worker) = self.0.workers.borrow_mut().get_mut(&number) {
            worker.jobs.push_back(job);
        }
        self.0.send(number);
    }

    /// How many workers have been started.
    pub fn started(&self) -> u32 {
        self.0.started.get()
    }

    /// How many workers have ended otherwise than they should, or before they came to be.
    pub fn crashed(&self) -> u32 {
        self.0.crashed.get()
    }

    /// What holds of the workers' sandbox; `None` until the first has come.
    pub fn posture(&self) -> Option<&Posture> {
        self.0.posture.get()
    }

    /// How many requests workers have answered.
    pub fn answered(&self) -> u64 {
        self.0.answered.get()
    }

    /// Kills a worker, by its process id: what it had in hand happens as if it had crashed.
    pub fn kill(&self, pid: u32) {
        for worker in self.0.workers.borrow().values() {
            if worker.running.pid() == Some(pid) {
                // It may have ended already, which is as good.
                let _ended = worker.running.kill(Signal::KILL.as_raw());
            }
        }
    }

    /// The process ids of the workers there are.
    pub fn pids(&self) -> Vec<u32> {
        self.0.workers.borrow().values().filter_map(|worker| worker.running.pid()).collect()
    }
}

impl Worker {
    fn stays(&self) -> bool {
        !matches!(self.phase, Phase::Leaving(_))
    }
}

impl Inside {
    /// The worker to take the next job; `None` if another should be started for it.
    fn choose(&self) -> Option<u32> {
        let workers = self.workers.borrow();
        let staying = || workers.iter().filter(|(_, worker)| worker.stays());
        let (number, worker) = staying().min_by_key(|(_, worker)| worker.jobs.len())?;
        let all_there = staying().count() >= self.max;
        (worker.jobs.is_empty() || all_there).then_some(*number)
    }

    /// Starts a worker; gives its number.
    fn start(self: &Rc<Self>) -> u32 {
        let number = self.next.replace(self.next.get() + 1);
        let (on_run, on_exit) = (Rc::downgrade(self), Rc::downgrade(self));
        let running = self
            .template
            .fork()
            .sandbox(&self.sandbox)
            .run(DECODE, move |socket| with(&on_run, |inside| inside.came(number, socket)))
            .on_exit(move |exit| with(&on_exit, |inside| inside.gone(number, &exit)));
        let worker = Worker { running, phase: Phase::Coming, jobs: VecDeque::new() };
        self.workers.borrow_mut().insert(number, worker);
        number
    }

    fn came(self: &Rc<Self>, number: u32, socket: tine::Result<UnixStream>) {
        let serving = socket.and_then(|socket| self.serving(number, socket));
        match serving {
            Ok(phase) => {
                self.started.set(self.started.get() + 1);
                if let Some(worker) = self.workers.borrow_mut().get_mut(&number) {
                    if let Some(posture) = worker.running.posture() {
                        self.posture.get_or_init(|| posture.clone());
                    }
                    worker.phase = phase;
                }
                self.send(number);
            }
            Err(error) => {
                self.crashed.set(self.crashed.get() + 1);
                self.settle(number, &format!("no worker: {error}"));
            }
        }
    }

    fn serving(self: &Rc<Self>, number: u32, socket: UnixStream) -> tine::Result<Phase> {
        let inside = Rc::downgrade(self);
        let receive = move |_: &_, _| with(&inside, |inside| inside.receive(number));
        let watcher = tine::queue().io(socket.try_clone()?, Interest::READABLE, receive)?;
        Ok(Phase::Serving {
            caller: Box::new(Caller::new(socket)),
            _watcher: watcher,
            patience: None,
        })
    }

    /// Sends what a worker has in hand and does not know of.
    fn send(self: &Rc<Self>, number: u32) {
        let mut workers = self.workers.borrow_mut();
        let Some(Worker { phase: Phase::Serving { caller, patience, .. }, jobs, .. }) =
            workers.get_mut(&number)
        else {
            return;
        };
        for job in jobs {
            let Some(file) = job.file.take() else { continue };
            if caller.send(job.request, file.as_fd()).is_err() {
                // It is gone, or does not read: the socket has room for more than its load.
                drop(workers);
                return self.dismiss(number, None);
            }
            patience.get_or_insert_with(|| self.patience(number));
        }
    }

    fn patience(self: &Rc<Self>, number: u32) -> Timer {
        let inside = Rc::downgrade(self);
        let why = format!("took longer than {} s", PATIENCE.as_secs());
        tine::queue().after(PATIENCE, move || {
            with(&inside, |inside| inside.dismiss(number, Some(why)));
        })
    }

    /// Takes all answers of a worker that are there.
    fn receive(self: &Rc<Self>, number: u32) {
        while let Some(result) = self.receive_one(number) {
            match result {
                Ok(news) => (self.tell)(news),
                // It is gone, and its exit tells more.
                Err(ProtocolError::Closed | ProtocolError::Torn | ProtocolError::Io(_)) => {
                    self.dismiss(number, None);
                }
                Err(error) => self.dismiss(number, Some(error.to_string())),
            }
        }
    }

    fn receive_one(self: &Rc<Self>, number: u32) -> Option<Result<News, ProtocolError>> {
        let mut workers = self.workers.borrow_mut();
        let worker = workers.get_mut(&number)?;
        let Phase::Serving { caller, patience, .. } = &mut worker.phase else { return None };
        let reply = match caller.receive().transpose()? {
            Ok(reply) => reply,
            Err(error) => return Some(Err(error)),
        };
        worker.jobs.pop_front();
        self.answered.set(self.answered.get() + 1);
        *patience = (caller.unanswered().len() > 0).then(|| self.patience(number));
        Some(Ok(News::Answered(reply.job, worker.running.pid(), reply.result)))
    }

    /// Expects nothing more of a worker, and sees to it that it ends.
    fn dismiss(&self, number: u32, why: Option<String>) {
        let mut workers = self.workers.borrow_mut();
        if let Some(worker) = workers.get_mut(&number)
            && worker.stays()
        {
            let before = std::mem::replace(&mut worker.phase, Phase::Leaving(why));
            // It may have ended already, which is as good.
            let _ended = worker.running.kill(Signal::KILL.as_raw());
            drop(workers);
            drop(before);
        }
    }

    fn gone(self: &Rc<Self>, number: u32, exit: &Exit) {
        // What it answered before it went.
        self.receive(number);
        let (why, busy) = match self.workers.borrow().get(&number) {
            Some(Worker { phase: Phase::Leaving(Some(why)), jobs, .. }) => {
                (why.clone(), !jobs.is_empty())
            }
            Some(worker) => (exit.to_string(), !worker.jobs.is_empty()),
            None => return,
        };
        if busy || !exit.success() {
            self.crashed.set(self.crashed.get() + 1);
        }
        self.settle(number, &why);
    }

    /// Forgets a worker: the picture that it had begun fails, the others are handed back.
    fn settle(&self, number: u32, why: &str) {
        let Some(worker) = self.workers.borrow_mut().remove(&number) else { return };
        let mut jobs = worker.jobs.into_iter().map(|job| job.request.job);
        if let Some(first) = jobs.next() {
            (self.tell)(News::Answered(first, None, Err(Failure::passing(why))));
        }
        for job in jobs {
            (self.tell)(News::HandedBack(job));
        }
    }
}

/// Does something with what callbacks do not keep alive.
fn with(inside: &Weak<Inside>, act: impl FnOnce(&Rc<Inside>)) {
    if let Some(inside) = inside.upgrade() {
        act(&inside);
    }
}
