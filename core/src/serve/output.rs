//! Flow 2: standard output as Rust's standard library buffers it, at a fresh process's beginning and end.

use std::io::{self, Write as _};

use crate::sys;

/// Does for all processes to come what each would do at its end.
pub(super) fn make_ready() {
    sys::look_up_threads();
    // Its buffer.
    drop(io::stdout());
}

/// Writes out what this process has printed and not yet written, when its function has returned.
///
/// Not if another thread may hold the lock of standard output: that could be for ever. Then it is left to
/// [`exit_over_threads`].
#[inline]
pub(super) fn finish() {
    if sys::is_single_threaded() {
        // Nobody reads any more: nobody misses it.
        let _ = io::stdout().flush();
    }
}

/// Leaves through the standard library's own way out, which writes out what it can without waiting for a lock.
/// Comes back where that is not needed, or would call handlers of the app's.
pub(super) fn exit_over_threads(code: i32) {
    if cfg!(target_env = "gnu") && !sys::is_single_threaded() {
        super::enter::exit_at_once();
        std::process::exit(code);
    }
}

/// In a template that was just forked: forgets what the app has printed and could not write.
pub(crate) fn forget() {
    let Ok(own) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) else { return };
    if sys::descriptors::make_null(1).is_ok() {
        let _ = io::stdout().flush();
        let _ = sys::descriptors::make_standard(&own, 1);
    }
}
