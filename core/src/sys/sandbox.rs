//! Flow 2: what the sandbox asks of the kernel and no safe crate binds.
//!
//! # Safety
//! No pointer leaves these functions, and neither call touches memory but its own argument.
#![allow(unsafe_code)]

use rustix::process::Rlimit;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;

/// Moves the calling thread into new user, network and IPC namespaces.
///
/// # Errors
/// EPERM or ENOSPC where such namespaces are not allowed, EINVAL in a process with several threads.
pub(crate) fn leave_namespaces() -> io::Result<()> {
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
    // SAFETY: only UnshareFlags::FILES makes descriptors differ between threads.
    Ok(unsafe { unshare_unsafe(flags) }?)
}

/// Reads a resource limit: rustix's own `getrlimit` takes for granted that no filter refuses it.
///
/// # Errors
/// What prlimit(2) answers under a foreign seccomp filter.
pub(crate) fn limit(resource: rustix::process::Resource) -> io::Result<Rlimit> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit64 into `limit` and reads nothing.
    let answer = unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource as libc::c_int, 0, &raw mut limit)
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let finite = |value| (value != libc::RLIM64_INFINITY).then_some(value);
    Ok(Rlimit { current: finite(limit.rlim_cur), maximum: finite(limit.rlim_max) })
}
