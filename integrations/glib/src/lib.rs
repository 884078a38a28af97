//! Flow 1 on a GLib main context: GLib polls the queue's descriptor and the queue's callbacks run in
//! the main loop, in GTK programs and in those without a display.
//!
//! It is a [`glib::Source`] that calls [`tine::Queue::dispatch_for`], and one for idle watchers while
//! there are any: no thread, no timeout, and no wake-up unless a callback is due.
//!
//! ```
//! tine_glib::attach(&tine::queue());
//! # let main_loop = glib::MainLoop::new(None, false);
//! # tine::queue().post({ let main_loop = main_loop.clone(); move || main_loop.quit() });
//! # main_loop.run();
//! ```
//!
//! # Frames are not held
//! Callbacks have the priority of GTK's drawing, [`PRIORITY`], so input goes first, and frames and
//! callbacks take turns. A turn of callbacks ends after [`BUDGET`], and what is left waits for the next.
//! Only a single callback that itself takes longer can hold a frame.
//!
//! Idle watchers run when the context has nothing else to do, as GLib's idle sources do.
//!
//! # Futures
//! What the queue brings can be awaited in futures on the context:
//!
//! ```
//! let context = glib::MainContext::default();
//! let queue = tine::queue();
//! tine_glib::attach(&queue);
//! let answer = queue.completion();
//! queue.after(std::time::Duration::from_millis(1), { let answer = answer.clone(); move || answer.send(42) }).detach();
//! let spawned = context.spawn_local(async move { answer.await });
//! assert_eq!(context.block_on(spawned).expect("it was not aborted").expect("an answer"), 42);
//! ```
//!
//! # What a panic in a callback does
//! It ends the program: its message is printed, then the process aborts, because a panic cannot pass
//! through GLib, which is C. All closures given to the `glib` crate behave so.
//!
//! # What an error of `dispatch` does
//! The queue itself is broken then. The source ends, and the error goes to
//! [`on_error`](Builder::on_error), or to GLib's log as critical, domain `tine`.
//!
//! # Main loops within callbacks
//! A callback may run a main loop of its own, as modal dialogs do. No callback of the queue runs in there,
//! nor does the queue wake that loop up; they go on when the inner loop has ended. So it must not be one of
//! them that ends it.

use glib::thread_guard::ThreadGuard;
use glib::{ControlFlow, IOCondition, MainContext, Priority, Source};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;
use tine::{ErrorKind, Queue, WeakQueue};

/// What README shows, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// When the callbacks run, among the other sources of a main context: as GTK's drawing does, which is
/// after input and before idle sources. It is GDK's `GDK_PRIORITY_REDRAW`, to be made a [`Priority`] of.
pub const PRIORITY: i32 = glib::ffi::G_PRIORITY_HIGH_IDLE + 20;

/// How long a turn of callbacks may take: a quarter of a frame at 60 Hz.
pub const BUDGET: Duration = Duration::from_millis(4);

/// Attaches a queue to this thread's default main context, for as long as the queue lives.
///
/// A second call moves it to what is the thread's default context then.
pub fn attach(queue: &Queue) {
    queue.keep_attachment(Attachment::builder(queue).attach());
}

/// Polls a queue on a main context, until it is dropped or the queue ends.
///
/// The queue is not kept alive by it.
#[must_use = "the queue is detached when this is dropped"]
pub struct Attachment {
    source: Source,
    _told: tine::Attachment,
    /// The source's closure must be dropped on the queue's thread.
    _not_send: PhantomData<*const ()>,
}

impl Attachment {
    /// Begins an attachment of `queue`: to the thread's default main context, with [`PRIORITY`] and
    /// [`BUDGET`], unless told otherwise.
    pub fn builder(queue: &Queue) -> Builder<'_> {
        Builder {
            queue,
            context: None,
            priority: PRIORITY.into(),
            idle_priority: Priority::DEFAULT_IDLE,
            budget: BUDGET,
            on_error: None,
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.source.destroy();
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("source", &self.source).finish()
    }
}

type OnError = Box<dyn FnOnce(tine::Error)>;

