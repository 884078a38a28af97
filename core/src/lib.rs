//! Worker processes forked from a clean template, told through one descriptor.

mod entry;
mod error;
mod process;
mod queue;
mod sandbox;
mod serve;
mod sys;
mod wire;

pub use entry::{Entry, Function, Outcome};
pub use error::{Error, ErrorKind, Result};
pub use process::{
    Cause, Command, Exit, Process, Report, Running, Spawned, Stdio, Template, template,
};
pub use queue::{Closed, Interest, Io, Poster, Queue, Readiness, Timer, WeakQueue, queue};
pub use sandbox::{Hold, Posture, Rung, Sandbox};
pub use serve::{Item, Items, Worker};

/// What the macros expand to.
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::{ENTRIES, Ending, FUNCTIONS};
    pub use crate::sys::plugin::{RawPlugin, table};
    pub use linkme;
}
