//! Flow 2, typed: the messages between an app and its worker, as octets. No descriptor, no system call.
//!
//! Every message has a header of [`HEADER`] octets, little-endian, and a body:
//!
//! | octets | field |
//! |---|---|
//! | 0 | kind, see below |
//! | 1 | 0 |
//! | 2–3 | descriptors that travel with its first octet |
//! | 4–7 | length of the body |
//! | 8–15 | id of the call that it is about; in `Hello` [`MAGIC`], else 0 |
//!
//! | kind | message | from → to | body |
//! |---|---|---|---|
//! | 1 | `Hello` | both, first | see [`Hello`] |
//! | 2 | `Request` | app → worker | the request |
//! | 3 | `Cancel` | app → worker | – |
//! | 16 | `Reply` | worker → app | the reply |
//! | 17 | `Failed` | worker → app | text |
//! | 18 | `Panicked` | worker → app | place, 0, message |
//! | 19 | `Part` | worker → app | a part of a reply that has more to come |
//! | 20 | `Event` | worker → app | the event |
//! | 21 | `Retire` | worker → app | – |
//!
//! Requests, replies, parts and events are in the [`Format`] that the app's `Hello` names.

use super::Format;
use crate::wire::FDS_MAX;
use crate::{Error, ErrorKind, Result};

/// Octets of a message's header.
pub(super) const HEADER: usize = 16;
/// In place of the id of a `Hello`: what this is, and the version of the protocol in the last octet.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"tinerpc\x01");
/// The longest body of a `Hello`.
pub(super) const HELLO_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Request = 2,
    Cancel = 3,
    Reply = 16,
    Failed = 17,
    Panicked = 18,
    Part = 19,
    Event = 20,
    Retire = 21,
}

impl Kind {
    fn from_octet(octet: u8) -> Option<Kind> {
        use Kind::*;
        [Hello, Request, Cancel, Reply, Failed, Panicked, Part, Event, Retire]
            .into_iter()
            .find(|kind| *kind as u8 == octet)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    pub fds: usize,
    pub len: usize,
    pub id: u64,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        octets[0] = self.kind as u8;
        octets[2..4].copy_from_slice(&(self.fds as u16).to_le_bytes());
        octets[4..8].copy_from_slice(&(self.len as u32).to_le_bytes());
        octets[8..].copy_from_slice(&self.id.to_le_bytes());
        octets
    }

    /// Tells whether the other side takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`]: too many octets or descriptors.
    pub fn may_travel(&self, limit: usize) -> Result<()> {
        let message = if self.fds > FDS_MAX {
            format!("a message of {} descriptors; {FDS_MAX} can travel", self.fds)
        } else if self.len > limit {
            format!("a message of {} octets; the limit is {limit}", self.len)
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Misuse, message))
    }

    /// Understands a header whose body may have `limit` octets.
    pub fn decode(octets: &[u8; HEADER], limit: usize) -> Result<Header> {
        let [kind, zero, fds_low, fds_high, len @ .., _, _, _, _, _, _, _, _] = *octets;
        let [.., i0, i1, i2, i3, i4, i5, i6, i7] = *octets;
        let id = u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
        let fds = usize::from(u16::from_le_bytes([fds_low, fds_high]));
        let len = u32::from_le_bytes(len) as usize;
        let garbage = || protocol(format!("what was sent is no message: {octets:02x?}"));
        let kind = Kind::from_octet(kind).filter(|_| zero == 0).ok_or_else(garbage)?;
        if fds > FDS_MAX {
            return Err(protocol(format!("a message of {fds} descriptors; {FDS_MAX} can travel")));
        }
        let limit = if kind == Kind::Hello { HELLO_MAX } else { limit };
        if len > limit {
            return Err(protocol(format!("a message of {len} octets; the limit is {limit}")));
        }
        Ok(Header { kind, fds, len, id })
    }
}

/// What both sides say first: which entry, which protocol (in the id) and which build they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub format: Format,
    pub entry: String,
    pub build: String,
}

impl Hello {
    /// The whole message. Names that are too long are cut, at both sides alike.
    pub fn encode(&self) -> Vec<u8> {
        let (entry, build) = (cut(&self.entry), cut(&self.build));
        let len = 2 + entry.len() + build.len();
        let header = Header { kind: Kind::Hello, fds: 0, len, id: MAGIC };
        let mut octets = header.encode().to_vec();
        octets.extend([self.format as u8]);
        octets.extend(entry.as_bytes());
        octets.push(0);
        octets.extend(build.as_bytes());
        octets
    }

    pub fn decode(header: Header, body: &[u8]) -> Result<Hello> {
        let magic = header.id.to_le_bytes();
        let wanted = MAGIC.to_le_bytes();
        if header.kind != Kind::Hello || magic[..7] != wanted[..7] {
            return Err(protocol(format!("the first message is no greeting: {header:?}")));
        }
        if magic[7] != wanted[7] {
            let message = format!("protocol {} there, {} here", magic[7], wanted[7]);
            return Err(protocol(message));
        }
        let cut_off = || protocol("a greeting is cut off".into());
        let (format, names) = body.split_first().ok_or_else(cut_off)?;
        let names = std::str::from_utf8(names).map_err(|_| cut_off())?;
        let (entry, build) = names.split_once('\0').ok_or_else(cut_off)?;
        let format = Format::from_octet(*format)
            .ok_or_else(|| protocol(format!("there is no format {format}")))?;
        Ok(Hello { format, entry: entry.into(), build: build.into() })
    }

    /// Tells whether the other side is this one's counterpart.
    pub fn meets(&self, theirs: &Hello) -> Result<()> {
        let same = |one: &str, other: &str| cut(one) == cut(other);
        if same(&self.entry, &theirs.entry) && same(&self.build, &theirs.build) {
            return Ok(());
        }
        let message = format!(
            "entry {} of build {:?} there, entry {} of build {:?} here",
            theirs.entry, theirs.build, self.entry, self.build
        );
        Err(protocol(message))
    }
}

/// As much of a name as a greeting has room for.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(HELLO_MAX / 2 - 2)]
}

pub(super) fn protocol(message: String) -> Error {
    Error::new(ErrorKind::Protocol, message)
}
