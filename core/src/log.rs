//! Beside both flows: records of what happens, for `tracing`'s subscribers, and for standard error when
//! the environment's `TINE_LOG` says so (`docs/environment.md`).
//!
//! Where nobody listens, a record costs two relaxed loads. Subscribers are the program's code, so records
//! are made where no borrow is held.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::time::{ClockId, clock_gettime};

use crate::sys;

/// The variable: the last level that is written.
const VARIABLE: &str = "TINE_LOG";

pub(crate) const ERROR: u8 = 1;
pub(crate) const WARN: u8 = 2;
pub(crate) const INFO: u8 = 3;
pub(crate) const DEBUG: u8 = 4;
pub(crate) const TRACE: u8 = 5;
const NAMES: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The last level that is written; [`UNKNOWN`] before the variable was looked at.
static WRITTEN: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = u8::MAX;

/// Makes a record: a level, a message, and values that can be shown.
macro_rules! note {
    ($level:ident $message:literal $(, $name:ident = $value:expr)* $(,)?) => {{
        ::tracing::event!(::tracing::Level::$level, $($name = %$value,)* $message);
        if $crate::log::is_written($crate::log::$level) {
            $crate::log::write(
                $crate::log::$level,
                ::core::format_args!(
                    ::core::concat!($message $(, " ", ::core::stringify!($name), "={}")*),
                    $($value),*
                ),
            );
        }
    }};
}
pub(crate) use note;

/// Tells whether records of this level go to standard error.
pub(crate) fn is_written(level: u8) -> bool {
    let written = WRITTEN.load(Ordering::Relaxed);
    level <= written && (written != UNKNOWN || level <= look())
}

/// Looks at the variable, once.
#[cold]
fn look() -> u8 {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    let named = NAMES.iter().position(|name| value.eq_ignore_ascii_case(name));
    let level = if sys::startup::is_secure() { 0 } else { named.unwrap_or(0) as u8 };
    WRITTEN.store(level, Ordering::Relaxed);
    level
}

/// Writes a line, at once and whole, that other processes' lines do not mix with.
#[cold]
pub(crate) fn write(level: u8, record: fmt::Arguments<'_>) {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, micros) = (time.tv_sec, time.tv_nsec / 1000);
    let (pid, level) = (std::process::id(), NAMES[usize::from(level)]);
    let line = format!("[{seconds:5}.{micros:06}] tine {pid} {level}: {record}\n");
    // Where nobody can read it there is nobody to tell.
    let _unread = std::io::stderr().write_all(line.as_bytes());
}
