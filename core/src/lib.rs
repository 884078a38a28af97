//! Worker processes forked from a clean template, told through one descriptor.

mod entry;
mod error;
mod serve;
mod sys;
mod wire;

pub use entry::{Entry, Outcome};
pub use serve::{Item, Worker};
pub use error::{Error, ErrorKind, Result};

/// What [`entry!`] expands to.
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::{ENTRIES, Ending};
    pub use linkme;
}
