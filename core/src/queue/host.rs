//! Flow 1: who polls the queue's descriptor, and handles that do not keep the queue alive.

use super::{Core, Queue};
use std::any::Any;
use std::fmt;
use std::rc::{Rc, Weak};

/// The loop that polls a queue, and what ties the two together.
pub(super) struct Host {
    name: &'static str,
    /// Dropped with the queue, or when another loop takes over.
    _attachment: Box<dyn Any>,
}

impl Queue {
    /// Notes which loop polls the queue from now on; integrations call it.
    ///
    /// `attachment` is dropped when the queue ends or another host is set: whatever makes the loop poll
    /// the descriptor should end with it.
    pub fn set_host(&self, name: &'static str, attachment: impl Any) {
        let host = Host { name, _attachment: Box::new(attachment) };
        let earlier = self.core.host.borrow_mut().replace(host);
        drop(earlier);
    }

    /// The loop that polls the queue: "glib", say. `None` where only the embedded loop does.
    pub fn host(&self) -> Option<&'static str> {
        self.core.host.borrow().as_ref().map(|host| host.name)
    }

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
