//! Worker processes forked from a clean template, told through one descriptor.

mod error;

pub use error::{Error, ErrorKind, Result};
