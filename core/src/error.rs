//! What went wrong, on either flow: one opaque error with a kind, a sentence and its source.

use std::ffi::OsStr;
use std::{error, fmt, io};

/// A `Result` whose error is an [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of trouble an [`Error`] is: what a program may want to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The kernel refused a call. [`Error::io`] has its error.
    System,
    /// It is too late to fork this program: a thread, a descriptor or a toolkit is in the way.
    TooLate,
    /// The process cannot come to be, or is gone before it had its orders.
    NoProcess,
    /// The template is gone.
    NoTemplate,
    /// No entry or function of that name is registered there.
    NotFound,
    /// What a function in another process answered instead of success.
    Failed,
    /// The peer sent what the protocol does not allow.
    Protocol,
    /// Something was asked of a thing that cannot do it, now or ever.
    Misuse,
    /// The thing belongs to another process: it was inherited through a fork.
    WrongProcess,
    /// A rung of the sandbox holds less than was required.
    Sandbox,
    /// What was waited for can no longer come.
    Cancelled,
    /// It took longer than it may.
    Deadline,
    /// Too many workers died of it.
    Poison,
    /// Whatever the user's own code meant by it: see [`Error::other`].
    Other,
}

/// An error of tine: lower case, one sentence, naming the thing.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), source: None }
    }

    /// An error of the kernel, with what was tried: `cannot {what}`.
    pub(crate) fn system(what: impl fmt::Display, source: impl Into<io::Error>) -> Self {
        Error {
            kind: ErrorKind::System,
            message: format!("cannot {what}"),
            source: Some(Box::new(source.into())),
        }
    }

    /// An error with what brought it about.
    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl error::Error + Send + Sync + 'static,
    ) -> Self {
        Error { kind, message: message.into(), source: Some(Box::new(source)) }
    }

    /// The same error once more, for another who hears of it. Of what brought it about the kernel's error is kept, and
    /// else the text.
    pub(crate) fn again(error: &Error) -> Self {
        match error.io().and_then(io::Error::raw_os_error) {
            Some(errno) => {
                let source = io::Error::from_raw_os_error(errno);
                Error::caused(error.kind, error.message.clone(), source)
            }
            None => Error::new(error.kind, error.to_string()),
        }
    }

    /// Wraps an error of the program's own, for entries and callbacks that return [`Result`].
    pub fn other(source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        Error { kind: ErrorKind::Other, message: source.to_string(), source: Some(source) }
    }

    /// Tells what kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Gives the kernel's error, where there is one in the chain of sources.
    pub fn io(&self) -> Option<&io::Error> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }
}

/// A path or a name as a message has it: one that is empty is to be seen, and one that is long leaves room for the rest.
pub(crate) fn named(name: impl AsRef<OsStr>) -> String {
    let name = name.as_ref().to_string_lossy();
    match name.len() {
        0 => "\"\"".into(),
        len if len > NAME_MAX => {
            let begin = &name[..name.floor_char_boundary(NAME_MAX / 2)];
            let end = &name[name.ceil_char_boundary(len - NAME_MAX / 2)..];
            format!("{begin}…{end}")
        }
        _ => name.into_owned(),
    }
}

/// Octets of a name that stand in a message.
const NAME_MAX: usize = 1024;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            // A wrapped error is its own message.
            Some(source) => {
                let source = source.to_string();
                if source == self.message { Ok(()) } else { write!(f, ": {source}") }
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Error {
            kind: ErrorKind::System,
            message: source.to_string(),
            source: Some(Box::new(source)),
        }
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(source: rustix::io::Errno) -> Self {
        io::Error::from(source).into()
    }
}
