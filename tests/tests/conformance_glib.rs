//! The suite on a GLib main context. A panic aborts the program, for it cannot pass through C.

use glib::{ControlFlow, MainContext, Priority};
use std::any::Any;
use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tine::Queue;
use tine_glib::Attachment;
use tine_tests::conformance::{self, Host, OnPanic};

fn main() -> ExitCode {
    conformance::main(|| Glib { context: MainContext::new() })
}

struct Glib {
    context: MainContext,
}

impl Host for Glib {
    fn name(&self) -> &'static str {
        "glib"
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let attachment = Attachment::builder(queue).context(&self.context);
        Box::new(attachment.budget(budget.unwrap_or(Duration::MAX)).attach())
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        let _owner = self.context.acquire().expect("nobody else runs it");
        let late = Rc::new(Cell::new(false));
        let flag = glib::thread_guard::ThreadGuard::new(Rc::clone(&late));
        let ring = move || {
            flag.get_ref().set(true);
            ControlFlow::Continue
        };
        // GLib rounds down to milliseconds.
        let timeout = timeout + Duration::from_millis(1);
        let alarm = glib::timeout_source_new(timeout, None, Priority::LOW, ring);
        alarm.attach(Some(&self.context));
        let reached = loop {
            if done() {
                break true;
            }
            if late.get() {
                break false;
            }
            self.context.iteration(true);
        };
        alarm.destroy();
        reached
    }

    fn on_panic(&self) -> OnPanic {
        OnPanic::Aborts
    }
}
