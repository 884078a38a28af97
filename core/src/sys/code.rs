//! Flow 2: code that a template maps for its processes, so that its pages count as shared and not as one worker's own.
//!
//! # Safety
//! `MADV_POPULATE_READ` (Linux 5.14) maps what a read would map, and changes nothing; on a kernel without it, or where
//! code cannot be read, it fails and does no harm.
#![allow(unsafe_code)]

use rustix::mm::Advice;

/// Maps the page on which a function begins, and what the kernel maps around it.
pub(crate) fn map(function: usize) {
    let page = rustix::param::page_size();
    let start = std::ptr::without_provenance_mut(function & !(page - 1));
    // SAFETY: see the top. What is not mapped then is mapped when it is entered.
    let _ = unsafe { rustix::mm::madvise(start, page, Advice::LinuxPopulateRead) };
}
