//! Flow 2: how many descriptors a template may have open, and its processes.
//!
//! A template has two for each worker that lives, whoever that worker is of; so it takes what it may have at most,
//! and its processes get back what the app's were to have: code that they run may use select(2), or close all that
//! there could be.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::sys;

/// The limit that the processes of a template are to have, if it is not the template's.
#[derive(Clone, Copy, Default)]
pub(super) struct Limit(Option<Rlimit>);

impl Limit {
    /// Raises this process's own.
    pub fn raise() -> Limit {
        // A filter of seccomp(2) that refuses it leaves the limit as it is.
        let Ok(apps) = sys::limit(Resource::Nofile) else { return Limit(None) };
        let raised = Rlimit { current: apps.maximum, maximum: apps.maximum };
        let may = apps.current != apps.maximum && setrlimit(Resource::Nofile, raised).is_ok();
        Limit(may.then_some(apps))
    }

    /// Gives this process the app's.
    #[inline(always)]
    pub fn restore(self) {
        if let Some(apps) = self.0 {
            // Lowering is never refused.
            let _ = setrlimit(Resource::Nofile, apps);
        }
    }

    /// Tells whether a process could not have this descriptor if the limit were its own already.
    pub fn excludes(self, fd: usize) -> bool {
        self.0.and_then(|apps| apps.current).is_some_and(|most| fd as u64 >= most)
    }

    /// The app's as a number, to be told to a program that is executed; 0: nothing is to be done.
    pub fn number(self) -> u64 {
        self.0.and_then(|apps| apps.current).unwrap_or(0)
    }

    /// What [`Limit::number`] gave, in another process of the same template.
    pub fn from_number(number: u64) -> Limit {
        let maximum = sys::limit(Resource::Nofile).ok().and_then(|limit| limit.maximum);
        Limit((number > 0).then_some(Rlimit { current: Some(number), maximum }))
    }
}
