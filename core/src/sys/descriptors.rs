//! Flow 2: which descriptors a template and a fresh process keep.
//!
//! # Safety
//! Closing descriptors by number breaks whoever owns them. The callers are a template in its first
//! moment and a process in its first moment: every owner there is either kept by name or never
//! comes to run (or to be dropped) again, because neither process ever returns to the code that was
//! forked.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::DupFlags;

/// Moves `first` to descriptor 3 and `others` to those after it, in order and close-on-exec, and closes
/// everything else from 3 on.
///
/// # Errors
/// The kernel's; one number more is needed than are kept, or as many as they have to change places by.
pub(crate) fn keep_only(
    first: OwnedFd,
    others: Vec<OwnedFd>,
) -> std::io::Result<(OwnedFd, Vec<OwnedFd>)> {
    let all = std::iter::once(first).chain(others);
    let mut fds: Vec<RawFd> = all.map(OwnedFd::into_raw_fd).collect();
    let beyond = FIRST + fds.len() as RawFd;
    // Which of them lies where one is to be.
    let mut lying = vec![None; beyond as usize];
    for (index, fd) in fds.iter().enumerate() {
        if let Some(place) = lying.get_mut(*fd as usize) {
            *place = Some(index);
        }
    }
    let mut kept = Vec::with_capacity(fds.len());
    for (index, place) in (FIRST..beyond).enumerate() {
        if let Some(other) = lying[place as usize].take().filter(|other| *other != index) {
            // Out of the way, so that dup3 does not close one that is still to be moved.
            fds[other] = duplicate_above(fds[other], beyond)?;
        }
        let fd = fds[index];
        kept.push(put(fd, place)?);
        match lying.get_mut(fd as usize) {
            Some(left) => *left = None,
            // Its number may be what the next one needs.
            // SAFETY: see the top: it was given up to this function, which has just moved it.
            None => drop(unsafe { OwnedFd::from_raw_fd(fd) }),
        }
    }
    close_from(beyond)?;
    Ok((kept.remove(0), kept))
}

/// The same, where nothing else is to be kept: what most processes do, and so in the code of who calls it.
///
/// # Errors
/// The kernel's.
#[inline(always)]
pub(crate) fn keep_one(first: OwnedFd) -> std::io::Result<OwnedFd> {
    let first = put(first.into_raw_fd(), FIRST)?;
    close_from(FIRST + 1)?;
    Ok(first)
}

/// Where the first goes that is kept.
const FIRST: RawFd = 3;

#[inline(always)]
fn close_from(beyond: RawFd) -> std::io::Result<()> {
    let args = [beyond as usize, u32::MAX as usize, 0, 0];
    // SAFETY: see the top.
    let closed = unsafe { super::raw::syscall(libc::SYS_close_range, args) };
    if closed < 0 { close_one_by_one(beyond) } else { Ok(()) }
}

/// Makes `place` a copy of `fd`, whatever it was, and its owner.
#[inline(always)]
fn put(fd: RawFd, place: RawFd) -> std::io::Result<OwnedFd> {
    // SAFETY: see the top: whatever was at `place` is never used again.
    let mut placed = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(place) });
    if fd != place {
        // SAFETY: the callers have just given up `fd`, which is open still.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        rustix::io::dup3(fd, &mut placed, DupFlags::CLOEXEC)?;
    }
    Ok(ManuallyDrop::into_inner(placed))
}

/// Moves `fd` to another number, close-on-exec, if its own is one of `places`.
///
/// # Errors
/// The kernel's, when descriptors run out.
pub(crate) fn out_of_the_way(fd: OwnedFd, places: &[RawFd]) -> std::io::Result<OwnedFd> {
    if !places.contains(&fd.as_raw_fd()) {
        return Ok(fd);
    }
    let mut beyond = FIRST;
    loop {
        let raw = duplicate_above(fd.as_raw_fd(), beyond)?;
        // SAFETY: it was just made.
        let moved = unsafe { OwnedFd::from_raw_fd(raw) };
        if !places.contains(&raw) {
            return Ok(moved);
        }
        beyond = raw + 1;
    }
}

