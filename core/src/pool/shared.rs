//! Above flow 2: what a pool, its jobs and its workers share: the line, the workers, and who gets what.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Memory;
use super::builder::{Options, Plan, SetClient};
use super::job::{Stage, Work};
use super::line::Line;
use super::report::{Failure, Leave, Report};
use super::worker::Worker;
use crate::rpc::{self, Client};
use crate::{Error, ErrorKind, Process, Result, Timer};

/// Requests set aside that are kept for who asks; the oldest are let go.
const POISON_KEPT: usize = 64;

pub(super) struct Shared<Req, Rep> {
    /// What all workers are copies of.
    process: Process,
    entry: String,
    client: SetClient<Req, Rep>,
    pub options: Options,
    line: RefCell<Line<Work<Req, Rep>>>,
    /// By number, in the order in which they were asked for; all that have not ended.
    pub workers: RefCell<BTreeMap<u32, Rc<Worker<Req, Rep>>>>,
    /// How many were asked for.
    pub hired: Cell<u32>,
    pub counts: RefCell<Counts>,
    /// Handing out is posted.
    posted: Cell<bool>,
    /// Runs while jobs wait for which another worker may be started.
    pub start: RefCell<Option<Timer>>,
    /// Workers in a row that were never ready, each asked for when the one before was known to have failed.
    pub failures: Cell<u32>,
    /// Workers in a row that died and had answered nothing.
    pub useless: Cell<u32>,
    poison: RefCell<VecDeque<Rc<Req>>>,
    pub phase: Cell<Phase>,
    on_destroy: Cell<Option<Box<dyn FnOnce()>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No job comes any more; it is over when none is left.
    Finishing,
    /// Everything is settled; the last workers end.
    Over,
}

/// Events since the pool was made.
#[derive(Default)]
pub(super) struct Counts {
    done: u64,
    failed: BTreeMap<Failure, u64>,
    retried: u64,
    handed_back: u64,
    pub started: u64,
    pub ended: BTreeMap<Leave, u64>,
}

impl<Req: 'static, Rep: 'static> Shared<Req, Rep> {
    pub fn new(plan: Plan<Req, Rep>) -> Rc<Self> {
        let Plan { process, entry, client, options, on_destroy } = plan;
        Rc::new(Shared {
            process,
            entry,
            client,
            options,
            line: RefCell::new(Line::new()),
            workers: RefCell::default(),
            hired: Cell::new(0),
            counts: RefCell::default(),
            posted: Cell::new(false),
            start: RefCell::default(),
            failures: Cell::new(0),
            useless: Cell::new(0),
            poison: RefCell::default(),
            phase: Cell::new(Phase::Open),
            on_destroy: Cell::new(on_destroy),
        })
    }

    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// A copy of what workers are made of.
    pub fn process(&self) -> Process {
        self.process.fork()
    }

    /// Does something to the line, and drops what it is done with.
    fn line<T>(&self, act: impl FnOnce(&mut Line<Work<Req, Rep>>) -> T) -> T {
        let mut line = self.line.borrow_mut();
        let (done, spent) = (act(&mut line), line.take_spent());
        drop(line);
        drop(spent);
        done
    }

    pub fn set_priority(&self, work: &Rc<Work<Req, Rep>>, priority: i32) {
        self.line(|line| line.change(work, priority));
    }

    pub fn set_priorities<W: Borrow<Rc<Work<Req, Rep>>>>(
        &self,
        changes: impl IntoIterator<Item = (W, i32)>,
    ) {
        // The iterator is the user's, and may come back here.
        let changes: Vec<_> = changes.into_iter().collect();
        self.line(|line| line.change_many(&changes));
    }

    pub fn take_poison(&self) -> VecDeque<Rc<Req>> {
        self.poison.take()
    }

    /// Settles a job and counts it; nothing, if it is settled already.
    pub fn settle(&self, work: &Work<Req, Rep>, result: Result<Rep, (Failure, Error)>) {
        if work.is_settled() {
            return;
        }
        {
            let mut counts = self.counts.borrow_mut();
            match &result {
                Ok(_) => counts.done += 1,
                Err((failure, _)) => *counts.failed.entry(*failure).or_default() += 1,
            }
        }
        let poison = matches!(result, Err((Failure::Poison, _)));
        let request = work.settle(result.map_err(|(_, error)| error));
        if let Some(request) = request.filter(|_| poison) {
            self.set_aside(request);
        }
    }

    fn set_aside(&self, request: Rc<Req>) {
        let mut poison = self.poison.borrow_mut();
        poison.push_back(request);
        let oldest = if poison.len() > POISON_KEPT { poison.pop_front() } else { None };
        drop(poison);
        drop(oldest);
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.line.borrow().len()
    }

    /// Takes all jobs that wait, first things first.
    pub fn take_waiting(&self) -> Vec<Rc<Work<Req, Rep>>> {
        self.line(Line::take)
    }

    /// Settles everything as cancelled and sends the workers away.
    pub fn close(&self) {
        if self.phase.get() == Phase::Open {
            self.end("its pool was dropped");
            self.destroy_if_empty();
        }
    }

