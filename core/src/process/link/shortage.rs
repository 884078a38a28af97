//! Flow 2: requests for which there are no descriptors.

use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::super::job::orphan::Open;
use super::{Link, is};
use crate::wire::PAUSE;
use crate::{Error, Timer};

/// How long a request waits for the end of any process, of which some may run for ever.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Default)]
pub(super) enum Shortage {
    #[default]
    None,
    WaitedOut {
        _end: Timer,
    },
    /// What waits has its last try.
    Lasts,
}

impl Link {
    /// Whether descriptors are about to come free: when others have been answered, when it is known what has become of
    /// those of a template that died, and perhaps when processes end.
    pub(super) fn can_wait(self: &Rc<Self>) -> bool {
        if self.asked.get() > 0 || Open::any() {
            return true;
        }
        let has_jobs = || Link::all().iter().any(|link| !link.jobs.borrow().is_empty());
        let mut shortage = self.shortage.borrow_mut();
        match *shortage {
            Shortage::WaitedOut { .. } => true,
            Shortage::None if has_jobs() => {
                let link = Rc::downgrade(self);
                let waited = move || {
                    if let Some(link) = link.upgrade() {
                        link.shortage.replace(Shortage::Lasts);
                        link.pump();
                        link.shortage.take();
                    }
                };
                *shortage = Shortage::WaitedOut { _end: crate::queue().after(PATIENCE, waited) };
                true
            }
            Shortage::None | Shortage::Lasts => false,
        }
    }

    /// Tries again to send what has descriptors with it, after a while.
    pub(super) fn try_later(self: &Rc<Self>) -> Timer {
        let link = Rc::downgrade(self);
        crate::queue().after(PAUSE, move || {
            if let Some(link) = link.upgrade() {
                link.flush();
            }
        })
    }

    /// Fails requests that could not even be sent, for which no template is to blame; tells whether there were any.
    pub(super) fn give_up_unsent(self: &Rc<Self>) -> bool {
        let mut outbox = self.outbox.borrow_mut();
        let unsent = if outbox.is_crowded() { outbox.take_back() } else { Vec::new() };
        drop(outbox);
        for id in &unsent {
            self.asked.set(self.asked.get().saturating_sub(1));
            let job = self.jobs.borrow_mut().remove(id);
            if let Some(job) = job {
                job.fail_later(crowded());
            }
        }
        !unsent.is_empty()
    }
}

/// The error of what could not be sent for too long.
pub(in super::super) fn crowded() -> Error {
    let what = "send a descriptor: too many are under way between processes of this user (unix(7), ETOOMANYREFS)";
    Error::system(what, Errno::TOOMANYREFS)
}

/// Tells whether something has run out that others may give back.
pub(in super::super) fn is_shortage(error: &Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS].iter().any(|errno| is(error, *errno))
}
