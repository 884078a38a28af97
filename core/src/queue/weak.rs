//! Flow 1: handles that do not keep the queue alive.

use super::{Core, Queue};
use std::fmt;
use std::rc::{Rc, Weak};

impl Queue {
    /// Gives a handle that does not keep the queue alive.
    pub fn downgrade(&self) -> WeakQueue {
        WeakQueue { core: Rc::downgrade(&self.core) }
    }
}

/// A handle that does not keep its [`Queue`] alive.
#[derive(Clone)]
pub struct WeakQueue {
    core: Weak<Core>,
}

impl WeakQueue {
    /// Gives the queue, while it lives.
    pub fn upgrade(&self) -> Option<Queue> {
        Some(Queue { core: self.core.upgrade()? })
    }
}

impl fmt::Debug for WeakQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakQueue").field("queue", &self.upgrade()).finish()
    }
}
