//! Flow 2, typed: why a call has no answer.

use std::sync::Arc;
use std::{error, fmt};

use crate::{ErrorKind, Exit};

/// Why a call has no answer.
///
/// The first two come from the handler, and the worker lives on. Their text is as true as its code is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The handler returned an error, with this text.
    Failed(String),
    /// The handler panicked.
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`, or nothing when the program has a panic hook of its own.
        place: String,
    },
    /// The worker ended before it answered; so it may have done a part of the work.
    Ended(Box<Exit>),
    /// The call was cancelled.
    Cancelled,
    /// This request could not be sent, or this answer not be taken in; other calls are not touched.
    ///
    /// [`ErrorKind::Misuse`]: too many octets wait to be sent already, or it has more octets or descriptors
    /// than a message takes, or the program's code that decodes the answer has panicked.
    /// [`ErrorKind::System`]: descriptors or address space run out.
    Refused(Arc<crate::Error>),
    /// The channel is lost, and every call with it: the worker could not come to be, sent what the protocol
    /// does not allow, or is of another build.
    Lost(Arc<crate::Error>),
}

impl Error {
    pub(super) fn refused(error: crate::Error) -> Error {
        Error::Refused(Arc::new(error))
    }

    pub(super) fn lost(error: crate::Error) -> Error {
        Error::Lost(Arc::new(error))
    }

    /// Tells whether the worker has answered, if only with an error, and lives on.
    pub fn is_answer(&self) -> bool {
        matches!(self, Error::Failed(_) | Error::Panicked { .. })
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Error::Failed(_) | Error::Panicked { .. } => ErrorKind::Failed,
            Error::Ended(_) => ErrorKind::NoProcess,
            Error::Cancelled => ErrorKind::Cancelled,
            Error::Refused(error) | Error::Lost(error) => error.kind(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(text) => f.write_str(text),
            Error::Panicked { message, place } if place.is_empty() => {
                write!(f, "the handler panicked: {message}")
            }
            Error::Panicked { message, place } => {
                write!(f, "the handler panicked at {place}: {message}")
            }
            Error::Ended(exit) => exit.fmt(f),
            Error::Cancelled => f.write_str("the call was cancelled"),
            Error::Refused(error) | Error::Lost(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Refused(error) | Error::Lost(error) => Some(&**error),
            _ => None,
        }
    }
}

/// With the same text, and the [`Error`] as its source.
impl From<Error> for crate::Error {
    fn from(error: Error) -> crate::Error {
        crate::Error::caused(error.kind(), error.to_string(), error)
    }
}
