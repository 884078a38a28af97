//! Between the two flows: what can be wrong with what a worker sends.

use std::{error, fmt, io};

/// The worker broke the rules, or is gone. Nothing more is to be expected from it; whatever it was
/// asked and has not answered will not be answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The socket has ended between two answers: the worker is gone.
    Closed,
    /// The socket has ended within an answer.
    Torn,
    /// A field has a value that it cannot have; the field's name.
    Malformed(&'static str),
    /// An answer that was not asked for, or not next in line; the job that it names.
    Unasked(u64),
    /// So many descriptors came with one answer, and not the one that belongs to it or none.
    Descriptors(usize),
    /// The memory is not what it must be; what is wrong with it.
    Memory(&'static str),
    /// The socket itself failed.
    Io(io::Error),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the worker is gone"),
            Self::Torn => f.write_str("the worker is gone in the middle of an answer"),
            Self::Malformed(field) => write!(f, "the worker's answer has an impossible {field}"),
            Self::Unasked(job) => write!(f, "the worker answers job {job}, which is not its turn"),
            Self::Descriptors(count) => {
                write!(f, "{count} descriptors came with an answer of the worker")
            }
            Self::Memory(what) => write!(f, "the worker's memory {what}"),
            Self::Io(error) => write!(f, "the worker's socket: {error}"),
        }
    }
}

impl error::Error for ProtocolError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ProtocolError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
