//! What a behaviour is checked with: the loop, a template, and queues that are let go of in the end.

use super::Host;
use std::any::Any;
use std::time::{Duration, Instant};
use tine::{Queue, Template};

/// How long anything may take. Generous: it is reached only by what is broken.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One check of one behaviour on one loop.
pub struct Trial<'a> {
    host: &'a mut dyn Host,
    template: &'a Template,
    attached: Vec<Box<dyn Any>>,
    deadline: Duration,
}

impl<'a> Trial<'a> {
    /// Begins a check.
    pub fn new(host: &'a mut dyn Host, template: &'a Template) -> Self {
        Trial { host, template, attached: Vec::new(), deadline: DEADLINE }
    }

    /// Waits no longer than this: for loops that are expected to fail.
    pub fn within(self, deadline: Duration) -> Self {
        Trial { deadline, ..self }
    }

    /// The loop.
    pub fn host(&mut self) -> &mut dyn Host {
        self.host
    }

    /// The template that workers are forked from.
    pub fn template(&self) -> &Template {
        self.template
    }

    /// Makes a queue that is on the loop until the check ends.
    ///
    /// # Panics
    /// When there are no descriptors left.
    pub fn queue(&mut self) -> Queue {
        let queue = Queue::new().expect("a queue");
        self.attach(&queue);
        queue
    }

    /// Puts a queue on the loop until the check ends.
    pub fn attach(&mut self, queue: &Queue) {
        let attached = self.host.attach(queue, None);
        self.attached.push(attached);
    }

    /// Runs the loop until `done` gives true.
    ///
    /// # Panics
    /// When that takes too long, with what was waited for.
    pub fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        let reached = self.host.run(self.deadline, &mut done);
        let (name, waited) = (self.host.name(), began.elapsed());
        assert!(reached, "{name}: waited {waited:?} for this: {what}");
    }

    /// Runs the loop for `time` and gives the number of its turns.
    ///
    /// # Panics
    /// When the loop ends earlier.
    pub fn turns_in(&mut self, time: Duration) -> usize {
        let (began, mut asked) = (Instant::now(), 0);
        let reached = self.host.run(time, &mut || {
            asked += 1;
            false
        });
        assert!(!reached && began.elapsed() >= time, "the loop ended after {:?}", began.elapsed());
        // It was asked once before the first turn.
        asked - 1
    }
}

impl std::fmt::Debug for Trial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("host", &self.host.name()).finish_non_exhaustive()
    }
}

/// What callbacks said, in order.
#[derive(Debug, Default, Clone)]
pub struct Log(std::rc::Rc<std::cell::RefCell<Vec<&'static str>>>);

impl Log {
    /// Gives a callback that says `word` each time it is called.
    pub fn say(&self, word: &'static str) -> impl Fn() + use<> {
        let log = self.clone();
        move || log.0.borrow_mut().push(word)
    }

    /// What has been said.
    pub fn said(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }

    /// How often anything has been said.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }
}
