//! Flow 2, before its beginning: asks GLib and GTK, where the program has them, whether they have come to
//! life.
//!
//! # Safety
//! The functions asked are looked up by name among the libraries that the program has loaded, take no
//! argument, and have had these signatures since GLib 2.36 and GTK 4.0; both only read.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint};
use std::sync::atomic::{AtomicU32, Ordering};

/// GLib's count of type registrations before `main`, when only its own constructors have run; 0 without.
static BEFORE_MAIN: AtomicU32 = AtomicU32::new(0);

/// Notes the count; called before `main`.
pub(super) fn count_registrations() {
    BEFORE_MAIN.store(registrations().unwrap_or(0), Ordering::Relaxed);
}

/// Tells whether types were registered since the program was loaded.
pub(crate) fn glib_types_registered() -> bool {
    let before = BEFORE_MAIN.load(Ordering::Relaxed);
    registrations().is_some_and(|now| before != 0 && now != before)
}

/// Tells whether GTK 4 is initialised.
pub(crate) fn gtk_is_initialized() -> bool {
    let Some(function) = find(c"gtk_is_initialized") else { return false };
    // SAFETY: see the top.
    let function: extern "C" fn() -> c_int = unsafe { std::mem::transmute(function) };
    function() != 0
}

fn registrations() -> Option<u32> {
    let function = find(c"g_type_get_type_registration_serial")?;
    // SAFETY: see the top.
    let function: extern "C" fn() -> c_uint = unsafe { std::mem::transmute(function) };
    Some(function())
}

fn find(name: &CStr) -> Option<*mut libc::c_void> {
    // SAFETY: the name ends with a NUL.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
