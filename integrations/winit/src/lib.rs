//! tine's queue in a [winit] event loop, on X11 and on Wayland.
//!
//! winit lets no program add a descriptor to what it polls. So there is one thread beside the loop,
//! named `tine-winit`, which is parked in `poll(2)` on the queue's descriptor. When that is readable
//! it sends the loop an event through its [`EventLoopProxy`], and then waits until the main thread
//! has dispatched: it wakes nobody up without work, and never more than once for the same work.
//!
//! ```no_run
//! use tine_winit::Attachment;
//! use winit::application::ApplicationHandler;
//! use winit::event::WindowEvent;
//! use winit::event_loop::{ActiveEventLoop, EventLoop};
//! use winit::window::WindowId;
//!
//! struct App {
//!     queue: Attachment,
//! }
//!
//! impl ApplicationHandler for App {
//!     fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
//!         if let Err(error) = self.queue.dispatch() {
//!             eprintln!("{error}");
//!             event_loop.exit();
//!         }
//!     }
//! #   fn resumed(&mut self, _: &ActiveEventLoop) {}
//! #   fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, _: WindowEvent) {}
//!     // …
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let template = tine::Template::early()?; // before the event loop, which brings threads
//! let event_loop = EventLoop::new()?;
//! let queue = tine_winit::attach(&tine::queue(), event_loop.create_proxy(), || ())?;
//! event_loop.run_app(&mut App { queue })?;
//! # drop(template);
//! # Ok(()) }
//! ```
//!
//! # Why in `about_to_wait`
//! It comes once in each turn of winit, when input, frames and events are done with, so that a turn of
//! the queue goes between them. The event itself needs no handler: all it does is end winit's wait.
//! (Who dispatches in `user_event` should know that winit on X11 goes on to the next event of a proxy
//! before it looks at anything else, so that a budget lets nothing through.)
//!
//! # Errors and panics
//! An error of [`Queue::dispatch`] means that the queue itself is broken. It is the handler's to deal
//! with, as above; who ignores it is told again at once.
//!
//! A panic in a callback unwinds through the handler and winit out of `run_app`, after the other
//! callbacks of the turn have run (winit on Linux is Rust throughout).
//!
//! # winit 0.31
//! In the beta a proxy sends no events of the program's own: it has `wake_up`, which arrives as
//! `ApplicationHandler::proxy_wake_up`. [`attach`] will lose its last argument, and nothing else here
//! changes; `about_to_wait` is there as before.

#![forbid(unsafe_code)]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tine::{Queue, Result};
use winit::event_loop::EventLoopProxy;

/// Wakes the loop of `proxy` up whenever `queue` has something to do, until the attachment is dropped.
///
/// It sends what `event` gives. The handler's `about_to_wait` calls [`Attachment::dispatch`].
///
/// # Errors
/// [`System`](tine::ErrorKind::System): there is no descriptor or no thread to be had.
pub fn attach<T: Send + 'static>(
    queue: &Queue,
    proxy: EventLoopProxy<T>,
    event: impl Fn() -> T + Send + 'static,
) -> Result<Attachment> {
    // A loop that is gone needs no more events.
    Attachment::new(queue, move || proxy.send_event(event()).is_ok())
}

/// A queue whose loop is woken up for it; it keeps the queue alive.
///
/// Dropping it ends the thread. That may be done in a callback of the queue; what is due stays due.
#[must_use = "dropping it detaches the queue"]
pub struct Attachment {
    queue: Queue,
    _attachment: tine::Attachment,
    /// A word for the parked thread: an octet says that it may go on, the end of file that it is over.
    parked: Option<UnixStream>,
    /// The parked thread has woken the loop and waits for that octet.
    awaited: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Attachment {
    /// Starts the thread; `wake` tells whether there is still a loop to wake up.
    fn new(queue: &Queue, wake: impl Fn() -> bool + Send + 'static) -> Result<Attachment> {
        let (main, parked) = UnixStream::pair()?;
        let awaited = Arc::new(AtomicBool::new(false));
        let watch = Watch {
            queue: queue.as_fd().try_clone_to_owned()?,
            main: parked,
            awaited: Arc::clone(&awaited),
        };
        let thread = Builder::new().name("tine-winit".into()).spawn(move || watch.run(wake))?;
        Ok(Attachment {
            queue: queue.clone(),
            _attachment: queue.attach("winit"),
            parked: Some(main),
            awaited,
            thread: Some(thread),
        })
    }

    /// Runs what is due (see [`Queue::dispatch`]) and lets the thread watch again.
    ///
    /// # Errors
    /// As [`Queue::dispatch`].
    ///
    /// # Panics
    /// As [`Queue::dispatch`].
    pub fn dispatch(&self) -> Result<usize> {
        let _after = Release(self);
        self.queue.dispatch()
    }

    /// As [`dispatch`](Attachment::dispatch), but a turn takes no longer than `budget` (see
    /// [`Queue::dispatch_for`]). The loop is woken up again for the rest: in `about_to_wait`, where
    /// this is called, input and frames go between.
    ///
    /// # Errors
    /// As [`Queue::dispatch`].
    ///
    /// # Panics
    /// As [`Queue::dispatch`].
    pub fn dispatch_for(&self, budget: Duration) -> Result<usize> {
        let _after = Release(self);
        self.queue.dispatch_for(budget)
    }

    /// Gives the queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        drop(self.parked.take());
        if let Some(thread) = self.thread.take() {
            // It is in `poll` or `read`, which have ended by now, and has nothing to panic with but
            // the program's `event`.
            let _panicked = thread.join();
        }
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Lets the parked thread go on when a turn is over, also one that panics.
struct Release<'a>(&'a Attachment);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        if self.0.awaited.swap(false, Ordering::Relaxed)
            && let Some(mut parked) = self.0.parked.as_ref()
        {
            // One octet at a time is under way, so there is room; a thread that is over is not waiting.
            let _over = parked.write_all(&[1]);
        }
    }
}

/// The parked thread.
///
/// ```text
///            queue readable: wake the loop
///   Polling ───────────────────────────────▶ Waiting
///      │  ◀───────────────────────────────     │
///      │        an octet: it has dispatched    │
///      └──▶ over: the end of file, or the loop is gone ◀──┘
/// ```
struct Watch {
    /// A copy of the queue's descriptor.
    queue: OwnedFd,
    main: UnixStream,
    awaited: Arc<AtomicBool>,
}

impl Watch {
    fn run(mut self, wake: impl Fn() -> bool) {
        while let Ok(true) = self.poll() {
            self.awaited.store(true, Ordering::Relaxed);
            if !wake() || !matches!(self.wait(), Ok(true)) {
                break;
            }
        }
    }

    /// Waits until the queue has something to do; tells whether that came before the end.
    fn poll(&self) -> rustix::io::Result<bool> {
        let in_flags = PollFlags::IN;
        let mut fds = [PollFd::new(&self.queue, in_flags), PollFd::new(&self.main, in_flags)];
        loop {
            match poll(&mut fds, None) {
                // Nothing is sent here while nothing is awaited: what is there is the end of file.
                Ok(_) => return Ok(fds[1].revents().is_empty()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Waits until the main thread has dispatched; tells whether that came before the end.
    fn wait(&mut self) -> io::Result<bool> {
        loop {
            match self.main.read(&mut [0]) {
                Ok(count) => return Ok(count > 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
