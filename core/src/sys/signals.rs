//! Flow 2: the signal mask and handlers of templates and fresh processes; the numbers of signals.
//!
//! # Safety
//! Only a template and a process that it has just forked change masks and handlers here: they have one thread and no
//! handler that anyone waits for.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::process::Signal;

/// Blocks SIGCHLD and gives a descriptor that is readable when a child has ended (signalfd(2)).
///
/// Blocks SIGTTOU too, which stops whoever writes to a terminal that is set so (`stty tostop`) from outside of its
/// foreground group, and SIGXFSZ, which kills whoever writes more to a file than it may (setrlimit(2)): a template only
/// passes on what workers wrote.
///
/// # Errors
/// The kernel's, when descriptors run out.
pub(crate) fn child_signals() -> std::io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that the other calls read; all pointers are to it.
    let fd = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTTOU);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
        libc::sigdelset(set.as_mut_ptr(), libc::SIGTTOU);
        libc::sigdelset(set.as_mut_ptr(), libc::SIGXFSZ);
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: signalfd has just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The signal of this number, if there is one that programs may send: those with a name, and real-time ones.
pub(crate) fn signal(number: i32) -> Option<Signal> {
    Signal::from_named_raw(number).or_else(|| {
        let real_time = (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number);
        // SAFETY: the number is that of a signal, and none that the C library has reserved for itself.
        real_time.then(|| unsafe { Signal::from_raw_unchecked(number) })
    })
}

/// Has SIGPIPE ignored, in an image whose other signals have their default actions already (execve(2)).
pub(crate) fn ignore_broken_pipes() {
    // SAFETY: the action is a constant.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Empties the signal mask; with `handlers`, also gives every signal its default action.
///
/// SIGPIPE alone is ignored, as Rust's start-up leaves it and code written in Rust expects.
pub(crate) fn default_signals(handlers: bool) {
    if handlers {
        for signal in 1..=libc::SIGRTMAX() {
            let action = if signal == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL };
            // SAFETY: the actions are constants. The C library refuses its own two signals, and the
            // kernel SIGKILL and SIGSTOP: nothing to reset there.
            unsafe { libc::signal(signal, action) };
        }
    }
    let none = 0_u64;
    let args =
        [libc::SIG_SETMASK as usize, std::ptr::from_ref(&none) as usize, 0, size_of_val(&none)];
    // SAFETY: the mask is the kernel's, which reads its 8 octets and is asked to write none.
    unsafe { super::raw::syscall(libc::SYS_rt_sigprocmask, args) };
}
