//! Flow 2: messages on their way into a socket that may be full.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::{BODY_MAX, FDS_MAX, HEADER, Header, Message, Room, socket};
use crate::{Error, Result};

/// How long what others hold up waits for its next try: nothing tells when that is worth it.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Messages that wait to be sent, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    parcels: VecDeque<Parcel>,
    /// Each message is a parcel of its own, for a link; else they are sent together.
    boundaries: bool,
    /// What is to go next was refused because too many descriptors are under way for this user (unix(7)).
    crowded: bool,
}

/// Octets that go out together, with the descriptors that travel with the first of them.
#[derive(Default)]
struct Parcel {
    octets: Vec<u8>,
    sent: usize,
    fds: Vec<Arc<OwnedFd>>,
    /// What comes in its place when it is sent.
    parts: Option<Parts>,
}

/// What of a long argument is not sent yet, octets as they are. It stays where it is until there is room for it.
struct Parts {
    octets: Long,
    at: usize,
    end: usize,
}

/// The octets of a long argument, shared by all who send it.
#[derive(Clone)]
pub(crate) enum Long {
    /// In a memfd, which can be sent instead of them.
    File(Arc<OwnedFd>),
    Heap(Arc<Vec<u8>>),
}

impl Outbox {
    /// For a link: message boundaries are kept.
    pub fn for_link() -> Self {
        Outbox { boundaries: true, ..Outbox::default() }
    }

    /// Appends a message and its descriptors.
    ///
    /// # Errors
    /// When a long body's file cannot be made.
    pub fn push(
        &mut self,
        message: &Message<'_>,
        id: u64,
        mut fds: Vec<Arc<OwnedFd>>,
    ) -> Result<()> {
        let (octets, body) = message.encode(id, fds.len());
        if let Some(body) = body {
            fds.push(Arc::new(long_file(&body)?));
        }
        self.append(octets, fds);
        Ok(())
    }

    /// Sends a message now, if none waits before it and the socket takes it; else appends it.
    ///
    /// Only for a link, whose packets are taken whole. Nothing is kept of what is sent.
    ///
    /// # Errors
    /// As [`Outbox::push`].
    pub fn send(
        &mut self,
        socket: impl AsFd,
        message: &Message<'_>,
        id: u64,
        fd: Option<OwnedFd>,
    ) -> Result<()> {
        debug_assert!(self.boundaries);
        if !self.parcels.is_empty() {
            return self.push(message, id, fd.map(Arc::new).into_iter().collect());
        }
        let mut room = Room::default();
        let body = message.encode_to(&mut room, id, usize::from(fd.is_some()));
        let file = body.map(|body| long_file(&body)).transpose()?;
        let mut borrowed = [rustix::stdio::stdin(); 2];
        let fds = fd.iter().chain(&file);
        let count = borrowed.iter_mut().zip(fds).map(|(place, fd)| *place = fd.as_fd()).count();
        match socket::send(&socket, room.octets(), &borrowed[..count]) {
            Ok(_) => (),
            // If the reason is more than a full socket, the next flush meets it again.
            Err(_) => {
                self.append(room.into_vec(), fd.into_iter().chain(file).map(Arc::new).collect())
            }
        }
        Ok(())
    }

    /// Appends a message whose long body lies in a file already, so that copies share it.
    pub fn push_long(&mut self, header: Header, file: Arc<OwnedFd>) {
        debug_assert!(header.long && header.fds == 1);
        self.append(header.encode().to_vec(), vec![file]);
    }

    /// Appends a long argument as [`Message::Part`]s, a few octets at a time, and what ends it.
    pub fn push_parts(&mut self, octets: Long, len: u32) {
        let parts = Some(Parts { octets, at: 0, end: len as usize });
        self.parcels.push_back(Parcel { parts, ..Parcel::default() });
        self.append(Message::Arg(b"").encode(0, 0).0, Vec::new());
    }

    fn append(&mut self, octets: Vec<u8>, fds: Vec<Arc<OwnedFd>>) {
        match self.parcels.back_mut() {
            Some(last)
                if !self.boundaries
                    && last.sent == 0
                    && last.parts.is_none()
                    && last.fds.len() + fds.len() <= FDS_MAX =>
            {
                last.octets.extend(octets);
                last.fds.extend(fds);
            }
            _ => self.parcels.push_back(Parcel { octets, sent: 0, fds, parts: None }),
        }
    }

