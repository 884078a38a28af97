//! Flow 2: what happens before `main`, in every program that links tine.
//!
//! # Safety
//! The C library calls the functions of `.init_array` before `main`, in the one thread there is, after the
//! constructors of the libraries that the program depends on. Rust's standard library allows most of
//! itself there (its arguments, panics and input/output work; tried); nothing else may be asked.
#![allow(unsafe_code)]

/// Functions that run before `main`. Modules above this one add theirs, so that no arrow points up.
#[linkme::distributed_slice]
pub(crate) static BEFORE_MAIN: [fn()];

#[used]
// SAFETY: see the top; the signature is one that the C library may call with arguments that are ignored.
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = {
    extern "C" fn start() {
        super::toolkit::count_registrations();
        super::loader::note();
        for function in BEFORE_MAIN {
            function();
        }
    }
    start
};

/// Tells whether the program runs with more rights than its user has: set-user-id and the like (getauxval(3)).
pub(crate) fn is_secure() -> bool {
    // SAFETY: getauxval only reads what the kernel put before the program.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
