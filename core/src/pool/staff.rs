//! Above flow 2: how many workers a pool has: when one is asked for, and when it is asked for none.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::report::{Failure, Leave, WorkerState};
use super::shared::{Phase, Shared};
use super::worker::Worker;
use crate::rpc::Client;
use crate::{Error, ErrorKind, Result};

/// After so many workers in a row that were never ready, the jobs that wait are told; after so many that
/// answered nothing, none is started before there is work.
const FAILURES_MAX: u32 = 5;

/// After the first of them; twice as long after each further one: 0.3 s in all.
const RESPITE: Duration = Duration::from_millis(20);

impl<Req: 'static, Rep: 'static> Shared<Req, Rep> {
    /// The worker to have the next job: one that is not held up by what it does, of these one with the fewest in hand,
    /// and of these the oldest, so that those who are not needed have nothing to do for long.
    pub fn free_worker(&self) -> Option<Rc<Worker<Req, Rep>>> {
        let workers = self.workers.borrow();
        let free = workers.values().filter(|worker| worker.has_room());
        free.min_by_key(|worker| (worker.is_held_up(), worker.jobs())).cloned()
    }

    fn staying(&self) -> usize {
        self.workers.borrow().values().filter(|worker| worker.stays()).count()
    }

    /// Tells whether there are more workers than are kept when there is nothing to do.
    pub fn has_surplus(&self) -> bool {
        self.staying() > self.kept()
    }

    fn kept(&self) -> usize {
        if self.phase.get() == Phase::Open { self.options.idle.min(self.options.max) } else { 0 }
    }

    /// A worker is ready: those that never were, were not for another reason.
    pub fn note_ready(&self) {
        self.counts.borrow_mut().started += 1;
        self.failures.set(0);
    }

    /// A worker has answered.
    pub fn note_useful(&self) {
        self.useless.set(0);
    }

    pub fn failures(&self) -> u32 {
        self.failures.get()
    }

    /// A worker was never ready to serve. When that goes on and nobody else serves, the jobs that wait fail.
    pub fn never_ready(&self, chain: u32, error: &Error) {
        // Those who were asked for side by side fail for one reason.
        if chain == self.failures.get() {
            self.failures.set(chain + 1);
        }
        let serves = |worker: &Rc<Worker<Req, Rep>>| worker.stays() && worker.is_ready();
        if self.failures.get() >= FAILURES_MAX && !self.workers.borrow().values().any(serves) {
            self.fail_all(error);
        }
    }

    pub fn kill(&self, pid: u32, signal: i32) -> Result<()> {
        let is = |client: &Rc<Client<Req, Rep>>| client.pid() == Some(pid);
        let workers = self.workers.borrow();
        let mut clients = workers.values().filter_map(|worker| worker.client());
        match clients.find(is) {
            Some(client) => client.kill(signal),
            None => {
                let message = format!("no worker of the pool is process {pid}");
                Err(Error::new(ErrorKind::NoProcess, message))
            }
        }
    }

    /// A worker died that had answered nothing.
    pub fn note_useless(&self) {
        self.useless.set(self.useless.get() + 1);
    }

    fn fail_all(&self, error: &Error) {
        let waiting = self.take_waiting();
        for work in waiting {
            self.settle(&work, Err((Failure::NoWorker, Error::again(error))));
        }
    }
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Shared<Req, Rep> {
    /// Sees to it that there are workers.
    pub fn staff(self: &Rc<Self>) {
        if self.phase.get() == Phase::Over {
            return;
        }
        while self.staying() < self.kept() && self.useless.get() < FAILURES_MAX {
            self.hire();
        }
        while self.is_short() {
            let delay = if self.staying() > 0 { self.options.start } else { self.respite() };
            if !delay.is_zero() {
                return self.hire_after(delay);
            }
            self.hire();
        }
        drop(self.start.take());
    }

    /// How long to wait after workers that were never ready: what they lacked may come free.
    fn respite(&self) -> Duration {
        match self.failures.get() {
            0 => Duration::ZERO,
            failures => RESPITE * 2_u32.pow(failures.min(FAILURES_MAX) - 1),
        }
    }

    /// Tells whether jobs wait that those who are coming will have no room for, and another may be hired.
    fn is_short(&self) -> bool {
        let workers = self.workers.borrow();
        let coming = workers.values().filter(|worker| worker.state() == WorkerState::Coming);
        let room = coming.count() * self.options.room();
        drop(workers);
        self.waiting() > room && self.staying() < self.options.max
    }

    fn hire_after(self: &Rc<Self>, delay: Duration) {
        let pool = Rc::downgrade(self);
        let hire = move || {
            let Some(pool) = pool.upgrade() else { return };
            drop(pool.start.take());
            if pool.phase.get() != Phase::Over && pool.is_short() {
                pool.hire();
            }
            pool.staff();
        };
        let mut start = self.start.borrow_mut();
        start.get_or_insert_with(|| crate::queue().after(delay, hire));
    }

    fn hire(self: &Rc<Self>) {
        let number = self.hired.replace(self.hired.get() + 1);
        let worker = Worker::hire(self, number);
        self.workers.borrow_mut().insert(number, worker);
    }

    /// A worker has ended, or will never be. Its jobs are dealt with already.
    pub fn gone(self: &Rc<Self>, worker: &Worker<Req, Rep>, leave: Leave) {
        let known = self.workers.borrow_mut().remove(&worker.number);
        *self.counts.borrow_mut().ended.entry(leave).or_default() += 1;
        self.pump();
        drop(known);
    }
}
