//! Above flow 2: one worker of a pool.
//!
//! ```text
//! Coming ──ready──▶ Serving ──of age, retired, …──▶ Retiring ──nothing in hand──▶ Leaving ──▶ Gone
//!   └─────────────────┴──── killed, died, nothing to do for long ───────────────────▲  └ its end is told
//! ```
//! Coming, it gets no job: one that is ready before it may have it. Retiring, it ends what it has in hand.
//! Leaving, it has nothing in hand, and counts no more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Memory;
use super::builder::Options;
use super::hand::{By, Hand};
use super::job::Work;
use super::report::{Leave, WorkerReport, WorkerState};
use super::shared::Shared;
use crate::rpc::{self, Client};
use crate::{Error, ErrorKind, Timer};

pub(super) struct Worker<Req, Rep> {
    pub number: u32,
    /// How many workers had failed in a row when this one was asked for.
    pub chain: u32,
    /// Cleared when it is gone, and with it the ring that keeps both.
    pool: RefCell<Option<Rc<Shared<Req, Rep>>>>,
    client: RefCell<Option<Rc<Client<Req, Rep>>>>,
    phase: Cell<Phase>,
    /// Why it leaves, if that was decided here.
    leave: Cell<Option<Leave>>,
    ready: Cell<bool>,
    /// What it has not answered, the oldest first. A job that was cancelled stays until it is answered.
    pub hand: RefCell<VecDeque<Hand<Req, Rep>>>,
    /// How many jobs it was given: the next one's number.
    pub given: Cell<u64>,
    pub served: Cell<u64>,
    hired: Instant,
    /// Coming: until it must be ready. Serving: until it has had nothing to do for long. Leaving: until it is
    /// killed.
    timer: RefCell<Option<Timer>>,
    age: RefCell<Option<Timer>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Coming,
    Serving,
    Retiring,
    Leaving,
    Gone,
}

type Pool<Req, Rep> = Shared<Req, Rep>;

impl<Req: 'static, Rep: 'static> Worker<Req, Rep> {
    pub fn pool(&self) -> Option<Rc<Pool<Req, Rep>>> {
        self.pool.borrow().clone()
    }

    pub fn client(&self) -> Option<Rc<Client<Req, Rep>>> {
        self.client.borrow().clone()
    }

    /// Tells whether it is one of those that there may be so many of.
    pub fn stays(&self) -> bool {
        matches!(self.phase.get(), Phase::Coming | Phase::Serving)
    }

    pub fn jobs(&self) -> usize {
        self.hand.borrow().len()
    }

    /// Tells whether it may have another job now.
    pub fn has_room(&self) -> bool {
        self.phase.get() == Phase::Serving
            && self.pool.borrow().as_ref().is_some_and(|pool| self.may_have_more(&pool.options))
            && self.client.borrow().as_ref().is_some_and(|client| !client.is_full())
    }

    fn may_have_more(&self, options: &Options) -> bool {
        let jobs = self.jobs();
        jobs < options.load && !options.recycle.by_jobs(self.served.get() + jobs as u64)
    }

    /// What it has in hand and is not settled.
    pub fn works(&self) -> Vec<Rc<Work<Req, Rep>>> {
        self.hand.borrow().iter().filter_map(|hand| hand.work.clone()).collect()
    }

    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    pub fn state(&self) -> WorkerState {
        match self.phase.get() {
            Phase::Coming => WorkerState::Coming,
            Phase::Serving if self.jobs() == 0 => WorkerState::Idle,
            Phase::Serving => WorkerState::Busy,
            Phase::Retiring | Phase::Leaving | Phase::Gone => WorkerState::Leaving,
        }
    }

    pub fn report(&self) -> WorkerReport {
        let client = self.client();
        let pid = client.as_ref().and_then(|client| client.pid());
        WorkerReport {
            pid,
            state: self.state(),
            jobs: self.jobs(),
            served: self.served.get(),
            age: crate::queue().time().saturating_duration_since(self.hired),
            memory: None,
            posture: client.and_then(|client| client.posture().cloned()),
        }
    }

