//! Flow 2: what a fresh process says of itself, in the code of who calls it: see [`super::raw`].
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// A control message (cmsg(3)) that holds one descriptor.
#[repr(C)]
struct Rights {
    header: libc::cmsghdr,
    fd: i32,
}

/// Sends octets as one message, and a descriptor with them, without waiting and without a signal.
///
/// # Errors
/// The kernel's.
#[inline(always)]
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    octets: &[u8],
    fd: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    // SAFETY: a msghdr of zeros has nothing in it.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    let mut part =
        libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    // SAFETY: a cmsghdr of zeros is one.
    let mut rights = Rights { header: unsafe { std::mem::zeroed() }, fd: -1 };
    if let Some(fd) = fd {
        rights.fd = fd.as_raw_fd();
        rights.header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<i32>()) as _;
        rights.header.cmsg_level = libc::SOL_SOCKET;
        rights.header.cmsg_type = libc::SCM_RIGHTS;
        message.msg_control = (&raw mut rights).cast();
        message.msg_controllen = size_of::<Rights>() as _;
    }
    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as usize;
    let args = [socket.as_raw_fd() as usize, (&raw const message).expose_provenance(), flags, 0];
    // SAFETY: the kernel reads the message and what it leads to: octets, and a descriptor, that live until it is back.
    let sent = unsafe { super::raw::syscall(libc::SYS_sendmsg, args) };
    // The octets are few, and a socket that keeps boundaries takes them whole.
    if sent < 0 { Err(Errno::from_raw_os_error(-sent as i32)) } else { Ok(()) }
}

/// Gives this process's id and, unless descriptors have run out or a filter refuses it, a pidfd (pidfd_open(2)).
#[inline(always)]
pub(crate) fn itself() -> (u32, Option<OwnedFd>) {
    // SAFETY: getpid(2) reads and writes nothing.
    let pid = unsafe { super::raw::syscall(libc::SYS_getpid, [0; 4]) } as u32;
    // SAFETY: no pointers.
    let pidfd = unsafe { super::raw::syscall(libc::SYS_pidfd_open, [pid as usize, 0, 0, 0]) };
    // SAFETY: what is not negative is a descriptor that was just made.
    (pid, (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd as i32) }))
}
