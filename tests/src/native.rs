//! What C code does to a process and safe Rust does not: handlers, masks, stray descriptors, buffers.
//!
//! # Safety
//! Each function calls one function of the C library whose arguments are constants, numbers or strings
//! that live through the call. Handlers and exit functions that are installed do nothing but write(2) or
//! nothing at all. The programs that call these have one thread.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

/// Leaves a descriptor open at `number`, or wherever there is room, without close-on-exec.
///
/// # Panics
/// When the number cannot be had.
pub fn leak(fd: OwnedFd, number: Option<RawFd>) -> RawFd {
    let fd = fd.into_raw_fd();
    // SAFETY: see the top; nobody owns `number` by then, or dup2 closes what the caller gave up.
    unsafe {
        match number {
            Some(number) => {
                assert_eq!(libc::dup2(fd, number), number, "dup2");
                libc::close(fd);
                number
            }
            None => {
                assert_eq!(libc::fcntl(fd, libc::F_SETFD, 0), 0, "fcntl");
                fd
            }
        }
    }
}

/// Closes a descriptor by its number.
pub fn close(number: RawFd) {
    // SAFETY: see the top; the caller says that nobody uses it any more.
    unsafe { libc::close(number) };
}

/// Writes to a descriptor by its number, whatever it is, without waiting for room.
pub fn write(number: RawFd, octets: &[u8]) {
    // SAFETY: see the top; a socket's buffer may be full, and then nobody is waited for.
    unsafe {
        if libc::send(number, octets.as_ptr().cast(), octets.len(), libc::MSG_DONTWAIT) < 0 {
            libc::write(number, octets.as_ptr().cast(), octets.len());
        }
    }
}

extern "C" fn nothing(_: libc::c_int) {}

/// Handles a signal by doing nothing, as opposed to ignoring it.
pub fn handle(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::signal(signal, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Gives a signal its default action.
pub fn default(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Blocks a signal in this thread.
pub fn block(signal: i32) {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that the others read.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Sets the locale of all categories; tells whether the system has it.
pub fn set_locale(name: &CStr) -> bool {
    // SAFETY: see the top.
    unsafe { !libc::setlocale(libc::LC_ALL, name.as_ptr()).is_null() }
}

/// The locale of all categories.
pub fn locale() -> String {
    // SAFETY: with a null pointer setlocale only answers, and never with null.
    unsafe { CStr::from_ptr(libc::setlocale(libc::LC_ALL, std::ptr::null())) }
        .to_string_lossy()
        .into_owned()
}

/// The hour of the day, by the C library's time zone, at the beginning of 1970.
pub fn hour_of_the_epoch() -> i32 {
    // SAFETY: both pointers are to values of this frame; a zeroed tm is valid.
    unsafe {
        let mut tm = std::mem::zeroed();
        libc::localtime_r(&0, &mut tm);
        tm.tm_hour
    }
}

/// Sets an environment variable, which is safe in a program with one thread.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: see the top.
    unsafe { std::env::set_var(name, value) };
}

/// Removes an environment variable, which is safe in a program with one thread.
pub fn remove_variable(name: &str) {
    // SAFETY: see the top.
    unsafe { std::env::remove_var(name) };
}

extern "C" fn gone() {
    // SAFETY: write(2) of a constant.
    unsafe { libc::write(2, b"exit handler of the app\n".as_ptr().cast(), 24) };
}

/// Has a line written to standard error when this process calls exit(3).
pub fn speak_at_exit() {
    // SAFETY: see the top.
    unsafe { libc::atexit(gone) };
}

/// Leaves text in the C library's buffer of a stream to `fd`, to be written by exit(3).
///
/// # Panics
/// When the stream cannot be had.
pub fn buffer(fd: OwnedFd, text: &CStr) {
    // SAFETY: see the top; the stream owns the descriptor and lives as long as the process.
    unsafe {
        let stream = libc::fdopen(fd.into_raw_fd(), c"w".as_ptr());
        assert!(!stream.is_null(), "fdopen");
        libc::fputs(text.as_ptr(), stream);
    }
}

/// Leaves by _exit(2).
pub fn leave(code: i32) -> ! {
    // SAFETY: see the top.
    unsafe { libc::_exit(code) }
}

/// Sends this process a signal (raise(3)).
pub fn raise(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::raise(signal) };
}

/// Stops dying with the parent, as a program that calls prctl(2) can.
pub fn outlive_parent() {
    // SAFETY: see the top.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
}

/// Forks; the child runs `child` and leaves by _exit(2). Gives the child's id.
///
/// # Panics
/// When fork fails.
pub fn fork(child: impl FnOnce()) -> u32 {
    // SAFETY: the programs that call this have one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        child();
        leave(0);
    }
    assert!(pid > 0, "fork");
    pid.cast_unsigned()
}

/// Waits for a child of [`fork`].
///
/// # Panics
/// When it is not one.
pub fn reap(pid: u32) {
    let mut status = 0;
    // SAFETY: the pointer is to a value of this frame.
    let reaped = unsafe { libc::waitpid(pid.cast_signed(), &mut status, 0) };
    assert_eq!(reaped, pid.cast_signed(), "waitpid");
}
