//! Flow 2: what a template has allocated and freed before it serves.
//!
//! # Safety
//! malloc_trim(3) gives memory that is not allocated back to the kernel, and touches no other.
#![allow(unsafe_code)]

use rustix::mm::Advice;

/// Octets that are kept for what a template needs while it serves: a heap that grows again does so in a mapping of its own.
const KEPT: usize = 16 << 10;

/// Gives back what is free, by the page: each page that a template has is one more for every fork to take along and for
/// every process to give up at its end.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: see the top.
    unsafe {
        libc::malloc_trim(KEPT)
    };
}

/// Gives back the pages between the first and the last of octets that are zeros: they come again, as zeros, when they
/// are used (madvise(2), `MADV_DONTNEED`).
pub(crate) fn give_back(octets: &mut [u8]) {
    let page = rustix::param::page_size();
    let start = octets.as_mut_ptr();
    let first = start.align_offset(page);
    let Some(whole) = octets.len().checked_sub(first).map(|len| len / page * page) else { return };
    // SAFETY: those pages lie within `octets`, which are this caller's alone. What they are made of is the allocator's
    // choice: private memory reads as zeros then, and any other keeps those that it has. A refusal changes nothing.
    let _ = unsafe {
        rustix::mm::madvise(start.wrapping_add(first).cast(), whole, Advice::LinuxDontNeed)
    };
}
