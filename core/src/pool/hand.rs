//! Above flow 2: what one worker of a pool has in hand: jobs that it was sent and has not answered.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::job::Work;
use super::report::{Failure, Leave};
use super::worker::Worker;
use crate::rpc::{self, Client};
use crate::{Cause, Error, ErrorKind, Timer};

/// A job in a worker's hand.
pub(super) struct Hand<Req, Rep> {
    pub number: u64,
    /// `None` if it was taken back: somebody else does it.
    pub work: Option<Rc<Work<Req, Rep>>>,
    pub call: Option<rpc::Call>,
    /// Runs once the worker has begun it, if it has a deadline, was cancelled, or taken back.
    pub timer: Option<Timer>,
    /// When the worker began it.
    pub begun: Option<Instant>,
}

/// A job takes long that takes longer: those behind it are taken back when another worker has room.
const LONG: Duration = Duration::from_millis(500);

/// Whose doing a worker's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// It has retired, and begun nothing of what it was sent meanwhile.
    Itself,
    /// As far as anybody knows, the job's that it had begun.
    Job,
    /// The template's, or that of another job.
    Others,
}

impl<Req: 'static, Rep: 'static> Worker<Req, Rep> {
    /// Tells whether the job that it does takes long.
    pub fn is_held_up(&self) -> bool {
        let begun = self.hand.borrow().front().and_then(|hand| hand.begun);
        begun.is_some_and(|begun| crate::queue().now().saturating_duration_since(begun) > LONG)
    }
}

impl<Req: Serialize + 'static, Rep: DeserializeOwned + 'static> Worker<Req, Rep> {
    /// Gives it a job.
    pub fn take(self: &Rc<Self>, work: &Rc<Work<Req, Rep>>) {
        let (Some(client), Some(request)) = (self.client(), work.request()) else { return };
        let number = self.given.replace(self.given.get() + 1);
        work.given_to(self, client.pid());
        let work = Some(Rc::clone(work));
        let hand = Hand { number, work, call: None, timer: None, begun: None };
        self.hand.borrow_mut().push_back(hand);
        let worker = Rc::clone(self);
        // What encodes the request is the user's: nothing is borrowed, and it may panic.
        let called = catch_unwind(AssertUnwindSafe(|| {
            client.call(&*request, move |result| worker.answered(number, result))
        }));
        match called {
            Ok(call) => {
                let mut hand = self.hand.borrow_mut();
                if let Some(hand) = hand.iter_mut().find(|hand| hand.number == number) {
                    hand.call = Some(call);
                }
            }
            Err(panic) => {
                self.drop_unsent(number);
                resume_unwind(panic);
            }
        }
        self.begin();
    }

    fn drop_unsent(&self, number: u64) {
        let (unsent, pool) = (self.remove(number), self.pool());
        if let (Some(Hand { work: Some(work), .. }), Some(pool)) = (unsent, pool) {
            let error = Error::new(ErrorKind::Misuse, "what encodes the request panicked");
            pool.settle(&work, Err((Failure::Refused, error)));
            pool.pump_later();
        }
    }

    /// Takes a job out of its hand.
    fn remove(&self, number: u64) -> Option<Hand<Req, Rep>> {
        let mut hand = self.hand.borrow_mut();
        let position = hand.iter().position(|hand| hand.number == number)?;
        hand.remove(position)
    }

    /// Starts the clocks of jobs that it has begun: of all, or of the first.
    fn begin(self: &Rc<Self>) {
        let Some(pool) = self.pool() else { return };
        let most = if pool.options.parallel { usize::MAX } else { 1 };
        let mut hand = self.hand.borrow_mut();
        for hand in hand.iter_mut().take(most).filter(|hand| hand.begun.is_none()) {
            hand.begun = Some(crate::queue().now());
            hand.timer = match hand.work.as_ref().filter(|work| !work.is_settled()) {
                Some(work) => work.time().map(|time| self.deadline_timer(hand.number, time)),
                None => Some(self.cancel_timer(pool.options.grace)),
            };
        }
    }

    fn deadline_timer(self: &Rc<Self>, number: u64, time: Duration) -> Timer {
        self.after(time, move |worker| worker.past_deadline(number, time))
    }

    fn cancel_timer(self: &Rc<Self>, grace: Duration) -> Timer {
        self.after(grace, |worker| {
            worker.put_down(Leave::Cancelled, "it went on with a job that was cancelled");
        })
    }

