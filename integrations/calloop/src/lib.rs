//! tine's queue as an event source of [calloop](calloop).
//!
//! [`QueueSource`] is all there is: it lets calloop poll the queue's one descriptor and dispatches
//! when that is readable. There is no thread, no timer and no wake-up without work; signals,
//! timers, workers and posts from other threads all come through the one source.
//!
//! ```
//! use calloop::EventLoop;
//! use tine_calloop::QueueSource;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut event_loop = EventLoop::<u32>::try_new()?;
//! let queue = tine::queue();
//! event_loop.handle().insert_source(QueueSource::new(queue.clone()), |_, _, turns| *turns += 1)?;
//!
//! queue.post(|| println!("hello from the queue"));
//! let mut turns = 0;
//! event_loop.dispatch(None, &mut turns)?;
//! assert_eq!(turns, 1);
//! # Ok(()) }
//! ```
//!
//! # The loop's data
//! The queue's callbacks know nothing of calloop's `Data`. Let them send what they have to say into a
//! channel, or put it in a cell, that the source's callback looks into: it runs after each turn of
//! the queue and has `&mut Data`. The example `count` shows it.
//!
//! # Errors and panics
//! An error of [`Queue::dispatch`] means that the queue itself is broken. It ends the turn of
//! calloop's loop: `EventLoop::dispatch` and `EventLoop::run` return it as
//! [`calloop::Error::OtherError`]. The source stays inserted.
//!
//! A panic in a callback of the queue unwinds through `EventLoop::dispatch`, after the other
//! callbacks of the queue's turn have run. Caught outside of it, loop and queue go on as before.
//!
//! In both cases calloop drops what is left of its own turn: descriptors are reported again by the
//! next one, but timers of calloop that had expired in that very turn are not (calloop 0.14).

#![forbid(unsafe_code)]

use calloop::generic::Generic;
use calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};
use std::time::Duration;
use tine::{Attachment, Queue};

/// A queue as calloop sees it.
///
/// Its event is the number of the queue's callbacks that ran in the turn just over. Several queues
/// can be on one loop; one queue is on one loop at a time.
///
/// Removing the source, disabling it and dropping the loop let go of the queue; all of this may be
/// done in a callback of the queue. What is due stays due, and is run when the queue is inserted
/// again, here or elsewhere.
#[derive(Debug)]
pub struct QueueSource {
    descriptor: Generic<Queue, tine::Error>,
    budget: Option<Duration>,
    /// While it is registered.
    _attachment: Option<Attachment>,
}

impl QueueSource {
    /// Makes a source that keeps the queue alive.
    pub fn new(queue: Queue) -> Self {
        let descriptor = Generic::new_with_error(queue, Interest::READ, Mode::Level);
        QueueSource { descriptor, budget: None, _attachment: None }
    }

    /// Lets one turn take no longer than `budget` (see [`Queue::dispatch_for`]). The loop's other
    /// sources have their turn before the rest is run.
    pub fn with_budget(self, budget: Duration) -> Self {
        QueueSource { budget: Some(budget), ..self }
    }

    /// Gives the queue.
    pub fn queue(&self) -> &Queue {
        self.descriptor.get_ref()
    }
}

impl EventSource for QueueSource {
    type Event = usize;
    type Metadata = ();
    type Ret = ();
    type Error = tine::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> tine::Result<PostAction>
    where
        F: FnMut(usize, &mut ()),
    {
        let budget = self.budget;
        self.descriptor.process_events(readiness, token, |_, queue| {
            let ran = match budget {
                Some(budget) => queue.dispatch_for(budget)?,
                None => queue.dispatch()?,
            };
            callback(ran, &mut ());
            Ok(PostAction::Continue)
        })
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.descriptor.register(poll, tokens)?;
        self._attachment = Some(self.queue().attach("calloop"));
        Ok(())
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.descriptor.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self._attachment = None;
        self.descriptor.unregister(poll)
    }
}
