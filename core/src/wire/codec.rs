//! Flow 2: the fields of a message's body, written and read without I/O.

use super::{BODY_MAX, FDS_MAX, HEADER, LONG, Room, VERSION};
use crate::{Error, ErrorKind, Result};

/// The error of every refusal in this module: what was wrong with the octets.
pub(super) fn garbage(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Protocol, format!("message on a command socket: {what}"))
}

/// What stands in front of every body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub code: u8,
    /// The body lies in the file that is the last descriptor.
    pub long: bool,
    pub fds: u16,
    pub len: u32,
    pub id: u64,
}

impl Header {
    /// Reads a header, refusing another version and lengths that no message has.
    pub fn decode(octets: &[u8; HEADER]) -> Result<Header> {
        let mut fields = Fields::new(&octets[..]);
        let version = fields.u8()?;
        if version != VERSION {
            return Err(garbage(format_args!("version {version} instead of {VERSION}")));
        }
        let code = fields.u8()?;
        let header = Header {
            code: code & !LONG,
            long: code & LONG != 0,
            fds: fields.u16()?,
            len: fields.u32()?,
            id: fields.u64()?,
        };
        if header.inline() > BODY_MAX || usize::from(header.fds) > FDS_MAX {
            return Err(garbage(format_args!("{} octets, {} descriptors", header.len, header.fds)));
        }
        Ok(header)
    }

    /// Octets of the body that follow on the socket.
    pub fn inline(&self) -> usize {
        if self.long { 0 } else { self.len as usize }
    }

    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[0] = VERSION;
        out[1] = self.code | if self.long { LONG } else { 0 };
        out[2..4].copy_from_slice(&self.fds.to_le_bytes());
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..].copy_from_slice(&self.id.to_le_bytes());
        out
    }
}

/// Appends fields to a body.
pub(super) struct Body<'a>(pub &'a mut Room);

impl Body<'_> {
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.rest(&[value])
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.rest(&value.to_le_bytes())
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.rest(&value.to_le_bytes())
    }

    /// Octets up to the body's end, without a length of their own.
    pub fn rest(&mut self, octets: &[u8]) -> &mut Self {
        self.0.put(octets);
        self
    }

    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.u32(octets.len() as u32).rest(octets)
    }
}

/// Takes fields off the front of a body.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Fields { rest: body }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| garbage("too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// One octet that is 0 or 1: each message has one encoding only.
    pub fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(garbage(format_args!("neither 0 nor 1 but {other}"))),
        }
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn octets(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()? as usize;
        let (octets, rest) = self.rest.split_at_checked(len).ok_or_else(|| garbage("too short"))?;
        self.rest = rest;
        Ok(octets)
    }

    /// Refuses what is left over.
    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(garbage("too long")) }
    }
}
