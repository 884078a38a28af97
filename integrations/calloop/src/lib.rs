//! tine's queue as an event source of [calloop].
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
use calloop::ping::{Ping, PingSource, make_ping};
use calloop::{
    EventSource, Interest, LoopHandle, Mode, Poll, PostAction, Readiness, Token, TokenFactory,
};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use tine::{Attachment, Queue, Result};

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
    idle: Option<IdleHook>,
    /// While it is registered.
    _attachment: Option<Attachment>,
}

impl QueueSource {
    /// Makes a source that keeps the queue alive.
    pub fn new(queue: Queue) -> Self {
        let descriptor = Generic::new_with_error(queue, Interest::READ, Mode::Level);
        QueueSource { descriptor, budget: None, idle: None, _attachment: None }
    }

    /// Lets one turn take no longer than `budget` (see [`Queue::dispatch_for`]). The loop's other
    /// sources have their turn before the rest is run.
    pub fn with_budget(self, budget: Duration) -> Self {
        QueueSource { budget: Some(budget), ..self }
    }

    /// Lets the queue's idle watchers wait until the loop is idle: they run as calloop's own idle
    /// callbacks do, when all events of a turn, of all sources, are done with.
    ///
    /// Without this they run in turns in which the queue itself finds nothing else to do.
    ///
    /// # Errors
    /// [`System`](tine::ErrorKind::System): there is no descriptor left, of which it takes one.
    pub fn with_idle<Data: 'static>(self, handle: &LoopHandle<'static, Data>) -> Result<Self> {
        let idle = IdleHook::new(self.queue(), handle)?;
        Ok(QueueSource { idle: Some(idle), ..self })
    }

    /// Gives the queue.
    pub fn queue(&self) -> &Queue {
        self.descriptor.get_ref()
    }
}

/// What asks calloop for idle turns, as long as there are idle watchers.
struct IdleHook {
    wanted: Rc<Cell<bool>>,
    /// Keeps the loop from falling asleep before the next idle turn.
    ping: Ping,
    pinged: PingSource,
    /// Puts an idle turn of the queue at the end of calloop's turn.
    insert: Box<dyn Fn()>,
}

impl IdleHook {
    fn new<Data: 'static>(queue: &Queue, handle: &LoopHandle<'static, Data>) -> Result<Self> {
        let (ping, pinged) = make_ping()?;
        let wanted = Rc::new(Cell::new(false));
        // Neither the loop nor the queue is to be kept alive by this.
        let (handle, queue) = (handle.downgrade(), queue.downgrade());
        let (is_wanted, again) = (Rc::clone(&wanted), ping.clone());
        let insert = move || {
            let Some(handle) = handle.upgrade() else { return };
            let (is_wanted, again, queue) = (Rc::clone(&is_wanted), again.clone(), queue.clone());
            handle.insert_idle(move |_| {
                if let (true, Some(queue)) = (is_wanted.get(), queue.upgrade()) {
                    again.ping();
                    // What it refuses the next turn refuses too, and the loop returns that.
                    let _refused = queue.dispatch_idle();
                }
            });
        };
        Ok(IdleHook { wanted, ping, pinged, insert: Box::new(insert) })
    }

    fn serve(&self, attachment: &Attachment) {
        let (wanted, ping) = (Rc::clone(&self.wanted), self.ping.clone());
        attachment.serve_idle(move |want| {
            wanted.set(want);
            if want {
                ping.ping();
            }
        });
    }
}

impl fmt::Debug for IdleHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleHook").field("wanted", &self.wanted).finish_non_exhaustive()
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
    ) -> Result<PostAction>
    where
        F: FnMut(usize, &mut ()),
    {
        if let Some(IdleHook { pinged, insert, wanted, .. }) = &mut self.idle {
            let pinged = pinged.process_events(readiness, token, |(), _| {
                if wanted.get() {
                    insert();
                }
            });
            pinged.map_err(tine::Error::other)?;
        }
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
        let attachment = self.queue().attach("calloop");
        if let Some(idle) = &mut self.idle {
            idle.pinged.register(poll, tokens)?;
            idle.serve(&attachment);
        }
        self._attachment = Some(attachment);
        Ok(())
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.descriptor.reregister(poll, tokens)?;
        self.idle.as_mut().map_or(Ok(()), |idle| idle.pinged.reregister(poll, tokens))
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self._attachment = None;
        if let Some(idle) = &mut self.idle {
            idle.wanted.set(false);
            idle.pinged.unregister(poll)?;
        }
        self.descriptor.unregister(poll)
    }
}
