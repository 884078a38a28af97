//! Flow 2, the far end: what an entry is given.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::{Error, ErrorKind, Result};

/// What an entry is given: its socket, and the descriptors and arguments that the app sent.
#[derive(Debug)]
pub struct Worker {
    socket: UnixStream,
    items: VecDeque<Item>,
}

/// One thing that the app sent.
#[derive(Debug)]
pub enum Item {
    /// A descriptor, close-on-exec.
    Fd(OwnedFd),
    /// Any octets.
    Arg(Vec<u8>),
}

impl Worker {
    pub(super) fn new(socket: UnixStream, items: VecDeque<Item>) -> Self {
        Worker { socket, items }
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
    /// [`ErrorKind::Misuse`] when none is left.
    pub fn take_fd(&mut self) -> Result<OwnedFd> {
        let at = self.items.iter().position(|item| matches!(item, Item::Fd(_)));
        match at.and_then(|at| self.items.remove(at)) {
            Some(Item::Fd(fd)) => Ok(fd),
            _ => Err(Error::new(ErrorKind::Misuse, "no descriptor is left that was sent")),
        }
    }

    /// Takes the next argument, in the order sent, whatever descriptors stand between.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when none is left.
    pub fn take_arg(&mut self) -> Result<Vec<u8>> {
        let at = self.items.iter().position(|item| matches!(item, Item::Arg(_)));
        match at.and_then(|at| self.items.remove(at)) {
            Some(Item::Arg(octets)) => Ok(octets),
            _ => Err(Error::new(ErrorKind::Misuse, "no argument is left that was sent")),
        }
    }

    /// Takes the next thing sent, descriptor or argument.
    pub fn take(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Takes all that is left, in the order sent.
    pub fn take_all(&mut self) -> impl Iterator<Item = Item> + use<> {
        std::mem::take(&mut self.items).into_iter()
    }
}
