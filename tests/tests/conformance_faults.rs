//! The suite finds what is wrong with a loop: each fault that integrations are known for fails the
//! behaviours that it breaks. The loop is `poll(2)`, done badly.

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use std::any::Any;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use tine::{Queue, Template};
use tine_tests::cases;
use tine_tests::conformance::{self, Host, Trial};

fn main() -> ExitCode {
    let template = Template::early().expect("the first thing in main");
    tine_tests::runner::run(
        &template,
        cases![
            a_right_loop_passes,
            dispatching_by_the_clock_is_found,
            a_busy_loop_is_found,
            an_edge_is_found,
            a_forgotten_budget_is_found,
            a_queue_that_is_never_let_go_of_is_found,
        ],
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Dispatches each few milliseconds.
    Clock,
    /// Never waits.
    Busy,
    /// Waits for an edge of the descriptor's readiness.
    Edge,
    Budget,
    /// Goes on with a queue that was taken off the loop.
    Detach,
}

struct Loop {
    fault: Fault,
    queue: Rc<RefCell<Option<Polled>>>,
}

#[derive(Clone)]
struct Polled {
    queue: Queue,
    budget: Option<Duration>,
    /// Reports edges of the queue's descriptor.
    edges: Rc<OwnedFd>,
}

/// Takes the queue off the loop when dropped.
struct Attached(Weak<RefCell<Option<Polled>>>, #[expect(dead_code)] tine::Attachment);

impl Drop for Attached {
    fn drop(&mut self) {
        let queue = self.0.upgrade().and_then(|queue| queue.take());
        drop(queue);
    }
}

impl Host for Loop {
    fn name(&self) -> &'static str {
        "poll, done badly"
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let edges = Rc::new(epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor"));
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&*edges, queue, epoll::EventData::new_u64(0), flags).expect("a queue to watch");
        let budget = budget.filter(|_| self.fault != Fault::Budget);
        self.queue.replace(Some(Polled { queue: queue.clone(), budget, edges }));
        let on_loop = Rc::downgrade(&self.queue);
        let on_loop = if self.fault == Fault::Detach { Weak::new() } else { on_loop };
        Box::new(Attached(on_loop, queue.attach("poll")))
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
            self.turn(left);
        }
    }
}

impl Loop {
    fn turn(&self, left: Duration) {
        let polled = self.queue.borrow().clone();
        let timeout = match self.fault {
            Fault::Clock => left.min(Duration::from_millis(5)),
            Fault::Busy => Duration::ZERO,
            _ => left,
        };
        let timeout = Timespec::try_from(timeout).expect("a timeout of this age");
        let ready = match &polled {
            Some(Polled { edges, .. }) if self.fault == Fault::Edge => {
                let mut events = Vec::with_capacity(1);
                let room = rustix::buffer::spare_capacity(&mut events);
                epoll::wait(&**edges, room, Some(&timeout)).is_ok_and(|count| count > 0)
            }
            Some(Polled { queue, .. }) if self.fault != Fault::Clock => {
                let mut fds = [PollFd::new(queue, PollFlags::IN)];
                poll(&mut fds, Some(&timeout)).is_ok_and(|count| count > 0)
            }
            _ => poll(&mut [], Some(&timeout)).is_ok(),
        };
        if let (true, Some(Polled { queue, budget, .. })) = (ready, polled) {
            let ran = budget.map_or_else(|| queue.dispatch(), |budget| queue.dispatch_for(budget));
            ran.expect("a queue that works");
        }
    }
}

/// The behaviours of one name or row that a loop with this fault does not keep.
fn broken(template: &Template, fault: Fault, word: &str) -> Vec<&'static str> {
    let chosen = conformance::all().filter(|behaviour| behaviour.name.contains(word));
    let fails = |behaviour: &conformance::Behaviour| {
        let mut host = Loop { fault, queue: Rc::default() };
        let mut trial = Trial::new(&mut host, template).within(Duration::from_millis(500));
        catch_unwind(AssertUnwindSafe(|| (behaviour.check)(&mut trial))).is_err()
    };
    // What the checks say when they fail is expected here.
    set_hook(Box::new(|_| ()));
    let broken = chosen.filter(fails).map(|behaviour| behaviour.name).collect();
    drop(std::panic::take_hook());
    broken
}

fn a_right_loop_passes(template: &Template) {
    for word in ["K1", "E8", "E13 B5 a_budget", "E9 a_detached"] {
        assert_eq!(broken(template, Fault::None, word), [""; 0]);
    }
}

fn dispatching_by_the_clock_is_found(template: &Template) {
    assert!(broken(template, Fault::Clock, "K1").len() >= 3);
}

fn a_busy_loop_is_found(template: &Template) {
    assert!(broken(template, Fault::Busy, "K1").len() >= 3);
}

fn an_edge_is_found(template: &Template) {
    let broken = broken(template, Fault::Edge, "E1 ");
    assert!(broken.contains(&"E1 what_is_left_unread_is_told_again"), "{broken:?}");
}

fn a_forgotten_budget_is_found(template: &Template) {
    let broken = broken(template, Fault::Budget, "E13 B5");
    assert_eq!(broken, ["E13 B5 a_budget_gives_the_loop_its_turn"]);
}

fn a_queue_that_is_never_let_go_of_is_found(template: &Template) {
    let broken = broken(template, Fault::Detach, "E9");
    assert!(broken.contains(&"E9 a_detached_queue_keeps_what_is_due"), "{broken:?}");
}
