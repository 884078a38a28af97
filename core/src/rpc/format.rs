//! Flow 2, typed: values as octets and descriptors, and back.

use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::carried;
use super::frame::protocol;
use crate::{Error, ErrorKind, Result};
use std::os::fd::OwnedFd;

/// How values become octets. The app chooses; its worker follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum Format {
    /// postcard: compact and quick; fields are told apart by their order. So a type must not leave any out
    /// (`skip_serializing_if`), nor need to see what comes to know what it is (`untagged`, `flatten`).
    #[default]
    Postcard = 1,
    /// JSON: readable in a trace, and forgiving about fields that come and go. It has no NaN and no infinity:
    /// a number that may be one is an `Option`, or no answer is understood.
    Json = 2,
}

impl Format {
    pub(super) fn from_octet(octet: u8) -> Option<Format> {
        [Format::Postcard, Format::Json].into_iter().find(|format| *format as u8 == octet)
    }

    /// Appends a value; gives the descriptors that it carries.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`]: the format cannot express the value, or the value cannot be carried.
    pub(super) fn encode<T: Serialize + ?Sized>(
        self,
        value: &T,
        octets: &mut Vec<u8>,
    ) -> Result<Vec<Arc<OwnedFd>>> {
        let (encoded, fds) = carried::collect(|| match self {
            Format::Postcard => postcard::serialize_with_flavor(value, Appending(octets))
                .map_err(|error| error.to_string()),
            Format::Json => serde_json::to_writer(octets, value).map_err(|error| error.to_string()),
        });
        encoded.map_err(|why| {
            let what = std::any::type_name::<T>();
            let why = fds.why.map_or(why, |why| why.to_string());
            Error::new(ErrorKind::Misuse, format!("cannot send {what}: {why}"))
        })?;
        Ok(fds.fds)
    }

    /// Makes a value of all the octets and of the descriptors that came with them.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`]: they are not a `T`. [`ErrorKind::System`]: address space runs out.
    pub(super) fn decode<T: DeserializeOwned>(self, octets: &[u8], fds: Vec<OwnedFd>) -> Result<T> {
        let (decoded, why) = carried::provide(fds, || match self {
            Format::Postcard => match postcard::take_from_bytes(octets) {
                Ok((value, [])) => Ok(value),
                Ok((_, rest)) => Err(format!("{} octets are left over", rest.len())),
                Err(error) => Err(error.to_string()),
            },
            Format::Json => serde_json::from_slice(octets).map_err(|error| error.to_string()),
        });
        decoded.map_err(|what| {
            let name = std::any::type_name::<T>();
            why.unwrap_or_else(|| protocol(format!("what was sent is no {name}: {what}")))
        })
    }
}

/// Where postcard writes.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(octets);
        Ok(())
    }

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.0.push(octet);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
