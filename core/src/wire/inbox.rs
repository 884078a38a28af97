//! Flow 2: room for the message that a link gives next.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::RecvFlags;

use super::socket::{self, Received};
use super::{BODY_MAX, HEADER, Header};
use crate::Result;
use crate::sys::heap;

/// Octets of a message that is short.
const SHORT: usize = 128;
/// Octets of the longest.
const LARGE: usize = HEADER + BODY_MAX;

/// Takes messages off a link, one at a time.
///
/// Most are short, and one page then has all of them.
pub(crate) struct Inbox {
    short: [u8; SHORT],
    /// Room for a longer one; its beginning is put before the rest, which was received here.
    large: Vec<u8>,
    /// A body that lay in a file.
    file: Vec<u8>,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox { short: [0; SHORT], large: Vec::new(), file: Vec::new() }
    }
}

/// The descriptors of a message: no message on a link has more than one of its own, and the file of a long body.
#[derive(Default)]
struct Fds {
    places: [Option<OwnedFd>; 2],
    /// How many came, those among them for which there is no place.
    came: usize,
}

impl Extend<OwnedFd> for Fds {
    fn extend<I: IntoIterator<Item = OwnedFd>>(&mut self, fds: I) {
        for fd in fds {
            if let Some(place) = self.places.get_mut(self.came) {
                *place = Some(fd);
            }
            self.came += 1;
        }
    }
}

impl Fds {
    /// Takes the last one.
    fn pop(&mut self) -> Option<OwnedFd> {
        self.places.iter_mut().rev().find_map(Option::take)
    }
}

/// A message as it came: what it is, its body, and the descriptor that came with it.
type Came<'b> = (Header, &'b [u8], Option<OwnedFd>);

impl Inbox {
    /// Takes one message without waiting. None: the peer is gone.
    ///
    /// # Errors
    /// The kernel's (`EAGAIN` when nothing is there), and [`ErrorKind::Protocol`](crate::ErrorKind).
    pub fn receive(&mut self, link: impl AsFd) -> Result<Option<Came<'_>>> {
        let mut fds = Fds::default();
        let Received { octets: got, lost_fds } = self.fill(link, &mut fds)?;
        if got == 0 {
            return Ok(None);
        }
        let header = self.octets(got).first_chunk().ok_or_else(|| socket::short(got))?;
        let header = Header::decode(header)?;
        // Descriptors that were lost leave a message that can still be answered.
        let declared = usize::from(header.fds);
        let lacks = fds.came < declared && !lost_fds;
        if HEADER + header.inline() != got || lacks || fds.came > declared {
            return Err(socket::short(got));
        }
        if header.long {
            let file = fds.pop().ok_or_else(|| socket::short(got))?;
            self.file = socket::read_long(file, header)?;
            return Ok(Some((header, &self.file, fds.pop())));
        }
        Ok(Some((header, &self.octets(got)[HEADER..], fds.pop())))
    }

    /// Has room for the longest message from now on; what no message reaches into takes no memory.
    pub fn make_room(&mut self) {
        if self.large.is_empty() {
            self.large = vec![0; LARGE];
            heap::give_back(&mut self.large);
        }
    }

    fn fill(&mut self, link: impl AsFd, fds: &mut Fds) -> rustix::io::Result<Received> {
        self.file = Vec::new();
        self.make_room();
        let mut parts =
            [IoSliceMut::new(&mut self.short), IoSliceMut::new(&mut self.large[SHORT..])];
        let received = socket::receive_parts(link, &mut parts, fds, RecvFlags::DONTWAIT)?;
        if received.octets > SHORT {
            self.large[..SHORT].copy_from_slice(&self.short);
        }
        Ok(received)
    }

    /// The message, in one piece.
    fn octets(&self, len: usize) -> &[u8] {
        if len > SHORT { &self.large[..len] } else { &self.short[..len] }
    }
}
