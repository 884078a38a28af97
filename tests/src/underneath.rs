//! What goes on behind Rust's back in programs with C in them: descriptors closed while they are
//! watched, and bare forks.
//!
//! # Safety
//! `lent` breaks the promise of a borrowed descriptor, on purpose: the tests close it and look at what
//! the queue makes of the number. `in_fork` runs a closure in a forked child, which leaves with
//! `_exit`; it allocates, which glibc allows after a fork.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A descriptor, lent for longer than it is open.
pub fn lent(fd: impl AsFd) -> BorrowedFd<'static> {
    // SAFETY: the number is open now; that it may be closed later is the point.
    unsafe { BorrowedFd::borrow_raw(fd.as_fd().as_raw_fd()) }
}

/// Runs `child` in a forked process and gives the code that it ended with; or minus the signal.
///
/// # Panics
/// When fork or waitpid fails.
pub fn in_fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs the closure and nothing else.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = child();
        // SAFETY: it ends this process, without destructors.
        unsafe { libc::_exit(code) }
    }
    assert!(pid > 0, "fork");
    let mut status = 0;
    // SAFETY: the status is ours to write to.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(waited, pid, "waitpid");
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
}

/// The address of the handler of a signal, or the number of its default action.
///
/// # Panics
/// When there is no such signal.
pub fn action(signal: i32) -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: it only writes to `action`.
    let status = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(status, 0, "sigaction");
    // SAFETY: it has been written.
    unsafe { action.assume_init() }.sa_sigaction
}

/// Gives a signal a handler, as a C library in the program might.
pub fn set_handler(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: the handlers of tests add to an atomic.
    unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
}

/// Sends a signal to the thread that calls.
pub fn raise_here(signal: i32) {
    // SAFETY: it passes a number.
    let _status = unsafe { libc::raise(signal) };
}
