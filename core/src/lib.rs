//! Worker processes forked from a clean template, told through one descriptor.

mod error;
mod queue;
mod sys;

pub use error::{Error, ErrorKind, Result};
pub use queue::{Closed, Interest, Io, Poster, Queue, Readiness, Timer, queue};
