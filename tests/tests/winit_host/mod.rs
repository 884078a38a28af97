//! A winit event loop, on whatever display there is.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::Queue;
use tine_tests::conformance::Host;
use tine_winit::Attachment;
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::platform::run_on_demand::EventLoopExtRunOnDemand as _;
use winit::window::WindowId;

/// The queues on the loop.
type Queues = RefCell<BTreeMap<u64, Rc<(Attachment, Option<Duration>)>>>;

pub struct Winit {
    name: &'static str,
    event_loop: EventLoop<()>,
    queues: Rc<Queues>,
    next: Cell<u64>,
}

impl Winit {
    pub fn new(name: &'static str) -> Self {
        let event_loop = EventLoop::new().expect("a display");
        Winit { name, event_loop, queues: Rc::default(), next: Cell::new(0) }
    }
}

/// Takes a queue off the loop when dropped.
struct Attached(Rc<Queues>, u64);

impl Drop for Attached {
    fn drop(&mut self) {
        let attachment = self.0.borrow_mut().remove(&self.1);
        drop(attachment);
    }
}

impl Host for Winit {
    fn name(&self) -> &'static str {
        self.name
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let number = self.next.replace(self.next.get() + 1);
        let proxy = self.event_loop.create_proxy();
        let attachment = tine_winit::attach(queue, proxy, || ()).expect("a thread");
        self.queues.borrow_mut().insert(number, Rc::new((attachment, budget)));
        Box::new(Attached(Rc::clone(&self.queues), number))
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        if done() {
            return true;
        }
        let end = Instant::now() + timeout;
        let mut app = App { queues: &self.queues, end, done, reached: false };
        self.event_loop.run_app_on_demand(&mut app).expect("a loop that works");
        app.reached
    }
}

struct App<'a> {
    queues: &'a Queues,
    end: Instant,
    done: &'a mut dyn FnMut() -> bool,
    reached: bool,
}

impl App<'_> {
    fn dispatch(&self) {
        let queues: Vec<_> = self.queues.borrow().keys().copied().collect();
        for number in queues {
            // One of them may have been taken off the loop by a callback of another.
            let queue = self.queues.borrow().get(&number).cloned();
            let Some(queue) = queue else { continue };
            let turn = match queue.1 {
                Some(budget) => queue.0.dispatch_for(budget),
                None => queue.0.dispatch(),
            };
            turn.expect("a queue that works");
        }
    }
}

impl ApplicationHandler for App<'_> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        event_loop.set_control_flow(ControlFlow::WaitUntil(self.end));
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, _: WindowEvent) {}

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        self.dispatch();
        self.reached = self.reached || (self.done)();
        if self.reached || Instant::now() >= self.end {
            event_loop.exit();
        }
    }
}
