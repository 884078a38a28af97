//! Flow 2: messages and their descriptors on sockets, sent and received whole.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
};

use super::{FDS_MAX, HEADER, Header};
use crate::sys::descriptors::above_standard;
use crate::{Error, ErrorKind, Result, fault};

/// Makes a link's two ends: message boundaries kept, close-on-exec.
pub(crate) fn link_pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::SEQPACKET, SocketFlags::CLOEXEC)
}

/// Tells whether this may be an end of a link.
pub(crate) fn is_link(socket: &OwnedFd) -> bool {
    sockopt::socket_domain(socket) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(socket) == Ok(SocketType::SEQPACKET)
}

/// Makes a process's two ends: non-blocking both, until the process takes its own.
pub(crate) fn process_pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

fn pair(kind: SocketType, flags: SocketFlags) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let tiny = fault::socket()?;
    let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?;
    let (one, other) = (above_standard(one)?, above_standard(other)?);
    if tiny {
        // The kernel makes it the least that it allows (socket(7)).
        for end in [&one, &other] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, 1)?;
        }
    }
    Ok((one, other))
}

/// Sends octets and descriptors without waiting; gives how many octets were taken.
///
/// The descriptors travel with the first octet. A peer that is gone is `EPIPE`, never a signal.
#[inline(never)]
pub(crate) fn send(
    socket: impl AsFd,
    octets: &[u8],
    fds: &[BorrowedFd<'_>],
) -> rustix::io::Result<usize> {
    send_as(socket, octets, fds, SendFlags::DONTWAIT)
}

/// The same, waiting or not as the flags and the socket say.
pub(crate) fn send_as(
    socket: impl AsFd,
    octets: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    // Most messages have one descriptor or none, and room for all that the kernel takes would spread a template's
    // stack over one page more.
    if fds.len() <= FEW {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FEW))];
        return send_with(&mut space, socket, octets, fds, flags);
    }
    send_many(socket, octets, fds, flags)
}

/// Descriptors that are few.
const FEW: usize = 2;

#[inline(never)]
fn send_many(
    socket: impl AsFd,
    octets: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    send_with(&mut space, socket, octets, fds, flags)
}

fn send_with(
    space: &mut [MaybeUninit<u8>],
    socket: impl AsFd,
    octets: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let mut ancillary = SendAncillaryBuffer::new(space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let flags = flags | SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(octets)], &mut ancillary, flags)
    })
}

/// What one call of [`receive`] gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub octets: usize,
    /// Descriptors came that there was no room for, in this process (`EMFILE`) or in the call: the kernel has closed
    /// them.
    pub lost_fds: bool,
}

/// Receives what one call gives; descriptors are appended to `fds`, close-on-exec.
///
/// Not inlined: the room for descriptors would make its callers' frames span one page more, which each
/// fresh process would have to copy.
#[inline(never)]
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    fds: &mut impl Extend<OwnedFd>,
    flags: RecvFlags,
) -> rustix::io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    receive_with(&mut space, socket, &mut [IoSliceMut::new(buffer)], fds, flags)
}

/// The same, into several buffers, one after the other, and with room for few descriptors: for one more than may come,
/// so that a message with too many is known.
pub(crate) fn receive_parts(
    socket: impl AsFd,
    buffers: &mut [IoSliceMut<'_>],
    fds: &mut impl Extend<OwnedFd>,
    flags: RecvFlags,
) -> rustix::io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FEW + 1))];
    receive_with(&mut space, socket, buffers, fds, flags)
}

fn receive_with(
    space: &mut [MaybeUninit<u8>],
    socket: impl AsFd,
    buffers: &mut [IoSliceMut<'_>],
    fds: &mut impl Extend<OwnedFd>,
    flags: RecvFlags,
) -> rustix::io::Result<Received> {
    let mut ancillary = RecvAncillaryBuffer::new(space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, buffers, &mut ancillary, flags)
    })?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let lost_fds = received.flags.contains(ReturnFlags::CTRUNC);
    Ok(Received { octets: received.bytes, lost_fds })
}

/// Receives octets without waiting; descriptors that come with them are closed.
pub(crate) fn receive_octets(socket: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let received = receive(socket, buffer, &mut Vec::new(), RecvFlags::DONTWAIT)?;
    Ok(received.octets)
}

/// Receives one message of a stream without waiting, and nothing of what lies behind it.
///
/// What is no message is given as far as its header goes; one that has come in part is `EAGAIN`.
pub(crate) fn receive_one(socket: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    let there = receive(&socket, buffer, &mut Vec::new(), flags)?.octets;
    let header = buffer[..there].first_chunk().and_then(|head| Header::decode(head).ok());
    let len = header.map_or(HEADER, |header| HEADER + header.inline()).min(buffer.len());
    if header.is_some() && there < len {
        return Err(rustix::io::Errno::AGAIN);
    }
    receive_octets(socket, &mut buffer[..len])
}

/// Reads a body that lies in a file.
pub(crate) fn read_long(file: OwnedFd, header: Header) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    body.try_reserve_exact(header.len as usize)
        .map_err(|_| Error::from(io::Error::from(io::ErrorKind::OutOfMemory)))?;
    // The sender shares the file's offset and may read it again: only positions count.
    let file = File::from(file);
    PositionedRead { file: &file, at: 0 }.take(header.len.into()).read_to_end(&mut body)?;
    if body.len() == header.len as usize { Ok(body) } else { Err(short(body.len())) }
}

struct PositionedRead<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for PositionedRead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

pub(super) fn short(got: usize) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("message on a command socket: {got} octets do not fit its header"),
    )
}