    fn end(&self, why: &str) {
        self.phase.set(Phase::Over);
        drop(self.start.take());
        let waiting = self.take_waiting();
        let workers: Vec<_> = self.workers.borrow().values().cloned().collect();
        let running = workers.iter().flat_map(|worker| worker.works());
        for work in waiting.into_iter().chain(running.collect::<Vec<_>>()) {
            self.settle(&work, Err((Failure::Cancelled, cancelled(why))));
        }
        workers.iter().for_each(|worker| worker.dismiss(Leave::Over));
    }

    fn destroy_if_empty(&self) {
        if self.phase.get() == Phase::Over
            && self.workers.borrow().is_empty()
            && let Some(on_destroy) = self.on_destroy.take()
        {
            crate::queue().post(on_destroy);
        }
    }

    /// Tells what there is, and looks at the workers' memory.
    pub fn report(&self) -> Report {
        let mut report = self.glance();
        for worker in &mut report.workers {
            worker.memory = worker.pid.and_then(Memory::of);
        }
        report
    }

    /// Tells what there is.
    pub fn glance(&self) -> Report {
        let workers: Vec<_> =
            self.workers.borrow().values().map(|worker| worker.report()).collect();
        let counts = self.counts.borrow();
        Report {
            queued: self.waiting(),
            running: workers.iter().map(|worker| worker.jobs).sum(),
            done: counts.done,
            failed: counts.failed.clone(),
            retried: counts.retried,
            handed_back: counts.handed_back,
            started: counts.started,
            ended: counts.ended.clone(),
            workers,
            template: self.process.template().report(),
        }
    }
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Shared<Req, Rep> {
    /// Begins a worker's client.
    pub fn client(&self) -> rpc::Builder<Req, Rep> {
        (self.client)(Client::builder())
    }

    pub fn submit(self: &Rc<Self>, work: &Rc<Work<Req, Rep>>) {
        self.line(|line| line.push(work));
        self.pump_later();
    }

    /// Hands out jobs in the next turn: until then, more may be said of them.
    pub fn pump_later(self: &Rc<Self>) {
        if !self.posted.replace(true) {
            let pool = Rc::clone(self);
            crate::queue().post(move || {
                pool.posted.set(false);
                pool.pump();
            });
        }
    }

    /// Gives jobs to workers that have room, and sees to it that there are workers.
    pub fn pump(self: &Rc<Self>) {
        self.relieve();
        while let Some(worker) = self.free_worker() {
            let Some(work) = self.line(Line::pop) else { break };
            worker.take(&work);
        }
        self.staff();
        self.finish_if_done();
    }

    /// Has others do what stands behind a job that takes long; those who have nothing to do, also what stands behind
    /// any other.
    fn relieve(&self) {
        let held_up: Vec<_> = {
            let workers = self.workers.borrow();
            let has_room = |worker: &&Rc<Worker<_, _>>| worker.has_room() && !worker.is_held_up();
            let Some(room) = workers.values().find(has_room).filter(|_| workers.len() > 1) else {
                return;
            };
            let at_once = room.jobs() == 0 && self.waiting() == 0;
            let is_meant =
                |worker: &&Rc<Worker<_, _>>| worker.jobs() > 1 && (at_once || worker.is_held_up());
            workers.values().filter(is_meant).cloned().collect()
        };
        for work in held_up.iter().flat_map(|worker| worker.take_back()) {
            self.hand_back(&work);
        }
    }

    /// Puts a job back in line that its worker had not begun.
    pub fn hand_back(&self, work: &Rc<Work<Req, Rep>>) {
        if !work.is_settled() {
            work.set_stage(Stage::Waiting);
            self.counts.borrow_mut().handed_back += 1;
            self.line(|line| line.push(work));
        }
    }

    /// Settles a job whose worker ended with it in hand, or puts it back in line to be tried again.
    pub fn lost(&self, work: &Rc<Work<Req, Rep>>, own_doing: bool, error: Error) {
        if work.is_settled() {
            return;
        }
        let loss = work.lost(own_doing);
        let Options { retries, poison_after, .. } = self.options;
        if loss.idempotent && loss.kills >= poison_after {
            let message = format!("{} workers died of it; of the last is known", loss.kills);
            let error = Error::caused(ErrorKind::Poison, message, error);
            self.settle(work, Err((Failure::Poison, error)));
        } else if loss.idempotent && loss.tries <= retries {
            work.set_stage(Stage::Waiting);
            self.counts.borrow_mut().retried += 1;
            self.line(|line| line.push(work));
        } else {
            self.settle(work, Err((Failure::Died, error)));
        }
    }

    pub fn cancel(self: &Rc<Self>, work: &Rc<Work<Req, Rep>>) {
        let worker = work.worker();
        self.line(|line| line.remove(work));
        self.settle(work, Err((Failure::Cancelled, cancelled("the job was cancelled"))));
        if let Some(worker) = worker {
            worker.cancel(work);
        }
        self.pump_later();
    }

    /// Lets what was submitted be done; then the workers leave.
    pub fn finish(self: &Rc<Self>) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Finishing);
            self.pump_later();
        }
    }

    fn finish_if_done(self: &Rc<Self>) {
        let idle = |worker: &Rc<Worker<Req, Rep>>| worker.jobs() == 0;
        if self.phase.get() == Phase::Finishing
            && self.waiting() == 0
            && self.workers.borrow().values().all(idle)
        {
            self.end("its pool has finished");
        }
        self.destroy_if_empty();
    }
}

fn cancelled(why: &str) -> Error {
    Error::new(ErrorKind::Cancelled, why)
}