    /// Tells whether descriptors wait to be sent.
    pub fn has_fds(&self) -> bool {
        self.parcels.iter().any(|parcel| !parcel.fds.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Sends what the socket takes now; gives the octets sent.
    ///
    /// # Errors
    /// The kernel's, but for a full socket.
    pub fn flush(&mut self, socket: impl AsFd) -> rustix::io::Result<usize> {
        let mut total = 0;
        while let Some(parcel) = self.parcels.front_mut() {
            if parcel.sent == parcel.octets.len() {
                if !parcel.refill()? {
                    self.parcels.pop_front();
                }
                continue;
            }
            let fds: Vec<BorrowedFd<'_>> = parcel.fds.iter().map(|fd| fd.as_fd()).collect();
            self.crowded = false;
            match socket::send(&socket, &parcel.octets[parcel.sent..], &fds) {
                Ok(sent) => {
                    total += sent;
                    parcel.sent += sent;
                    parcel.fds.clear();
                }
                // A socket smaller than the message: what is too long for it travels apart.
                Err(Errno::MSGSIZE) if parcel.octets.len() > HEADER => parcel.lengthen()?,
                // It is full, which passes; as does this, for whatever reason others have.
                Err(Errno::AGAIN) => break,
                Err(Errno::TOOMANYREFS) => {
                    self.crowded = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    /// Tells whether something waits for others to receive descriptors. No event tells when they have: room in the socket
    /// is none, and there may be some all the while.
    pub fn is_crowded(&self) -> bool {
        self.crowded && !self.parcels.is_empty()
    }

    /// Takes back the requests for processes that are not sent yet, and gives their ids.
    pub fn take_back(&mut self) -> Vec<u64> {
        let mut ids = Vec::new();
        self.parcels.retain(|parcel| {
            let header = parcel.octets.first_chunk().and_then(|head| Header::decode(head).ok());
            let request = header.filter(|header| Message::REQUESTS.contains(&header.code));
            ids.extend(request.map(|header| header.id));
            request.is_none()
        });
        ids
    }

    /// Goes without the descriptors of what waits, but for those that a body lies in.
    pub fn drop_fds(&mut self) {
        for Parcel { octets, fds, .. } in &mut self.parcels {
            let header = octets.first_chunk().and_then(|head| Header::decode(head).ok());
            if let Some(header) = header.filter(|header| !header.long) {
                octets.splice(..HEADER, Header { fds: 0, ..header }.encode());
                fds.clear();
            }
        }
    }
}

impl Parcel {
    /// Reads the next part of what comes in its place; tells whether there was one.
    fn refill(&mut self) -> rustix::io::Result<bool> {
        let Some(Parts { octets, at, end }) = &mut self.parts else { return Ok(false) };
        let len = BODY_MAX.min(*end - *at);
        let part = match octets {
            Long::File(file) => {
                let mut part = vec![0; len];
                let got =
                    rustix::io::retry_on_intr(|| rustix::io::pread(&*file, &mut part, *at as u64))?;
                part.truncate(got);
                part
            }
            Long::Heap(octets) => octets[*at..*at + len].to_vec(),
        };
        *at += part.len();
        (self.octets, self.sent) = (Message::Part(&part).encode(0, 0).0, 0);
        Ok(!part.is_empty())
    }

    /// Puts the body of its one message into a file.
    fn lengthen(&mut self) -> rustix::io::Result<()> {
        let body = self.octets.split_off(HEADER);
        let head = self.octets.first_chunk().and_then(|head| Header::decode(head).ok());
        let header = head.ok_or(Errno::MSGSIZE)?;
        let file = long_file(&body).map_err(|_| Errno::NOMEM)?;
        self.fds.push(Arc::new(file));
        self.octets = Header { long: true, fds: header.fds + 1, ..header }.encode().to_vec();
        Ok(())
    }
}

/// Puts octets into a memfd that nobody can change any more.
///
/// # Errors
/// The kernel's, when memory or descriptors run out.
pub(crate) fn long_file(octets: &[u8]) -> Result<OwnedFd> {
    let what = |error: std::io::Error| Error::system("put a long argument into a memfd", error);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(
        rustix::fs::memfd_create("tine-long", flags).map_err(|error| what(error.into()))?,
    );
    file.write_all(octets).map_err(what)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).map_err(|error| what(error.into()))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::super::{Inbox, State};
    use super::*;
    use rustix::net::sockopt;

    /// A system may give sockets less room than a message takes.
    #[test]
    fn a_link_smaller_than_a_message() {
        let (near, far) = socket::link_pair().unwrap();
        sockopt::set_socket_send_buffer_size(&near, 1).unwrap();
        let environment = vec![b'x'; 20_000];
        let state = State { umask: 0, locale: b"C", environment: &environment };
        let mut outbox = Outbox::for_link();
        outbox.push(&Message::State(state), 7, vec![Arc::new(far.try_clone().unwrap())]).unwrap();
        outbox.push(&Message::Retired, 8, Vec::new()).unwrap();
        outbox.flush(&near).unwrap();
        assert!(outbox.is_empty());
        let mut inbox = Inbox::default();
        let (header, body, fd) = inbox.receive(&far).unwrap().unwrap();
        assert_eq!((header.id, fd.is_some()), (7, true));
        assert_eq!(Message::decode(header, body).unwrap(), Message::State(state));
        let (header, body, _) = inbox.receive(&far).unwrap().unwrap();
        assert_eq!(Message::decode(header, body).unwrap(), Message::Retired);
    }
}
