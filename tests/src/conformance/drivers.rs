//! For loops that are executors: futures that drive queues, polled side by side in one task.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

type Driver = Pin<Box<dyn Future<Output = ()>>>;
/// A future is away while it is polled.
type Slots = RefCell<BTreeMap<u64, Option<Driver>>>;

/// Futures that drive queues, each until it is let go of.
#[derive(Default)]
pub struct Drivers {
    slots: Rc<Slots>,
    next: Cell<u64>,
}

impl Drivers {
    /// Adds a future; it is dropped with what is returned.
    pub fn add(&self, driver: impl Future<Output = ()> + 'static) -> Box<dyn Any> {
        let key = self.next.replace(self.next.get() + 1);
        self.slots.borrow_mut().insert(key, Some(Box::pin(driver)));
        Box::new(Added { slots: Rc::downgrade(&self.slots), key })
    }

    /// Polls all until `done` gives true or `timeout` is ready; tells which, with true for `done`.
    ///
    /// `done` is asked before and after each poll.
    pub async fn run<T>(
        &self,
        timeout: impl Future<Output = T>,
        done: &mut dyn FnMut() -> bool,
    ) -> bool {
        let mut timeout = pin!(timeout);
        let turn = |context: &mut Context<'_>| {
            if done() {
                return Poll::Ready(true);
            }
            if timeout.as_mut().poll(context).is_ready() {
                return Poll::Ready(false);
            }
            self.poll(context);
            // What the poll did may be what was waited for.
            if done() { Poll::Ready(true) } else { Poll::Pending }
        };
        poll_fn(turn).await
    }

    fn poll(&self, context: &mut Context<'_>) {
        let keys: Vec<u64> = self.slots.borrow().keys().copied().collect();
        for key in keys {
            let driver = self.slots.borrow_mut().get_mut(&key).and_then(Option::take);
            let Some(mut driver) = driver else { continue };
            if driver.as_mut().poll(context).is_pending()
                && let Some(slot) = self.slots.borrow_mut().get_mut(&key)
            {
                *slot = Some(driver);
            }
        }
    }
}

struct Added {
    slots: Weak<Slots>,
    key: u64,
}

impl Drop for Added {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.upgrade() {
            let driver = slots.borrow_mut().remove(&self.key);
            drop(driver);
        }
    }
}

impl std::fmt::Debug for Drivers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drivers").field("count", &self.slots.borrow().len()).finish()
    }
}
