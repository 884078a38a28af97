//! The suite on the embedded loop, which turns one queue.

use std::any::Any;
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::Queue;
use tine_tests::conformance::{self, Host};

fn main() -> ExitCode {
    conformance::main(Embedded::default)
}

#[derive(Default)]
struct Embedded {
    queue: Rc<RefCell<Option<Queue>>>,
}

/// Lets go of the queue when dropped.
struct Attached(Rc<RefCell<Option<Queue>>>);

impl Drop for Attached {
    fn drop(&mut self) {
        let queue = self.0.take();
        drop(queue);
    }
}

impl Host for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn attach(&mut self, queue: &Queue, _budget: Option<Duration>) -> Box<dyn Any> {
        let former = self.queue.replace(Some(queue.clone()));
        assert!(former.is_none(), "it turns one queue");
        Box::new(Attached(Rc::clone(&self.queue)))
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        // Where there is no queue the thread's own, which has nothing to do, waits for the timeout.
        let end = Instant::now() + timeout;
        loop {
            if done() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let queue = self.queue.borrow().clone().unwrap_or_else(tine::queue);
            queue.turn(Some(left)).expect("a queue that works");
        }
    }

    fn many(&self) -> bool {
        false
    }
}
