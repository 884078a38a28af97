//! Worker processes forked from a clean template, told through one descriptor.

mod entry;
mod error;
mod process;
mod queue;
mod serve;
mod sys;
mod wire;

pub use entry::{Entry, Outcome};
pub use error::{Error, ErrorKind, Result};
pub use process::{Cause, Exit, Process, Running, Template};
pub use queue::{Closed, Interest, Io, Poster, Queue, Readiness, Timer, WeakQueue, queue};
pub use serve::{Item, Worker};

/// What [`entry!`] expands to.
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::{ENTRIES, Ending};
    pub use linkme;
}
