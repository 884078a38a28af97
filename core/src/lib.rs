//! Worker processes for desktop programs: forked from a clean template in a fraction of a millisecond,
//! whatever the program's size, and told of through **one descriptor and one callback queue** that any
//! event loop can watch.
//!
//! A program that shows windows should not fork itself: the copy has its whole heap, its display
//! connection and the locks of threads that it lacks. So tine forks early, in the first line of `main`,
//! keeps that process clean as a *template*, and forks *workers* from it when they are wanted. Everything
//! the program hears of them, their sockets, answers and ends, comes in callbacks that run when it calls
//! [`Queue::dispatch`], which the host loop does whenever the queue's descriptor is readable.
//!
//! # A GTK program
//!
//! ```ignore
//! fn main() -> glib::ExitCode {
//!     let template = tine::Template::early().expect("first line of main"); // never returns in the template
//!     let app = gtk::Application::builder().application_id("org.example.App").build();
//!     app.connect_activate(move |app| {
//!         tine_glib::attach(&tine::queue());                   // this thread's queue, on its main context
//!         let window = build_window(app);
//!         template.fork()                                       // a process, forked from the template
//!             .send_fd(picture)                                 // it gets this descriptor
//!             .send_arg("256")                                  // and these octets
//!             .run(THUMBNAIL, move |socket| window.watch(socket)); // the callback runs on the main loop
//!     });
//!     app.run()
//! }
//! ```
//!
//! # What a worker does
//!
//! ```
//! // worker.rs: imports no toolkit
//! tine::entry!(pub THUMBNAIL = thumbnail);
//!
//! fn thumbnail(mut worker: tine::Worker) -> tine::Result<()> {
//!     let (picture, size) = (worker.take_fd()?, worker.take_arg()?);
//!     // …decode; answer on worker.socket(), a blocking UnixStream
//! #   let _ = (picture, size);
//!     Ok(())
//! }
//! ```
//!
//! # Any loop: two calls
//!
//! ```
//! use rustix::event::{PollFd, PollFlags, poll};
//!
//! let queue = tine::queue();
//! queue.post(|| println!("called by dispatch, never by post"));
//! poll(&mut [PollFd::new(&queue, PollFlags::IN)], None)?; // and whatever else the program waits for
//! queue.dispatch()?;                                       // or dispatch_for(budget)
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program without a loop waits with [`Queue::turn`] and [`Queue::run_until`]; a library uses
//! [`template()`] and [`queue()`] and names no loop at all. `tine-glib`, `tine-calloop`, `tine-winit` and
//! `tine-async-io` are the two calls for those loops.
//!
//! # Where to go on
//!
//! - [`Template`]: forked [early](Template::early) or [here](Template::here), executed from
//!   [this](Template::exec) or [another](Template::program) program; what happens when one dies.
//! - [`Process`]: descriptors, arguments, code to run before, copies; [`Process::run`].
//! - [`rpc`]: typed requests, replies and events over a worker's socket, with descriptors and shared memory
//!   inside of them.
//! - [`Pool`]: many such workers and one line of work, in which what is seen comes first; jobs are cancelled,
//!   have deadlines, and are settled once whatever dies.
//! - [`Running`] and [`Exit`]: the account of each worker's end.
//! - [`Command`]: external programs, and processes on other machines.
//! - [`Queue`]: watchers of descriptors, time, signals, children and idleness; posts from other threads;
//!   [`Completion`].
//! - [`Sandbox`]: what a worker may do.
//! - [`integration`]: the queue on a loop of one's own.
//! - [`overview`]: what is under way, and where in the source it was made; records for `tracing`, or on
//!   standard error: [`environment`].
//! - `testing`, with the feature of that name: an audit of what processes inherit, and faults, for a program's own tests.
//! - [`problems`]: what users meet, why it is so, and what helps.
//! - [`performance`]: what things cost, and what decides it.
//! - [`design`]: how it is built, and why so.
//! - [`anyevent`]: what is called what, for those who come from there.
//!
//! # What it is not
//!
//! Not an async runtime, not a way to share memory between threads, and not for systems other than Linux
//! (5.11 or later). It prints nothing unless it is [told to](environment), starts no thread, installs no
//! signal handler unless a program watches a signal, and never waits for a child that is not its own. Its
//! only globals are each thread's queue and the default template.

mod entry;
mod error;
#[cfg_attr(not(feature = "testing"), path = "no_fault.rs")]
mod fault;
mod fuzz;
mod log;
pub mod pool;
mod process;
mod queue;
pub mod rpc;
mod sandbox;
mod serve;
mod shared;
mod socket;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
mod wire;

pub use entry::{Entry, Function, Outcome};
pub use error::{Error, ErrorKind, Result};
pub use pool::Pool;
pub use process::{
    Cause, Command, Exit, Phase, Process, Report, Running, Spawned, Stdio, Template, Underway,
    call, overview, template,
};
pub use queue::{
    Attachment, Child, Closed, Completion, Idle, Interest, Io, Poster, Queue, Readiness, Signal,
    Timer, Watching, WeakQueue, What, queue,
};
pub use sandbox::{Hold, Posture, Rung, Sandbox};
pub use serve::{Item, Items, Worker};
pub use shared::{Shared, SharedMut};
pub use socket::{receive_fds, send_fds};

#[doc = include_str!("../docs/design.md")]
pub mod design {}

#[doc = include_str!("../docs/anyevent.md")]
pub mod anyevent {}

#[doc = include_str!("../docs/problems.md")]
pub mod problems {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/integration.md")]
pub mod integration {}

#[doc = include_str!("../docs/environment.md")]
pub mod environment {}

/// What README shows, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the macros expand to.
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::{ENTRIES, Ending, FUNCTIONS};
    pub use crate::fuzz::fuzz_wire;
    pub use crate::rpc::fuzz::fuzz_rpc;
    pub use crate::sys::plugin::{RawPlugin, table};
    pub use linkme;
}
