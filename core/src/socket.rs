//! Flow 2, after `run`: descriptors on a worker's socket.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvFlags, SendFlags};

use crate::wire::{FDS_MAX, socket};
use crate::{Error, ErrorKind, Result};

/// Sends octets and descriptors over a worker's socket, from either end; gives how many octets were taken.
///
/// The descriptors travel with the first octet. As with any write, the rest of the octets may have to be
/// sent again, without descriptors; on the app's end, which does not block, all of them.
///
/// # Errors
/// [`ErrorKind::System`], with [`Error::io`]: `WouldBlock` on a socket that is full and does not block,
/// `BrokenPipe` when the other end is closed. [`ErrorKind::Misuse`]: no octet, or more than 253 descriptors
/// (unix(7)).
pub fn send_fds(socket: &UnixStream, octets: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    if octets.is_empty() || fds.len() > FDS_MAX {
        let message =
            format!("{} descriptors cannot travel with {} octets", fds.len(), octets.len());
        return Err(Error::new(ErrorKind::Misuse, message));
    }
    socket::send_as(socket, octets, fds, SendFlags::empty())
        .map_err(|error| Error::system("send over a worker's socket", error))
}

/// Receives octets over a worker's socket, and the descriptors that came with them, close-on-exec.
///
/// 0 octets: the other end is closed.
///
/// # Errors
/// [`ErrorKind::System`], with [`Error::io`]: `WouldBlock` on a socket that is empty and does not block,
/// `ConnectionReset`; and `EMFILE` when descriptors came that this process has no room for: they are lost, and
/// the octets with them.
pub fn receive_fds(socket: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let failed = |error| Error::system("receive over a worker's socket", error);
    let mut fds = Vec::new();
    let received = socket::receive(socket, buffer, &mut fds, RecvFlags::empty()).map_err(failed)?;
    if received.lost_fds {
        return Err(failed(rustix::io::Errno::MFILE));
    }
    Ok((received.octets, fds))
}
