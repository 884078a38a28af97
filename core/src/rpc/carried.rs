//! Flow 2, typed: descriptors and shared memory inside values.
//!
//! serde knows octets only. So while a value is encoded, what carries a descriptor notes it here and writes
//! its place in the list; while one is decoded, it takes the descriptor at that place.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, ErrorKind, Result, Shared};

/// A descriptor inside a message.
///
/// Sent, it stays open here until it has gone out; received, it is close-on-exec and nobody else's.
#[derive(Debug, Clone)]
pub struct Fd(Arc<OwnedFd>);

impl Fd {
    /// Takes the descriptor out, or makes a copy if it is shared still.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: no descriptor is left for a copy.
    pub fn into_owned(self) -> Result<OwnedFd> {
        Arc::try_unwrap(self.0).or_else(|shared| {
            shared.try_clone().map_err(|error| Error::system("copy a descriptor", error))
        })
    }
}

impl<F: Into<OwnedFd>> From<F> for Fd {
    fn from(fd: F) -> Fd {
        Fd(Arc::new(fd.into()))
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a value has carried, and why it could not be encoded if that was told here.
#[derive(Default)]
pub(super) struct Collected {
    pub fds: Vec<Arc<OwnedFd>>,
    pub why: Option<Error>,
}

#[derive(Default)]
enum Carrying {
    /// No message is being made or read.
    #[default]
    Nothing,
    Sending(Collected),
    Receiving {
        fds: Vec<Option<OwnedFd>>,
        why: Option<Error>,
    },
}

thread_local! {
    static CARRYING: RefCell<Carrying> = const { RefCell::new(Carrying::Nothing) };
}

/// Puts back what was there before, also when a value's own code panics.
struct Before(Carrying);

impl Before {
    fn set(now: Carrying) -> Before {
        Before(CARRYING.replace(now))
    }

    fn put_back(mut self) -> Carrying {
        CARRYING.replace(std::mem::take(&mut self.0))
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(CARRYING.replace(std::mem::take(&mut self.0)));
        }
    }
}

/// Runs what encodes a value; gives also the descriptors that the value carries.
pub(super) fn collect<T>(encode: impl FnOnce() -> T) -> (T, Collected) {
    let before = Before::set(Carrying::Sending(Collected::default()));
    let encoded = encode();
    match before.put_back() {
        Carrying::Sending(collected) => (encoded, collected),
        _ => (encoded, Collected::default()),
    }
}

/// Runs what decodes a value that carries these descriptors; gives also why it failed if that was told here.
///
/// What nobody took is closed.
pub(super) fn provide<T>(fds: Vec<OwnedFd>, decode: impl FnOnce() -> T) -> (T, Option<Error>) {
    let fds = fds.into_iter().map(Some).collect();
    let before = Before::set(Carrying::Receiving { fds, why: None });
    let decoded = decode();
    match before.put_back() {
        Carrying::Receiving { why, .. } => (decoded, why),
        _ => (decoded, None),
    }
}

fn send<S: Serializer>(fd: Result<Arc<OwnedFd>>, serializer: S) -> Result<S::Ok, S::Error> {
    let index = CARRYING.with_borrow_mut(|carrying| match (carrying, fd) {
        (Carrying::Sending(collected), Ok(fd)) => {
            collected.fds.push(fd);
            Ok(collected.fds.len() as u32 - 1)
        }
        (Carrying::Sending(collected), Err(error)) => {
            let text = error.to_string();
            collected.why = Some(error);
            Err(text)
        }
        _ => Err("a descriptor travels in a message of tine::rpc only".into()),
    });
    match index {
        Ok(index) => serializer.serialize_u32(index),
        Err(text) => Err(S::Error::custom(text)),
    }
}

fn receive<E: serde::de::Error>(index: u32) -> Result<OwnedFd, E> {
    CARRYING.with_borrow_mut(|carrying| match carrying {
        Carrying::Receiving { fds, .. } => fds
            .get_mut(index as usize)
            .and_then(Option::take)
            .ok_or_else(|| E::custom(format!("descriptor {index} did not come with the message"))),
        _ => Err(E::custom("a descriptor travels in a message of tine::rpc only")),
    })
}

/// Notes why decoding failed: an error that says more than the format's does.
fn because<E: serde::de::Error>(error: Error) -> E {
    let text = error.to_string();
    CARRYING.with_borrow_mut(|carrying| {
        if let Carrying::Receiving { why, .. } = carrying {
            *why = Some(error);
        }
    });
    E::custom(text)
}

impl Serialize for Fd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(Ok(Arc::clone(&self.0)), serializer)
    }
}

impl<'de> Deserialize<'de> for Fd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fd, D::Error> {
        let index = u32::deserialize(deserializer)?;
        Ok(Fd::from(receive::<D::Error>(index)?))
    }
}

/// Its memory travels as a descriptor. One that came in a message is a mapping without one, and is not sent
/// again: what is to be passed on is received as an [`Fd`].
impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fd = self.memfd().ok_or_else(|| {
            let message = "shared memory that was received has no descriptor to be sent";
            Error::new(ErrorKind::Misuse, message)
        });
        send(fd, serializer)
    }
}

/// Mapped as [`Shared::from_fd`] does, with its check of the seals.
impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shared, D::Error> {
        let index = u32::deserialize(deserializer)?;
        Shared::from_fd(receive::<D::Error>(index)?).map_err(because)
    }
}
