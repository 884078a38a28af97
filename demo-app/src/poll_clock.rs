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
use std::time::{Duration, Instant};

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
    /// When the last poll returned, and the thread's processor time then.
    awake_since: Cell<Option<(Instant, Duration)>>,
    /// Made when measuring begins.
    measured: RefCell<Option<Measured>>,
}

/// The lengths of the main loop's busy stretches.
#[derive(Debug, Default)]
pub struct Measured {
    /// By the clock: what a key would have had to wait.
    pub stalls: Stalls,
    /// Of the processor: without the time in which other programs had it.
    pub work: Stalls,
}

impl Clock {
    const fn new() -> Self {
        Self { poll: Cell::new(None), awake_since: Cell::new(None), measured: RefCell::new(None) }
    }

    fn falls_asleep(&self) {
        if let Some((since, worked)) = self.awake_since.take()
            && let Some(measured) = &mut *self.measured.borrow_mut()
        {
            measured.stalls.note(since.elapsed());
            measured.work.note(processor_time().saturating_sub(worked));
        }
    }
}

/// Begins to measure the default main context, which this thread runs. Measuring goes on until the
/// program ends; more calls change nothing.
pub fn install() {
    let context = MainContext::default();
    assert!(context.is_owner(), "measured in the thread that runs the main loop");
    CLOCK.with(|clock| {
        if clock.measured.replace(Some(clock.measured.take().unwrap_or_default())).is_some() {
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
pub fn measured() -> Measured {
    CLOCK.with(|clock| clock.measured.replace(Some(Measured::default()))).unwrap_or_default()
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
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
    let _gone =
        CLOCK.try_with(|clock| clock.awake_since.set(Some((Instant::now(), processor_time()))));
    ready
}
