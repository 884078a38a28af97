//! Flow 2: what a template has allocated and freed before it serves.
//!
//! # Safety
//! malloc_trim(3) gives memory that is not allocated back to the kernel, and touches no other.
#![allow(unsafe_code)]

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
