//! Flow 2: environment, locale and time zone of a template, as the app's were.
//!
//! # Safety
//! The C library's state here is global and unguarded. The functions that change it are called by
//! templates only, which have one thread.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};

unsafe extern "C" {
    static mut environ: *const *const c_char;
    #[link_name = "tzset"]
    fn c_tzset();
}

/// Replaces the whole environment by `NAME=value` strings.
///
/// The C library's setenv would leak every old value; here the old block is freed when the next comes.
pub(crate) fn replace_environment(strings: Vec<CString>) {
    thread_local! {
        static BLOCK: Cell<(Vec<CString>, Vec<*const c_char>)> = const { Cell::new((Vec::new(), Vec::new())) };
    }
    let mut pointers: Vec<*const c_char> = strings.iter().map(|string| string.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: one thread. The array ends with a null pointer and, with the strings, lives in BLOCK until
    // the next call has put another in its place; the thread never ends before the process does.
    unsafe { environ = pointers.as_ptr() };
    drop(BLOCK.replace((strings, pointers)));
}

/// Tells whether the environment is this: `NAME=value` strings, each with its NUL. For a process with one thread.
pub(crate) fn is_environment(block: &[u8]) -> bool {
    let mut rest = block;
    // SAFETY: the array ends with a null pointer and each string with a NUL (environ(7)), and there is no other thread
    // to change it meanwhile.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            match rest.strip_prefix(CStr::from_ptr(*at).to_bytes_with_nul()) {
                Some(after) => rest = after,
                None => return false,
            }
            at = at.add(1);
        }
    }
    rest.is_empty()
}

/// Takes a variable out of the environment.
pub(crate) fn remove_variable(name: &CStr) {
    // SAFETY: one thread, before `main`; the name ends with a NUL.
    unsafe { libc::unsetenv(name.as_ptr()) };
}

/// Sets a variable of the environment.
pub(crate) fn set_variable(name: &CStr, value: &CStr) {
    // SAFETY: one thread, before `main`; both end with a NUL, and are copied.
    unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
}

/// Names the current locale of all categories, as setlocale(3) takes it back.
pub(crate) fn locale() -> CString {
    with_locale(CStr::to_owned)
}

/// Tells whether the current locale of all categories has this name.
pub(crate) fn is_locale(name: &CStr) -> bool {
    with_locale(|now| now == name)
}

fn with_locale<T>(look: impl FnOnce(&CStr) -> T) -> T {
    // SAFETY: with a null pointer setlocale only answers; the string is read before any other call
    // could change it. A program that changes its locale in another thread meanwhile has no defined
    // locale to take over.
    unsafe {
        let name = libc::setlocale(libc::LC_ALL, std::ptr::null());
        look(if name.is_null() { c"C" } else { CStr::from_ptr(name) })
    }
}

/// Sets the locale of all categories; one that the system lacks changes nothing.
pub(crate) fn set_locale(name: &CStr) {
    // SAFETY: one thread; the string ends with a NUL.
    unsafe { libc::setlocale(libc::LC_ALL, name.as_ptr()) };
}

/// Reads the time zone from the environment anew.
pub(crate) fn tzset() {
    // SAFETY: one thread.
    unsafe { c_tzset() };
}
