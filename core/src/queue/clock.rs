//! Flow 1: `CLOCK_MONOTONIC` in nanoseconds, and what the kernel and std call it.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::{Duration, Instant};

const SECOND: u64 = 1_000_000_000;

pub(super) fn read() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * SECOND + time.tv_nsec.cast_unsigned()
}

/// A duration in nanoseconds; what is longer than 584 years counts as that.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn timespec(nanos: u64) -> Timespec {
    Timespec { tv_sec: (nanos / SECOND).cast_signed(), tv_nsec: (nanos % SECOND).cast_signed() }
}

/// One moment on both scales.
#[derive(Clone, Copy)]
pub(super) struct Epoch {
    instant: Instant,
    nanos: u64,
}

impl Epoch {
    pub(super) fn now() -> Self {
        Epoch { instant: Instant::now(), nanos: read() }
    }

    pub(super) fn instant(self, nanos: u64) -> Instant {
        self.instant + Duration::from_nanos(nanos.saturating_sub(self.nanos))
    }
}