/// An attachment to be. Made by [`Attachment::builder`].
#[must_use = "nothing is attached before `attach` is called"]
pub struct Builder<'a> {
    queue: &'a Queue,
    context: Option<MainContext>,
    priority: Priority,
    idle_priority: Priority,
    budget: Duration,
    on_error: Option<OnError>,
}

impl Builder<'_> {
    /// The main context that polls the queue. It must be run by the queue's thread.
    pub fn context(mut self, context: &MainContext) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// When the callbacks run, among the other sources of the context.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// When idle watchers run; as GLib's idle sources do, unless told otherwise.
    pub fn idle_priority(mut self, priority: Priority) -> Self {
        self.idle_priority = priority;
        self
    }

    /// How long a turn of callbacks may take. One callback at least runs in each.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Called at most once, when the queue is broken and the attachment has ended.
    pub fn on_error(mut self, callback: impl FnOnce(tine::Error) + 'static) -> Self {
        self.on_error = Some(Box::new(callback));
        self
    }

    /// Attaches the queue.
    pub fn attach(self) -> Attachment {
        let context = self.context.unwrap_or_else(MainContext::ref_thread_default);
        let fd = self.queue.as_fd().as_raw_fd();
        let mut turn = ThreadGuard::new(Turn {
            queue: self.queue.downgrade(),
            budget: self.budget,
            on_error: self.on_error,
        });
        let run = move |_, _| turn.get_mut().run();
        let source =
            glib_unix::fd_source_new(fd, IOCondition::IN, Some("tine queue"), self.priority, run);
        source.attach(Some(&context));
        let told = self.queue.attach("glib");
        let idle = IdleTurns {
            context,
            priority: self.idle_priority,
            queue: self.queue.downgrade(),
            budget: self.budget,
            source: Cell::default(),
        };
        told.serve_idle(move |wanted| idle.want(wanted));
        Attachment { source, _told: told, _not_send: PhantomData }
    }
}

impl fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("queue", self.queue)
            .field("context", &self.context)
            .field("priority", &self.priority)
            .field("idle_priority", &self.idle_priority)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// What the source does when the descriptor is readable.
struct Turn {
    queue: WeakQueue,
    budget: Duration,
    on_error: Option<OnError>,
}

impl Turn {
    fn run(&mut self) -> ControlFlow {
        // Without its queue the descriptor is closed, and its number may be another file's by now.
        let Some(queue) = self.queue.upgrade() else { return ControlFlow::Break };
        match queue.dispatch_for(self.budget) {
            Ok(_) => ControlFlow::Continue,
            // A main loop inside a callback of a turn that GLib has not begun, so that it does not know
            // of it. The callbacks wait for the turn's end.
            Err(error) if error.kind() == ErrorKind::Misuse => ControlFlow::Continue,
            Err(error) => {
                match self.on_error.take() {
                    Some(callback) => callback(error),
                    None => glib::g_critical!("tine", "the queue is detached: {error}"),
                }
                ControlFlow::Break
            }
        }
    }
}

/// What runs idle watchers.
struct IdleTurns {
    context: MainContext,
    priority: Priority,
    queue: WeakQueue,
    budget: Duration,
    /// There is one while there are idle watchers.
    source: Cell<Option<Source>>,
}

impl IdleTurns {
    fn want(&self, wanted: bool) {
        let source = wanted.then(|| self.begin());
        if let Some(former) = self.source.replace(source) {
            former.destroy();
        }
    }

    fn begin(&self) -> Source {
        let queue = ThreadGuard::new(self.queue.clone());
        let budget = self.budget;
        let run = move || {
            let ran = queue.get_ref().upgrade().map(|queue| queue.dispatch_idle_for(budget));
            // What is refused inside a callback is asked for again after it; any other error is the
            // queue's own, and its next turn tells it.
            if let Some(Ok(_)) = ran { ControlFlow::Continue } else { ControlFlow::Break }
        };
        let source = glib::idle_source_new(Some("tine idle"), self.priority, run);
        source.attach(Some(&self.context));
        source
    }
}

impl Drop for IdleTurns {
    fn drop(&mut self) {
        self.want(false);
    }
}
