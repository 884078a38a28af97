//! Flow 2, the far end: what an entry is given.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::items::{Item, Items};
use crate::Result;

/// What an entry is given: its socket, and the descriptors and arguments that the app sent.
#[derive(Debug)]
pub struct Worker {
    socket: UnixStream,
    items: Items,
    entry: &'static str,
}

impl Worker {
    pub(super) fn new(socket: UnixStream, items: Items) -> Self {
        Worker { socket, items, entry: "" }
    }

    pub(crate) fn entering(self, entry: &'static str) -> Self {
        Worker { entry, ..self }
    }

    /// The name of the entry that this is given to.
    pub fn entry(&self) -> &'static str {
        self.entry
    }

    /// The socket whose other end `run`'s callback was given: a blocking stream, close-on-exec.
    ///
    /// It ends when the app closes its end.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Takes the socket itself, and drops what was sent and not yet taken.
    pub fn into_socket(self) -> UnixStream {
        self.socket
    }

    /// Takes the next descriptor, in the order sent, whatever arguments stand between.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) when none is left.
    pub fn take_fd(&mut self) -> Result<OwnedFd> {
        self.items.take_fd()
    }

    /// Takes the next argument, in the order sent, whatever descriptors stand between.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) when none is left.
    pub fn take_arg(&mut self) -> Result<Vec<u8>> {
        self.items.take_arg()
    }

    /// Takes the next thing sent, descriptor or argument.
    pub fn take(&mut self) -> Option<Item> {
        self.items.take()
    }

    /// Takes all that is left, in the order sent.
    pub fn take_all(&mut self) -> impl Iterator<Item = Item> + use<> {
        self.items.take_all()
    }
}
