//! The suite on plain `poll(2)`.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::any::Any;
use std::cell::RefCell;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use tine::Queue;
use tine_tests::conformance::{self, Host};

fn main() -> ExitCode {
    conformance::main(Poll::default)
}

/// A loop that polls the descriptors of queues.
#[derive(Default)]
struct Poll {
    queues: Rc<RefCell<Vec<Rc<Polled>>>>,
}

struct Polled {
    queue: Queue,
    budget: Option<Duration>,
    _attachment: tine::Attachment,
}

/// Takes a queue off the loop when dropped.
struct Attached(Weak<RefCell<Vec<Rc<Polled>>>>, Rc<Polled>);

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(queues) = self.0.upgrade() {
            queues.borrow_mut().retain(|polled| !Rc::ptr_eq(polled, &self.1));
        }
    }
}

impl Poll {
    /// One turn of the loop: waits until `end` and dispatches each queue that is readable.
    fn turn(&self, end: Instant) {
        let queues = self.queues.borrow().clone();
        let fds = queues.iter().map(|polled| polled.queue.as_fd());
        let fds: Vec<_> = fds.collect();
        let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a timeout of this age");
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
        let readable: Vec<_> = fds.iter().map(|fd| fd.revents().contains(PollFlags::IN)).collect();
        for (polled, _) in queues.iter().zip(readable).filter(|(_, readable)| *readable) {
            if !self.queues.borrow().iter().any(|still| Rc::ptr_eq(still, polled)) {
                // Taken off the loop by a callback of another queue.
                continue;
            }
            let ran = match polled.budget {
                Some(budget) => polled.queue.dispatch_for(budget),
                None => polled.queue.dispatch(),
            };
            ran.expect("a queue that works");
        }
    }
}

impl Host for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let polled =
            Rc::new(Polled { queue: queue.clone(), budget, _attachment: queue.attach("poll") });
        self.queues.borrow_mut().push(Rc::clone(&polled));
        Box::new(Attached(Rc::downgrade(&self.queues), polled))
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        let end = Instant::now() + timeout;
        loop {
            if done() {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            self.turn(end);
        }
    }
}