    fn past_deadline(self: &Rc<Self>, number: u64, time: Duration) {
        let (Some(late), Some(pool)) = (self.remove(number), self.pool()) else { return };
        let pid = self.client().and_then(|client| client.pid()).unwrap_or_default();
        let message = format!("worker {pid} ({}) took longer than {time:?}", pool.entry());
        let error = Error::new(ErrorKind::Deadline, message);
        if let Some(work) = late.work {
            pool.settle(&work, Err((Failure::Deadline, error)));
        }
        self.put_down(Leave::Deadline, "another job ran past its deadline");
    }

    /// Tells it that a job in its hand is settled, and sees to it that it does not go on for long.
    pub fn cancel(self: &Rc<Self>, work: &Rc<Work<Req, Rep>>) {
        let Some(pool) = self.pool() else { return };
        let timer = self.cancel_timer(pool.options.grace);
        let mut hand = self.hand.borrow_mut();
        let is_meant =
            |hand: &&mut Hand<_, _>| hand.work.as_ref().is_some_and(|own| Rc::ptr_eq(own, work));
        let Some(hand) = hand.iter_mut().find(is_meant) else { return };
        if hand.begun.is_some() {
            hand.timer = Some(timer);
        }
        if let Some(call) = &hand.call {
            call.ask_to_end();
        }
    }

    fn answered(self: &Rc<Self>, number: u64, result: Result<Rep, rpc::Error>) {
        // Its end, which is told next, deals with all that it has in hand.
        if matches!(result, Err(rpc::Error::Ended(_) | rpc::Error::Lost(_))) {
            return;
        }
        let done = self.remove(number);
        let (Some(Hand { work, .. }), Some(pool)) = (done, self.pool()) else { return };
        let result = result.map_err(|error| match error.is_answer() {
            true => (Failure::Failed, error.into()),
            false => (Failure::Refused, error.into()),
        });
        if !matches!(result, Err((Failure::Refused, _))) {
            self.served.set(self.served.get() + 1);
            pool.note_useful();
        }
        if let Some(work) = work {
            pool.settle(&work, result);
        }
        self.begin();
        self.recycle(&pool);
        pool.pump();
        self.look_for_work(&pool);
    }

    /// Deals with what it had in hand when it died: a job that it had begun is lost with it.
    pub fn let_go(&self, by: By, error: impl Fn() -> Error) {
        let Some(pool) = self.pool() else { return };
        let hand = self.hand.take();
        for Hand { work, begun, .. } in hand {
            let Some(work) = work else { continue };
            if begun.is_some() && by != By::Itself {
                pool.lost(&work, by == By::Job, error());
            } else {
                pool.hand_back(&work);
            }
        }
    }

    /// Takes back what it has not begun, and asks it not to. The worker may just have begun it all the same: only what
    /// may be done twice is taken. Nothing is while there is an answer that has not been heard, behind which it has;
    /// nor while it does what nobody wants any more, which is soon over: or two workers that are at one job would end
    /// at the same time, and each time the slower one have begun what the other is given.
    pub fn take_back(&self) -> Vec<Rc<Work<Req, Rep>>> {
        let waits = |work: &Rc<Work<Req, Rep>>| work.is_idempotent() && !work.is_settled();
        let mut hand = self.hand.borrow_mut();
        let first = hand.front().and_then(|hand| hand.work.as_ref());
        let is_wanted = first.is_some_and(|work| !work.is_settled());
        let heard =
            |client: Rc<Client<_, _>>| client.outstanding() >= hand.len() && !client.has_unread();
        if !is_wanted || !self.client().is_some_and(heard) {
            return Vec::new();
        }
        let behind = hand.iter_mut().filter(|hand| hand.begun.is_none());
        let taken = behind.filter_map(|hand| {
            let call = hand.call.as_ref()?;
            let work = hand.work.take_if(|work| waits(work))?;
            call.ask_to_end();
            Some(work)
        });
        taken.collect()
    }

    /// Whose doing its end was.
    pub fn end_by(&self, error: &rpc::Error) -> By {
        let retired = || self.client().is_some_and(|client| client.is_retiring());
        match error {
            rpc::Error::Ended(exit) if *exit.cause() == Cause::TemplateDied => By::Others,
            // One that has done nothing does not retire, it refuses: then its job is not handed back for ever.
            rpc::Error::Ended(exit) if exit.success() && self.served.get() > 0 && retired() => {
                By::Itself
            }
            _ => By::Job,
        }
    }
}
