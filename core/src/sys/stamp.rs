//! Both flows: tells a process from the one that it was forked from, without a system call.
//!
//! # Safety
//! The only unsafe call hands `pthread_atfork(3)` a function that adds to an atomic, which is
//! allowed in a child of a program with threads.
#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static STAMP: AtomicU32 = AtomicU32::new(0);
static WATCHED: Once = Once::new();

/// A number that differs in a process and in those forked from it later.
///
/// It counts the calls of `fork(3)` above this process since tine was first used. A bare
/// `clone(2)` goes unseen; so it does by the rest of the C library.
pub(crate) fn stamp() -> u32 {
    WATCHED.call_once(|| {
        // SAFETY: `forked` is async-signal-safe and lives as long as the code that registers it:
        // glibc drops the handlers of an object that is unloaded.
        let status = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        // It fails for want of memory only, and then every allocation of the program would.
        assert_eq!(status, 0, "pthread_atfork");
    });
    STAMP.load(Ordering::Relaxed)
}

extern "C" fn forked() {
    STAMP.fetch_add(1, Ordering::Relaxed);
}
