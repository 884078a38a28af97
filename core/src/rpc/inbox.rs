//! Flow 2, typed: octets and descriptors that came, until they are whole messages.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::frame::{HEADER, Header, Kind, protocol};
use crate::Result;
use crate::wire::{FDS_MAX, socket};

/// Octets that one call takes, and that are kept for the next while no message is longer.
const CHUNK: usize = 64 * 1024;

/// What one call of [`Inbox::receive`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Octets,
    /// Nothing more for now.
    Nothing,
    /// The peer has closed its end, and nothing of what it sent is left.
    End,
}

/// Messages that are coming in. Its memory is a chunk, or the one message that is longer.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    /// What is there and not yet taken: from `begin` to `end`.
    begin: usize,
    end: usize,
    /// How far ahead of `begin` headers were looked at by [`Inbox::look_ahead`].
    ahead: usize,
    fds: VecDeque<OwnedFd>,
    /// Before this, descriptors may be missing that this process had no room for.
    lossy: usize,
    limit: usize,
}

/// A message that has come in whole.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub header: Header,
    pub body: &'a [u8],
    pub fds: Vec<OwnedFd>,
    /// This process had no room for all of its descriptors (`EMFILE`).
    pub lost_fds: bool,
}

impl Inbox {
    /// For messages whose bodies have up to `limit` octets.
    pub fn new(limit: usize) -> Inbox {
        let (buffer, fds) = (Vec::new(), VecDeque::new());
        Inbox { buffer, begin: 0, end: 0, ahead: 0, fds, lossy: 0, limit }
    }

    /// Takes what one call gives, and no more than there is room for.
    ///
    /// # Errors
    /// The kernel's; an interrupted call is made again.
    pub fn receive(&mut self, socket: impl AsFd, flags: RecvFlags) -> rustix::io::Result<Found> {
        self.make_room();
        if self.end == self.buffer.len() {
            return Ok(Found::Nothing);
        }
        let mut fds = Vec::new();
        let room = &mut self.buffer[self.end..];
        let received = match socket::receive(socket, room, &mut fds, flags) {
            Err(Errno::AGAIN) => return Ok(Found::Nothing),
            // The peer has closed its end and left something unread; what it sent before is taken.
            Err(Errno::CONNRESET) => return Ok(Found::End),
            received => received?,
        };
        self.end += received.octets;
        self.fds.extend(fds);
        if received.lost_fds {
            self.lossy = self.end;
        }
        Ok(if received.octets == 0 { Found::End } else { Found::Octets })
    }

    /// Gives the next message that is whole.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind): what is there will never be one.
    pub fn next(&mut self) -> Result<Option<Frame<'_>>> {
        let Some(header) = self.header(self.begin)? else {
            self.forget();
            // Nothing but the beginning of a header has come, with what travels with its first octet.
            let most = if self.begin == self.end { 0 } else { FDS_MAX };
            return self.unclaimed(most).map(|()| None);
        };
        let lost_fds = self.fds.len() < header.fds && self.begin < self.lossy;
        if self.fds.len() < header.fds && !lost_fds {
            let (said, came) = (header.fds, self.fds.len());
            return Err(protocol(format!("a message of {said} descriptors came with {came}")));
        }
        let (begin, end) = (self.begin + HEADER, self.begin + HEADER + header.len);
        if self.end < end {
            return self.unclaimed(header.fds).map(|()| None);
        }
        self.begin = end;
        self.ahead = self.ahead.saturating_sub(HEADER + header.len);
        let count = header.fds.min(self.fds.len());
        let fds = self.fds.drain(..count).collect();
        Ok(Some(Frame { header, body: &self.buffer[begin..end], fds, lost_fds }))
    }

    /// Tells whether as much has come in as is kept while nothing is taken.
    pub fn is_full(&self) -> bool {
        self.end - self.begin >= CHUNK
    }

    /// Notes the calls that messages not yet taken cancel.
    ///
    /// # Errors
    /// As [`Inbox::next`].
    pub fn look_ahead(&mut self, cancelled: &mut BTreeSet<u64>) -> Result<()> {
        while let Some(header) = self.header(self.begin + self.ahead)? {
            if header.kind == Kind::Cancel {
                cancelled.insert(header.id);
            }
            self.ahead += HEADER + header.len;
        }
        Ok(())
    }

    fn header(&self, at: usize) -> Result<Option<Header>> {
        let there = self.buffer.get(at..self.end).unwrap_or_default();
        there.first_chunk().map(|octets| Header::decode(octets, self.limit)).transpose()
    }

    /// Looks that no descriptors came but those of the message that is coming in.
    fn unclaimed(&self, most: usize) -> Result<()> {
        match self.fds.len() {
            came if came <= most => Ok(()),
            came => Err(protocol(format!("{came} descriptors came with a message of {most}"))),
        }
    }

    /// Keeps no more than a chunk when everything was taken.
    fn forget(&mut self) {
        if self.begin == self.end {
            (self.begin, self.end, self.lossy) = (0, 0, 0);
            if self.buffer.len() > CHUNK {
                self.buffer = Vec::new();
            }
        }
    }

    fn make_room(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; CHUNK];
        }
        let there = self.end - self.begin;
        // Whatever its header says, a message gets no more memory than twice what has come of it.
        let whole = match self.header(self.begin) {
            Ok(Some(header)) => HEADER + header.len,
            _ => HEADER,
        };
        let no_room = self.end == self.buffer.len() || self.begin + whole > self.buffer.len();
        if self.begin > 0 && no_room {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.lossy = self.lossy.saturating_sub(self.begin);
            (self.begin, self.end) = (0, there);
        }
        if whole > self.buffer.len() && self.end == self.buffer.len() {
            self.buffer.resize(whole.min(2 * self.buffer.len()), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn message(id: u64, body: &[u8]) -> Vec<u8> {
        let header = Header { kind: Kind::Event, fds: 0, len: body.len(), id };
        [&header.encode(), body].concat()
    }

    /// Whatever pieces the kernel gives, the messages are the same.
    #[test]
    fn messages_in_pieces() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let bodies = [0, 1, 100, CHUNK - HEADER, CHUNK, 5 * CHUNK, 3].map(|len| vec![7; len]);
        let octets: Vec<u8> = (0..).zip(&bodies).flat_map(|(id, body)| message(id, body)).collect();
        for piece in [1000, 4096, CHUNK + 1] {
            let (mut inbox, mut rest, mut seen) = (Inbox::new(1 << 20), &octets[..], 0);
            while seen < bodies.len() {
                let written = far.write(&rest[..piece.min(rest.len())]).unwrap_or(0);
                rest = &rest[written..];
                inbox.receive(&near, RecvFlags::DONTWAIT).unwrap();
                while let Some(frame) = inbox.next().unwrap() {
                    assert_eq!((frame.header.id, frame.body), (seen as u64, &bodies[seen][..]));
                    seen += 1;
                }
            }
            assert!(inbox.buffer.len() <= CHUNK);
        }
    }

    /// B11: a length that is announced costs nothing before it comes.
    #[test]
    fn memory_follows_what_has_come() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let header = Header { kind: Kind::Reply, fds: 0, len: 1 << 30, id: 1 };
        far.write_all(&header.encode()).unwrap();
        let mut inbox = Inbox::new(1 << 30);
        inbox.receive(&near, RecvFlags::DONTWAIT).unwrap();
        assert!(inbox.next().unwrap().is_none());
        assert_eq!(inbox.receive(&near, RecvFlags::DONTWAIT).unwrap(), Found::Nothing);
        assert_eq!(inbox.buffer.len(), CHUNK);
    }
}
