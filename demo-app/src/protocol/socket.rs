//! Between the two flows: records and their descriptors on a stream socket.
//!
//! A descriptor is attached to the first octet of its record. Reads never ask for more than the rest
//! of one record, so whatever descriptors come belong to it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::codec::{REQUEST_LEN, decode_request, encode_answer};
use super::{Answer, Request};

/// Room for more descriptors than any record has: that there were too many must be seen.
const ROOM: usize = 4;

/// What one read gave.
pub(super) struct Received {
    /// Octets that were filled; 0 when the socket has ended.
    pub(super) count: usize,
    /// Descriptors that came with them.
    pub(super) descriptors: Vec<OwnedFd>,
    /// There were more than there was room for; the kernel closed those.
    pub(super) overflow: bool,
}

/// The worker's side: waits for the next request. `None` when the app has closed its end.
///
/// # Errors
///
/// - [`io::ErrorKind::UnexpectedEof`] if the socket ends within a request.
/// - [`io::ErrorKind::InvalidData`] unless exactly one descriptor comes with it.
/// - Whatever reading the socket answers.
pub fn receive_request(socket: &UnixStream) -> io::Result<Option<(Request, OwnedFd)>> {
    let mut octets = [0; REQUEST_LEN];
    let mut filled = 0;
    let mut descriptors = Vec::new();
    while filled < REQUEST_LEN {
        let received = receive(socket, &mut octets[filled..], RecvFlags::empty())?;
        match (received.count, filled) {
            (0, 0) => return Ok(None),
            (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (count, _) => filled += count,
        }
        descriptors.extend(received.descriptors);
    }
    match <[OwnedFd; 1]>::try_from(descriptors) {
        Ok([file]) => Ok(Some((decode_request(&octets), file))),
        Err(other) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} descriptors came with a request", other.len()),
        )),
    }
}

/// The worker's side: sends an answer, and with it the memories that the picture and its thumbnail lie
/// in: none, one or two.
///
/// # Errors
///
/// Whatever writing to the socket answers: mostly that the app has closed its end.
pub fn send_answer(
    socket: &UnixStream,
    answer: &Answer,
    memories: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let octets = encode_answer(answer);
    let mut sent = send(socket, &octets, memories, SendFlags::empty())?;
    while sent < octets.len() {
        sent += send(socket, &octets[sent..], &[], SendFlags::empty())?;
    }
    Ok(())
}

/// One read of at most `into.len()` octets.
pub(super) fn receive(
    socket: &UnixStream,
    into: &mut [u8],
    flags: RecvFlags,
) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ROOM))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let message = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, flags)
    })?;
    let mut descriptors = Vec::new();
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = ancillary {
            descriptors.extend(received);
        }
    }
    let overflow = message.flags.contains(ReturnFlags::CTRUNC);
    Ok(Received { count: message.bytes, descriptors, overflow })
}

/// One write, with descriptors on its first octet. Returns how many octets were taken.
pub(super) fn send(
    socket: &UnixStream,
    octets: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::NOBUFS.into());
    }
    let flags = flags | SendFlags::NOSIGNAL;
    let sent = rustix::io::retry_on_intr(|| {
        sendmsg(socket, &[IoSlice::new(octets)], &mut control, flags)
    })?;
    Ok(sent)
}