/// Moves `fd` to another number, close-on-exec, if its own is that of a standard descriptor, which somebody has closed:
/// what is printed would be written to it.
///
/// # Errors
/// The kernel's, when descriptors run out.
pub(crate) fn above_standard(fd: OwnedFd) -> rustix::io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST)
}

/// Makes those of the standard descriptors from `place` on that are closed read and write nothing: what is opened next
/// would be one of them.
///
/// # Errors
/// The kernel's.
pub(crate) fn fill_standard(place: RawFd) -> std::io::Result<()> {
    for place in place..FIRST {
        // SAFETY: it is only asked for.
        if unsafe { libc::fcntl(place, libc::F_GETFD) } < 0 {
            make_null(place)?;
        }
    }
    Ok(())
}

/// Makes `place`, which is another number than `fd`'s, a copy of it that stays open over exec. What the process needs
/// was moved [out of the way](out_of_the_way).
///
/// # Errors
/// The kernel's: a number past the limit of open files.
pub(crate) fn place(fd: &OwnedFd, place: RawFd) -> std::io::Result<()> {
    // SAFETY: see the top: whatever was at `place` is not used again, as the program is replaced.
    cvt(unsafe { libc::dup2(fd.as_raw_fd(), place) }).map(drop)
}

/// Makes `fd` the process's descriptor `place` (0, 1 or 2), which stays open over exec.
///
/// # Errors
/// The kernel's.
pub(crate) fn make_standard(fd: impl AsFd, place: RawFd) -> std::io::Result<()> {
    Ok(match place {
        0 => rustix::stdio::dup2_stdin(fd),
        1 => rustix::stdio::dup2_stdout(fd),
        _ => rustix::stdio::dup2_stderr(fd),
    }?)
}

/// Makes the process's descriptor `place` a copy of another standard one.
///
/// # Errors
/// The kernel's.
pub(crate) fn make_standard_of(other: RawFd, place: RawFd) -> std::io::Result<()> {
    // SAFETY: see the top; 0, 1 and 2 have no Rust owner that closes them.
    cvt(unsafe { libc::dup2(other, place) }).map(drop)
}

/// Makes the process's descriptor `place` (0, 1 or 2) read and write nothing.
///
/// # Errors
/// The kernel's.
pub(crate) fn make_null(place: RawFd) -> std::io::Result<()> {
    make_standard(above_standard(null()?)?, place)
}

/// Opens what has nothing to read: /dev/null, or where there is none (a container without devices), an empty file that
/// has no name.
///
/// # Errors
/// The kernel's, when descriptors run out.
pub(crate) fn null() -> std::io::Result<OwnedFd> {
    match std::fs::File::options().read(true).write(true).open("/dev/null") {
        Ok(null) => Ok(null.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(rustix::fs::memfd_create("null", rustix::fs::MemfdFlags::CLOEXEC)?)
        }
        Err(error) => Err(error),
    }
}

/// Gives the name of the socket that `fd` is connected to, if it is one of the Unix domain.
pub(crate) fn peer_name(fd: RawFd) -> Option<Vec<u8>> {
    // SAFETY: the descriptor is only asked, and one that was closed meanwhile answers EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let peer = rustix::net::getpeername(fd).ok()??;
    let peer = rustix::net::SocketAddrUnix::try_from(peer).ok()?;
    peer.path_bytes().or(peer.abstract_name()).map(<[u8]>::to_vec)
}

fn duplicate_above(fd: RawFd, beyond: RawFd) -> std::io::Result<RawFd> {
    // SAFETY: makes a new descriptor and touches no other.
    cvt(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, beyond) })
}

/// For kernels without close_range (before 5.9) and filters that refuse it.
#[cold]
fn close_one_by_one(beyond: RawFd) -> std::io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd >= beyond)
        .collect();
    for fd in open {
        // SAFETY: see the top. EBADF is the directory's own descriptor, closed by now.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

fn cvt(result: i32) -> std::io::Result<i32> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
