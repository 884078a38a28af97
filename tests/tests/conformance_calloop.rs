//! The suite on calloop.

use calloop::{EventLoop, LoopHandle, RegistrationToken};
use std::any::Any;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tine::Queue;
use tine_calloop::QueueSource;
use tine_tests::conformance::{self, Host};

fn main() -> ExitCode {
    conformance::main(|| Calloop { event_loop: EventLoop::try_new().expect("a loop") })
}

struct Calloop {
    event_loop: EventLoop<'static, ()>,
}

/// Removes the source when dropped.
struct Inserted(LoopHandle<'static, ()>, RegistrationToken);

impl Drop for Inserted {
    fn drop(&mut self) {
        self.0.remove(self.1);
    }
}

impl Host for Calloop {
    fn name(&self) -> &'static str {
        "calloop"
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let handle = self.event_loop.handle();
        let source = QueueSource::new(queue.clone()).with_idle(&handle);
        let mut source = source.expect("a descriptor");
        if let Some(budget) = budget {
            source = source.with_budget(budget);
        }
        let token = handle.insert_source(source, |_, (), ()| ()).expect("a source");
        Box::new(Inserted(handle, token))
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        let end = Instant::now() + timeout;
        loop {
            if done() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.event_loop.dispatch(left, &mut ()).expect("a queue that works");
        }
    }
}
