//! Between both flows: memory that two processes share.
//!
//! # Safety
//! A mapping made here is of a memfd that can neither shrink nor grow, so that no access faults. The one
//! that reads is of a memfd that nobody can write to any more, so that a shared reference to its octets
//! stays true; the one that writes is of a memfd that this process has just made and given to nobody.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

/// A mapping of a whole file, unmapped when dropped.
pub(crate) struct Mapping {
    /// Dangling when `length` is 0: nothing is mapped then.
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and `&self` gives only shared references.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` octets of a memfd that is sealed against every change.
    ///
    /// # Errors
    /// The kernel's (mmap(2)).
    pub fn of_sealed(fd: BorrowedFd<'_>, length: usize) -> rustix::io::Result<Mapping> {
        Mapping::new(fd, length, ProtFlags::READ)
    }

    /// Maps `length` octets of a memfd of this process's own, to write them.
    ///
    /// # Errors
    /// The kernel's (mmap(2)).
    pub fn of_own(fd: BorrowedFd<'_>, length: usize) -> rustix::io::Result<Mapping> {
        Mapping::new(fd, length, ProtFlags::READ | ProtFlags::WRITE)
    }

    fn new(
        fd: BorrowedFd<'_>,
        length: usize,
        protection: ProtFlags,
    ) -> rustix::io::Result<Mapping> {
        if length == 0 {
            return Ok(Mapping { start: NonNull::dangling(), length });
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no other.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, fd, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        Ok(Mapping { start, length })
    }

    pub fn octets(&self) -> &[u8] {
        // SAFETY: see the top; the octets are mapped until `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// To be called on a mapping made by [`Mapping::of_own`] only.
    pub fn octets_mut(&mut self) -> &mut [u8] {
        // SAFETY: see the top; `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: mapped by `new`, and no reference to it outlives `self`. It can fail only for ranges
            // that are not mapped.
            let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}
