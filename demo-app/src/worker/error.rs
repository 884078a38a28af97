//! Flow 2, the worker's side: why a file gave no picture, as one short sentence for its tile.

use std::{error, fmt, io};

use super::decode::{MEMORY_LIMIT, PIXEL_LIMIT};

/// Why a file could not be shown. Its `Display` is one sentence, without the file's name.
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// The descriptor is no regular file: a directory, a pipe, a device.
    NotAFile,
    /// The file has no content at all.
    Empty,
    /// No known format begins like this.
    NotAPicture,
    /// A picture, but of a format for which there is no decoder here.
    Unsupported(String),
    /// The file ends before its picture does; the format's name.
    Truncated(&'static str),
    /// More pixels than [`PIXEL_LIMIT`]; width and height as the file states them.
    TooLarge(u64, u64),
    /// Decoding would take more memory than there is for a picture; octets.
    TooHeavy(u64),
    /// The decoder gave up; the format's name and the decoder's words.
    Corrupt(&'static str, String),
    /// Reading failed.
    Io(io::Error),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Empty => f.write_str("not a picture: the file is empty"),
            Self::NotAPicture => f.write_str("not a picture: unknown format"),
            Self::Unsupported(what) => write!(f, "no decoder: {what}"),
            Self::Truncated(format) => write!(f, "truncated {format}"),
            Self::TooLarge(width, height) => write!(
                f,
                "claims {width}×{height} pixels, more than the limit of {} million",
                PIXEL_LIMIT / 1_000_000
            ),
            Self::TooHeavy(octets) => write!(
                f,
                "would take {} MiB of memory, more than the limit of {} MiB",
                octets >> 20,
                MEMORY_LIMIT >> 20
            ),
            Self::Corrupt(format, words) => write!(f, "corrupt {format}: {words}"),
            Self::Io(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for DecodeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
