//! Flow 1: what is noted of each watcher, for those who look for a leak or a busy one.

use super::io::Interest;
use super::{Queue, clock};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A watcher's record; 16 bytes.
pub(super) struct Account {
    place: &'static Location<'static>,
    calls: u32,
    /// Time in the callback, in tenths of a microsecond; stays at its greatest value from seven
    /// minutes on.
    busy: u32,
}

impl Account {
    pub(super) fn new(place: &'static Location<'static>) -> Self {
        Account { place, calls: 0, busy: 0 }
    }

    /// Notes a call that took `nanos`; 0 if nobody looked at the clock.
    pub(super) fn note(&mut self, nanos: u64) {
        self.calls = self.calls.saturating_add(1);
        let tenths = u32::try_from(nanos / 100).unwrap_or(u32::MAX);
        self.busy = self.busy.saturating_add(tenths);
    }

    pub(super) fn watching(&self, what: What) -> Watching {
        let busy = Duration::from_nanos(u64::from(self.busy) * 100);
        Watching { what, place: self.place, calls: self.calls, busy }
    }
}

/// What a watcher waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A descriptor, by its number; none if it was closed under the watcher.
    Io(Option<u32>, Interest),
    /// A moment, and how far off it is.
    Timer(Duration),
    /// A signal, by its number.
    Signal(i32),
    /// That nothing else is to be done.
    Idle,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Io(Some(number), interest) => write!(f, "descriptor {number}, {interest}"),
            What::Io(None, interest) => write!(f, "a descriptor that was closed, {interest}"),
            What::Timer(left) => write!(f, "timer in {left:?}"),
            What::Signal(signal) => write!(f, "signal {signal}"),
            What::Idle => f.write_str("idle"),
        }
    }
}

/// One watcher, as it was when [`Queue::watchers`] was called.
///
/// As text it is one line: what it waits for, where it was made, calls, and the time in them if it
/// was noted.
#[derive(Debug, Clone)]
pub struct Watching {
    what: What,
    place: &'static Location<'static>,
    calls: u32,
    busy: Duration,
}

impl Watching {
    /// What it waits for.
    pub fn what(&self) -> What {
        self.what
    }

    /// Where in the source it was made.
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// How often its callback has run; not more than 2^32 - 1.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// How long its callback took in all, while [`Queue::time_calls`] was on: in steps of 100 ns, and
    /// not more than seven minutes.
    pub fn busy(&self) -> Duration {
        self.busy
    }
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Watching { what, place, calls, busy } = self;
        write!(f, "{what}: made at {place}, {calls} calls")?;
        if *busy > Duration::ZERO {
            write!(f, ", {busy:?}")?;
        }
        Ok(())
    }
}

impl Queue {
    /// Lists the watchers there are: descriptors (children among them, by their pidfd), timers,
    /// signals, idle ones; each kind in no order.
    pub fn watchers(&self) -> Vec<Watching> {
        let now = clock::read();
        let mut all = self.core.poller.borrow().watching();
        all.extend(self.core.timers.borrow().watching(now));
        all.extend(self.core.signals.borrow().watching());
        all.extend(self.core.idles.borrow().watching());
        all
    }

    /// Begins, or ends, to note how long callbacks take. It is off at first, for it reads the clock
    /// twice for each callback.
    pub fn time_calls(&self, on: bool) {
        self.core.timing.set(on);
    }
}
