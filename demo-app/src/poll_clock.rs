//! Measures how long the main loop is busy between two polls, without waking it once: whatever came
//! in meanwhile had to wait that long.
//!
//! # Safety
//!
//! `glib` has no binding for
//! `g_main_context_set_poll_func`, and nothing else is called at both edges of a poll; timers or idle
//! sources would wake the loop that they measure. The function that it sets calls the one that was
//! set before with the arguments that GLib gave it, and touches nothing else of GLib's.

#![expect(unsafe_code, reason = "glib has no binding for g_main_context_set_poll_func")]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_uint};
use std::time::Instant;

use gtk4::glib::MainContext;
use gtk4::glib::ffi::{
    GPollFD, GPollFunc, g_main_context_get_poll_func, g_main_context_set_poll_func,
};
use gtk4::glib::translate::ToGlibPtr;

use crate::stalls::Stalls;

thread_local! {
    static CLOCK: Clock = const { Clock::new() };
}

struct Clock {
    /// What GLib called before; set once.
    poll: Cell<GPollFunc>,
    /// When the last poll returned.
    awake_since: Cell<Option<Instant>>,
    /// Made when measuring begins.
    stalls: RefCell<Option<Stalls>>,
}

impl Clock {
    const fn new() -> Self {
        Self { poll: Cell::new(None), awake_since: Cell::new(None), stalls: RefCell::new(None) }
    }

    fn falls_asleep(&self) {
        if let Some(since) = self.awake_since.take()
            && let Some(stalls) = &mut *self.stalls.borrow_mut()
        {
            stalls.note(since.elapsed());
        }
    }
}

/// Begins to measure the default main context, which this thread runs. Measuring goes on until the
/// program ends; more calls change nothing.
pub fn install() {
    let context = MainContext::default();
    assert!(context.is_owner(), "measured in the thread that runs the main loop");
    CLOCK.with(|clock| {
        if clock.stalls.replace(Some(clock.stalls.take().unwrap_or_default())).is_some() {
            return;
        }
        let context = context.to_glib_none();
        // SAFETY: the pointer is that of a live context, kept by `context`.
        clock.poll.set(unsafe { g_main_context_get_poll_func(context.0) });
        // SAFETY: as before; `poll` is a function of the program and lives as long as it does.
        unsafe { g_main_context_set_poll_func(context.0, Some(poll)) };
    });
}

/// Gives what was measured so far, and begins anew.
pub fn stalls() -> Stalls {
    CLOCK.with(|clock| clock.stalls.replace(Some(Stalls::default()))).unwrap_or_default()
}

/// GLib's poll with a look at the clock before and after.
unsafe extern "C" fn poll(fds: *mut GPollFD, count: c_uint, timeout: c_int) -> c_int {
    // Whatever runs the loop after this thread's data is gone is not measured, but must not hang.
    let original = CLOCK.try_with(|clock| {
        clock.falls_asleep();
        clock.poll.get()
    });
    let ready = match original {
        // SAFETY: GLib's arguments are passed on to the function that GLib would have called.
        Ok(Some(original)) => unsafe { original(fds, count, timeout) },
        _ => 0,
    };
    // Gone as before.
    let _gone = CLOCK.try_with(|clock| clock.awake_since.set(Some(Instant::now())));
    ready
}
