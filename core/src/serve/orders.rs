//! Flow 2: a fresh process reads its orders, up to `Run`.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::worker::Item;
use crate::wire::{BODY_MAX, HEADER, Header, Message, socket};
use crate::{Error, ErrorKind, Result};

/// What a process does after its orders.
pub(super) enum Then {
    /// Enter the function of this name.
    Run(Vec<u8>),
    /// The app has dropped the handle.
    Leave,
}

/// Orders on a process's socket. Nothing behind `Run` is read: it is the worker's.
pub(super) struct Orders {
    socket: OwnedFd,
    /// Octets read and not yet decoded, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    fds: VecDeque<OwnedFd>,
    items: VecDeque<Item>,
}

impl Orders {
    /// Begins with the `waiting` octets that are known to lie in the socket already.
    pub fn new(socket: OwnedFd, waiting: usize, items: VecDeque<Item>) -> Result<Self> {
        let mut orders = Orders { socket, buffer: Vec::new(), at: 0, fds: VecDeque::new(), items };
        orders.fetch(waiting)?;
        Ok(orders)
    }

    /// Carries out orders until one says what to do then.
    pub fn follow(&mut self) -> Result<Then> {
        loop {
            let Some(header) = self.header()? else { return Ok(Then::Leave) };
            let fds = self.descriptors(header)?;
            let body = self.body(header, fds)?;
            match Message::decode(header, &body.octets)? {
                Message::Arg(octets) => self.items.push_back(Item::Arg(octets.to_vec())),
                Message::Fds => self.items.extend(body.fds.into_iter().map(Item::Fd)),
                Message::Run { entry } => return Ok(Then::Run(entry.to_vec())),
                other => return Err(other.misplaced()),
            }
        }
    }

    /// Gives up the socket and what was sent.
    pub fn into_parts(self) -> (OwnedFd, VecDeque<Item>) {
        (self.socket, self.items)
    }

    fn header(&mut self) -> Result<Option<Header>> {
        if self.buffer.len() == self.at && !self.fetch(HEADER)? {
            return Ok(None);
        }
        let header = self.take::<HEADER>()?;
        Header::decode(&header).map(Some)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.ensure(N)?;
        let octets = self.buffer[self.at..].first_chunk().copied();
        self.at += N;
        octets.ok_or_else(cut_off)
    }

    fn body(&mut self, header: Header, mut fds: Vec<OwnedFd>) -> Result<Body> {
        if header.long {
            let file = fds.pop().ok_or_else(cut_off)?;
            return Ok(Body { octets: socket::read_long(file, header)?, fds });
        }
        let len = header.inline();
        self.ensure(len)?;
        let octets = self.buffer[self.at..self.at + len].to_vec();
        self.at += len;
        Ok(Body { octets, fds })
    }

    fn descriptors(&mut self, header: Header) -> Result<Vec<OwnedFd>> {
        let count = usize::from(header.fds);
        if self.fds.len() < count {
            return Err(cut_off());
        }
        Ok(self.fds.drain(..count).collect())
    }

    /// Sees to it that `len` octets wait in the buffer.
    fn ensure(&mut self, len: usize) -> Result<()> {
        let have = self.buffer.len() - self.at;
        if have < len && !self.fetch(len - have)? {
            return Err(cut_off());
        }
        Ok(())
    }

    /// Reads exactly `len` octets more; false when the app is gone instead.
    fn fetch(&mut self, len: usize) -> Result<bool> {
        debug_assert!(len <= BODY_MAX + HEADER || self.at == 0);
        self.buffer.drain(..self.at);
        self.at = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + len, 0);
        let mut fds = Vec::new();
        let got = socket::receive_exact(&self.socket, &mut self.buffer[start..], &mut fds);
        self.fds.extend(fds);
        match got {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.buffer.truncate(start);
                Ok(false)
            }
            Err(error) => Err(Error::system("read the orders of a process", error)),
        }
    }
}

struct Body {
    octets: Vec<u8>,
    fds: Vec<OwnedFd>,
}

fn cut_off() -> Error {
    Error::new(ErrorKind::Protocol, "orders of a process end in the middle")
}