    /// Has it leave: it is told that no more requests come, or killed if it has something in hand.
    pub fn dismiss(self: &Rc<Self>, leave: Leave) {
        if matches!(self.phase.get(), Phase::Leaving | Phase::Gone) {
            return;
        }
        let busy = !self.hand.take().is_empty() || self.phase.get() == Phase::Coming;
        self.leave(leave);
        let Some(pool) = self.pool() else { return };
        if busy {
            return self.kill();
        }
        if let Some(client) = self.client() {
            client.close();
        }
        self.set_timer(Some(self.after(pool.options.grace, |worker| worker.kill())));
    }

    fn leave(&self, leave: Leave) {
        self.phase.set(Phase::Leaving);
        self.leave.set(Some(self.leave.get().unwrap_or(leave)));
        self.set_timer(None);
        drop(self.age.take());
    }

    pub fn after(self: &Rc<Self>, delay: Duration, then: impl FnOnce(Rc<Self>) + 'static) -> Timer {
        let worker = Rc::downgrade(self);
        crate::queue().after(delay, move || {
            if let Some(worker) = worker.upgrade() {
                then(worker);
            }
        })
    }

    fn set_timer(&self, timer: Option<Timer>) {
        let former = self.timer.replace(timer);
        drop(former);
    }

    /// Kills it; what it has in hand is dealt with already, or will be when its end is told.
    fn kill(&self) {
        if let Some(client) = self.client() {
            // It may have ended by itself, which is as good.
            let _ = client.kill(libc::SIGKILL);
        }
    }
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Worker<Req, Rep> {
    /// Asks for a worker. It is heard of in a later turn.
    pub fn hire(pool: &Rc<Pool<Req, Rep>>, number: u32) -> Rc<Self> {
        let worker = Rc::new(Worker {
            number,
            chain: pool.failures(),
            pool: RefCell::new(Some(Rc::clone(pool))),
            client: RefCell::default(),
            phase: Cell::new(Phase::Coming),
            leave: Cell::new(None),
            ready: Cell::new(false),
            hand: RefCell::default(),
            given: Cell::new(0),
            served: Cell::new(0),
            hired: crate::queue().time(),
            timer: RefCell::default(),
            age: RefCell::default(),
        });
        let [ready, retire, fail, end] = [(); 4].map(|()| Rc::clone(&worker));
        let client = pool
            .client()
            .on_ready(move || ready.ready())
            .on_retire(move || retire.retire(Leave::Retired))
            .on_error(move |error| fail.failed(error))
            .on_exit(move |_| end.gone())
            .run(pool.process(), pool.entry());
        worker.client.replace(Some(Rc::new(client)));
        let ready = pool.options.ready;
        let patience = worker.after(ready, move |worker| {
            worker.put_down(Leave::NeverReady, &format!("it was not ready within {ready:?}"));
        });
        worker.set_timer(Some(patience));
        worker
    }

    fn ready(self: &Rc<Self>) {
        if self.phase.get() != Phase::Coming {
            return;
        }
        let Some(pool) = self.pool() else { return };
        self.phase.set(Phase::Serving);
        self.ready.set(true);
        self.set_timer(None);
        if let Some(age) = pool.options.recycle.after() {
            let timer = self.after(age, |worker| worker.retire(Leave::Age));
            self.age.replace(Some(timer));
        }
        pool.note_ready();
        pool.pump();
        self.look_for_work(&pool);
    }

    /// Kills it at once, deals with what it has in hand, and has another take over.
    pub fn put_down(self: &Rc<Self>, leave: Leave, why: &str) {
        if matches!(self.phase.get(), Phase::Leaving | Phase::Gone) {
            return;
        }
        self.leave(leave);
        self.kill();
        let message = format!("the worker was killed: {why}");
        let error = || Error::new(ErrorKind::NoProcess, message.clone());
        self.let_go(By::Others, error);
        if let Some(pool) = self.pool() {
            self.note_failure(&pool, error);
            pool.pump();
        }
    }

    /// Sees whether it has served for long enough.
    pub fn recycle(self: &Rc<Self>, pool: &Pool<Req, Rep>) {
        let recycle = &pool.options.recycle;
        if recycle.by_jobs(self.served.get()) {
            self.retire(Leave::Jobs);
        } else if let Some(most) = recycle.above()
            && self.owns_more_than(most)
        {
            self.retire(Leave::Memory);
        }
    }

    fn owns_more_than(&self, most: u64) -> bool {
        let Some(pid) = self.client().and_then(|client| client.pid()) else { return false };
        let above = |memory: Memory| memory.private > most;
        // The quick look counts too much, so it can only acquit.
        Memory::at_most(pid).is_some_and(above) && Memory::of(pid).is_some_and(above)
    }

    /// Gives it no more jobs; it leaves when it has answered those that it has in hand.
    fn retire(self: &Rc<Self>, leave: Leave) {
        if self.stays() {
            self.phase.set(Phase::Retiring);
            self.leave.set(Some(leave));
        }
        let Some(pool) = self.pool() else { return };
        self.look_for_work(&pool);
        // Those who wait may need another.
        pool.pump_later();
    }

    /// With nothing in hand, it leaves, now or when it has had nothing for long.
    pub fn look_for_work(self: &Rc<Self>, pool: &Pool<Req, Rep>) {
        if self.jobs() > 0 {
            return;
        }
        match self.phase.get() {
            Phase::Retiring => self.dismiss(Leave::Retired),
            Phase::Serving if pool.options.stop.is_zero() => self.stop(),
            Phase::Serving => {
                let stop = pool.options.stop;
                let known = self.timer.borrow().as_ref().is_some_and(|timer| timer.reset(stop));
                if !known {
                    self.set_timer(Some(self.after(stop, |worker| worker.stop())));
                }
            }
            _ => (),
        }
    }

    /// It has had nothing to do for long, or has got something again.
    fn stop(self: &Rc<Self>) {
        let surplus = self.pool().is_some_and(|pool| pool.has_surplus());
        if self.phase.get() == Phase::Serving && self.jobs() == 0 && surplus {
            self.dismiss(Leave::Idle);
        }
    }

    /// No call is answered any more.
    fn failed(self: &Rc<Self>, error: rpc::Error) {
        let Some(pool) = self.pool() else { return };
        if !matches!(self.phase.get(), Phase::Leaving | Phase::Gone) {
            let by = self.end_by(&error);
            self.leave(match &error {
                _ if !self.ready.get() => Leave::NeverReady,
                _ if by == By::Itself => Leave::Retired,
                rpc::Error::Lost(_) => Leave::Broken,
                _ => Leave::Died,
            });
            self.let_go(by, || error.clone().into());
            self.note_failure(&pool, || error.clone().into());
        }
        // One that came to be has an end, which comes last.
        match self.client().and_then(|client| client.pid()) {
            Some(_) => pool.pump(),
            None => self.gone(),
        }
    }

    /// Notes that it ended before it was of use.
    fn note_failure(&self, pool: &Pool<Req, Rep>, error: impl FnOnce() -> Error) {
        if self.served.get() == 0 {
            pool.note_useless();
        }
        if !self.ready.get() {
            pool.never_ready(self.chain, &error());
        }
    }

    fn gone(self: &Rc<Self>) {
        let Some(pool) = self.pool.take() else { return };
        self.phase.set(Phase::Gone);
        let (client, timer) = (self.client.take(), self.timer.take());
        drop((timer, self.age.take()));
        pool.gone(self, self.leave.get().unwrap_or(Leave::Died));
        drop(client);
    }
}
