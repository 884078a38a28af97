//! Flow 2: how long a template may take to answer, and what becomes of it then.

use std::rc::Rc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::Link;

impl Link {
    /// Runs the deadline while a request has no answer.
    pub(super) fn be_patient(self: &Rc<Self>) {
        if self.asked.get() == 0 {
            drop(self.patience.take());
        } else if self.patience.borrow().is_none()
            && let Some(template) = self.template.upgrade()
        {
            let link = Rc::downgrade(self);
            let since = Instant::now();
            let deadline = template.core().deadline();
            let patience = if self.nudged.get() { deadline / 4 } else { deadline };
            let timer = crate::queue().after(patience, move || {
                if let Some(link) = link.upgrade() {
                    link.stuck(since);
                }
            });
            self.patience.replace(Some(timer));
        }
    }

    fn stuck(self: &Rc<Self>, since: Instant) {
        drop(self.patience.take());
        if self.has_answer() || self.was_held_up(since) {
            return self.be_patient();
        }
        if self.give_up_unsent() {
            self.pump();
            return self.close_if_done();
        }
        if !self.nudged.replace(true) {
            self.nudge();
            return self.be_patient();
        }
        let why = "it did not answer within its deadline";
        let template = self.template.upgrade();
        if template.is_some_and(|template| !template.core().kill_stuck(self.generation)) {
            // It is another app's, and lives on with what it was sent: whether it will read that, nobody can say.
            for job in self.jobs.borrow().values() {
                job.unanswered(why);
            }
        }
        // Its end need not be waited for: nothing that it still says is heard.
        self.lost(why);
    }

    /// Has whoever was to answer go on, if it is stopped: a process, by its template, which would else be blamed for it
    /// and take all others along. A template that is stopped itself hears nothing of it.
    fn nudge(self: &Rc<Self>) {
        let unanswered: Vec<_> = (self.jobs.borrow().iter())
            .filter_map(|(id, job)| (!job.has_started()).then_some(*id))
            .collect();
        for id in unanswered {
            // What cannot be said is answered no sooner.
            let _ = self.signal(id, Signal::CONT);
        }
    }

    /// Whether something was said that this thread has not heard yet: its callbacks took too long, not the template.
    fn has_answer(&self) -> bool {
        let mut link = [PollFd::new(&*self.socket, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut link, Some(&at_once)) == Ok(1)
    }

    /// Whether this thread did not run for so long, as when the program was stopped (Ctrl-Z), that the template may
    /// not have run either.
    fn was_held_up(&self, since: Instant) -> bool {
        let template = self.template.upgrade();
        template.is_some_and(|template| since.elapsed() >= 2 * template.core().deadline())
    }
}
