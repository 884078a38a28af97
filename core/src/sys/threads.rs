//! Flow 2: whether this process has more than one thread, asked without a system call.
//!
//! # Safety
//! `__libc_single_threaded` is a `char` that the GNU C library keeps since 2.32 (sys/single_threaded.h). It is
//! looked up by name, as an older library does not have it, and only read; a thread that is being made by another one,
//! which alone could change it, makes it false before.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

static SINGLE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// Looks it up, once for all processes to come.
pub(crate) fn look_up() {
    SINGLE.store(find(), Ordering::Relaxed);
}

#[cfg(not(all(target_env = "gnu", target_feature = "crt-static")))]
fn find() -> *mut c_char {
    // SAFETY: the name ends with a NUL.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) }.cast()
}

/// The library is in the program, where nothing is found by name: the linker finds it, or says that the library is too old.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
fn find() -> *mut c_char {
    unsafe extern "C" {
        static __libc_single_threaded: c_char;
    }
    (&raw const __libc_single_threaded).cast_mut()
}

/// Tells whether there is one thread. Where the C library does not say, there may be more.
#[inline]
pub(crate) fn is_single_threaded() -> bool {
    let single = SINGLE.load(Ordering::Relaxed);
    // SAFETY: see the top; the library is never unloaded.
    !single.is_null() && unsafe { single.read_volatile() } != 0
}
