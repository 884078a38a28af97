//! Flow 1, at its foot: an epoll set whose registrations are named by descriptor number.
//!
//! # Safety
//! A watcher may be cancelled while its descriptor is lent out, or after someone closed it. All that
//! is left then is its number, and a number is what the kernel wants: `epoll_ctl(2)` checks it and
//! answers `EBADF` for a closed one and `ENOENT` for one that names another file by now. `fstat(2)`
//! tells which. Nothing is read, written or closed through it.
//!
//! What waits for events has the kernel write them to memory that is not initialised, and trusts its count.
#![allow(unsafe_code)]

use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::{Errno, Result};
use std::fmt;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub(crate) use epoll::{Event, EventFlags};

/// The number of a descriptor, which may have been closed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(u32);

impl Number {
    /// No descriptor.
    pub(crate) const NONE: Number = Number(u32::MAX);

    pub(crate) fn of(fd: BorrowedFd<'_>) -> Self {
        // A borrowed descriptor is never negative, so the sign bit is free.
        Number(fd.as_raw_fd().cast_unsigned())
    }

    pub(crate) fn at(index: usize) -> Self {
        u32::try_from(index).map_or(Number::NONE, Number)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The number itself, if it is one.
    pub(crate) fn get(self) -> Option<u32> {
        (self != Number::NONE).then_some(self.0)
    }

    /// Which file the number names, as far as `fstat(2)` tells them apart: an eventfd is like another.
    pub(crate) fn file(self) -> Result<NonZeroU64> {
        let stat = rustix::fs::fstat(self.lend()?)?;
        Ok(NonZeroU64::new(stat.st_ino ^ stat.st_dev.rotate_right(16)).unwrap_or(NonZeroU64::MAX))
    }

    fn lend(&self) -> Result<BorrowedFd<'_>> {
        if *self == Number::NONE {
            return Err(Errno::BADF);
        }
        // SAFETY: the number is not -1, and the callers below hand it to `epoll_ctl` and `fstat` only,
        // which need no open descriptor behind it (see the head of this file).
        Ok(unsafe { BorrowedFd::borrow_raw(self.0.cast_signed()) })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Set(OwnedFd);

/// What a registration says when it reports: a number, and which use of that number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) number: Number,
    pub(crate) generation: u32,
}

impl Token {
    fn data(self) -> epoll::EventData {
        epoll::EventData::new_u64(u64::from(self.generation) << 32 | u64::from(self.number.0))
    }

    pub(crate) fn of(event: Event) -> Self {
        let data = event.data.u64();
        Token { number: Number(data as u32), generation: (data >> 32) as u32 }
    }
}

impl Set {
    pub(crate) fn new() -> Result<Self> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Set)
    }

    pub(crate) fn add(&self, token: Token, flags: EventFlags) -> Result<()> {
        epoll::add(&self.0, token.number.lend()?, token.data(), flags)
    }

    pub(crate) fn modify(&self, token: Token, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.0, token.number.lend()?, token.data(), flags)
    }

    pub(crate) fn delete(&self, number: Number) -> Result<()> {
        epoll::delete(&self.0, number.lend()?)
    }

    /// Fills `events` up to its capacity; waits up to `timeout`, without end if there is none.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, timeout: Option<&Timespec>) -> Result<()> {
        events.clear();
        let got = wait(&self.0, events.spare_capacity_mut(), timeout)?.len();
        // SAFETY: so many have been filled, from the first on.
        unsafe { events.set_len(got) };
        Ok(())
    }
}

/// Waits for events, up to `timeout`, without end if there is none; gives those that there were room for.
///
/// # Errors
/// `EINTR`, and what the kernel does not let this process do.
pub(crate) fn wait<'a>(
    set: &OwnedFd,
    room: &'a mut [MaybeUninit<Event>],
    timeout: Option<&Timespec>,
) -> Result<&'a mut [Event]> {
    let got = match epoll::wait(set, &mut *room, timeout) {
        Ok((events, _)) => events.len(),
        Err(Errno::NOSYS | Errno::PERM) => wait_by_poll(set, room, timeout)?,
        Err(error) => return Err(error),
    };
    // SAFETY: the kernel has filled so many, from the first on.
    Ok(unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), got) })
}

/// The same without epoll_pwait2(2), which is refused by filters of seccomp(2) that are older than it, as containers have
/// them. The time is as exact; epoll_wait(2) by itself counts milliseconds. Gives how many events there are.
#[cold]
fn wait_by_poll(
    set: &OwnedFd,
    room: &mut [MaybeUninit<Event>],
    timeout: Option<&Timespec>,
) -> Result<usize> {
    let mut ready = [PollFd::new(set, PollFlags::IN)];
    if rustix::event::poll(&mut ready, timeout)? == 0 {
        return Ok(0);
    }
    let most = i32::try_from(room.len()).unwrap_or(i32::MAX);
    // SAFETY: the kernel writes at most so many, and an `Event` is its `struct epoll_event`.
    let got = unsafe { libc::epoll_wait(set.as_raw_fd(), room.as_mut_ptr().cast(), most, 0) };
    usize::try_from(got).map_err(|_| super::fork::last_errno())
}

impl AsFd for Set {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
