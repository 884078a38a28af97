//! Flow 2: requests for which there are no descriptors.

use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::super::job::orphan::Open;
use super::{Link, is};
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
}

/// Tells whether something has run out that others may give back.
pub(in super::super) fn is_shortage(error: &Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS].iter().any(|errno| is(error, *errno))
}
