//! Flow 2: what a template keeps to itself.
//!
//! A page that a template writes to after a fork is copied, and the process that was forked is left with the
//! old one: a page fault for the one, a page of its own for the other. So what a template writes to with each
//! process lies in memory that forks do not get (madvise(2), `MADV_DONTFORK`).
//!
//! # Safety
//! In a process forked from this one nothing is mapped there: whoever touches the value gets SIGSEGV. Its
//! owner in the template never comes to run in a process, which takes what it needs out before the fork.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// A value that processes forked from this one do not have.
pub(crate) struct Apart<T>(NonNull<T>);

impl<T> Apart<T> {
    /// Moves a value there.
    ///
    /// # Errors
    /// The kernel's: no memory.
    pub fn new(value: T) -> rustix::io::Result<Apart<T>> {
        const { assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0) };
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                size_of::<T>(),
                protection,
                MapFlags::PRIVATE,
            )?
        };
        let place = Apart(NonNull::new(start.cast::<T>()).ok_or(rustix::io::Errno::NOMEM)?);
        // SAFETY: this mapping alone is spoken of. Where it is refused, as a filter of seccomp(2) may, processes have it
        // too: they cost more, and never look.
        let _ = unsafe { rustix::mm::madvise(start, size_of::<T>(), Advice::LinuxDontFork) };
        // SAFETY: mapped for writing, large enough and on a page's boundary.
        unsafe { place.0.write(value) };
        Ok(place)
    }
}

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` has put a value there, which is this one's alone.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Apart<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.0.as_mut() }
    }
}
