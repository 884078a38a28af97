//! Flow 2: the process group of a template and its workers, which is not the app's.
//!
//! What a terminal sends to the app's group (Ctrl-C, Ctrl-\, Ctrl-Z; termios(3)) is meant for the app, which may
//! catch it: to ask what to save, and go on. So a template makes a group of its own as its first act. Its workers
//! are in it, where they need not ignore or block anything to live on; when the app does die, they do. While the
//! app is stopped they come to the ends of what they do, and wait for it. External programs are started in the
//! app's group, as `std::process::Command` has it: they may be what the user talks to.
//!
//! What a worker makes stays in the group that it is in, which no terminal means: an app that adopts orphans
//! knows by it what a template has left.

use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{Pid, getpid, setpgid};

use crate::sys;

/// The app's group; 0 is none, -1 that no template has led to this process.
static APPS: AtomicI32 = AtomicI32::new(-1);

/// Tells whether this process is in a template's group. One that leads a group is an app like any other: it may have a
/// terminal of its own.
pub(crate) fn is_a_templates() -> bool {
    apps() >= 0 && sys::group() != getpid().as_raw_pid()
}

/// Leaves the app's group, which this process has begun in, for one that this process, a template, makes, if it is to be
/// `apart`.
pub(crate) fn leave(apart: bool) {
    come_from(sys::group());
    if apart {
        // Refused to the leader of a session alone, which is the leader of its group already.
        let _ = setpgid(None, None);
    }
}

/// The app's group, as [`come_from`] takes it.
pub(super) fn apps() -> i32 {
    APPS.load(Ordering::Relaxed)
}

/// Has this process, whose template was told by another, know the app's group.
pub(super) fn come_from(group: i32) {
    APPS.store(group, Ordering::Relaxed);
}

/// Puts this process into the app's group, if that still is and is of the same session.
pub(super) fn come_back() {
    if apps() > 0
        && let Some(group) = Pid::from_raw(apps())
    {
        let _ = setpgid(None, Some(group));
    }
}
