//! What goes on behind Rust's back in programs with C in them: descriptors closed while they are
//! watched, and bare forks.
//!
//! # Safety
//! `lent` breaks the promise of a borrowed descriptor, on purpose: the tests close it and look at what
//! the queue makes of the number. `in_fork` runs a closure in a forked child, which leaves with
//! `_exit`; it allocates, which glibc allows after a fork.
#![expect(unsafe_code, reason = "what it does is what safe code cannot")]

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

/// The action of a signal, to be compared.
#[derive(Debug, PartialEq, Eq)]
pub struct Action {
    /// The address of the handler, or the number of the default action.
    pub handler: usize,
    /// Its flags, as sigaction(2) names them.
    pub flags: i32,
    /// Which signals are blocked while it runs, as bits.
    pub mask: u64,
}

/// The action of a signal.
///
/// # Panics
/// When there is no such signal.
pub fn whole_action(signal: i32) -> Action {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: it only writes to `action`.
    let status = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(status, 0, "sigaction");
    // SAFETY: it has been written.
    let action = unsafe { action.assume_init() };
    let is_in = |signal: &i32| is_member(&action.sa_mask, *signal);
    let mask = (1..=64).filter(is_in).fold(0, |mask, signal| mask | 1 << (signal - 1));
    Action { handler: action.sa_sigaction, flags: action.sa_flags, mask }
}

fn is_member(mask: &libc::sigset_t, signal: i32) -> bool {
    // SAFETY: it reads the mask.
    unsafe { libc::sigismember(mask, signal) == 1 }
}

/// The address of the handler of a signal, or the number of its default action.
///
/// # Panics
/// When there is no such signal.
pub fn action(signal: i32) -> usize {
    whole_action(signal).handler
}

/// Tells whether a signal is blocked in the thread that calls. A handler may ask.
pub fn is_blocked(signal: i32) -> bool {
    let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it only writes to `mask`.
    let status =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) };
    // SAFETY: it has been written if the call succeeded.
    status == 0 && is_member(unsafe { mask.assume_init_ref() }, signal)
}

/// As [`set_handler`], for a handler that takes all there is to know; `blocked` waits while it runs.
///
/// # Panics
/// When there is no such signal.
pub fn set_full_handler(
    signal: i32,
    handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void),
    flags: i32,
    blocked: i32,
) {
    // SAFETY: an action of zeros is a valid one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    // SAFETY: it writes to the mask.
    unsafe { libc::sigaddset(&mut action.sa_mask, blocked) };
    // SAFETY: the handlers of tests write to atomics.
    let status = unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    assert_eq!(status, 0, "sigaction");
}

/// Gives a signal a handler, as a C library in the program might.
pub fn set_handler(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: the handlers of tests add to an atomic.
    unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
}
