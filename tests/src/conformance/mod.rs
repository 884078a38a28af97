//! K7, E11: the conformance suite: what a queue promises, checked through the loop that hosts it.
//!
//! Each behaviour is written once, against [`Host`], and runs on every loop that tine has an
//! integration or a page for. It tells whoever writes an integration for a loop of his own whether
//! it is right: implement `Host`, and let `main` be
//!
//! ```no_run
//! # use std::any::Any;
//! # use std::time::Duration;
//! # use tine::Queue;
//! # use tine_tests::conformance::{self, Host};
//! # struct MyLoop;
//! # impl MyLoop { fn new() -> Self { MyLoop } }
//! # impl Host for MyLoop {
//! #     fn name(&self) -> &'static str { "mine" }
//! #     fn attach(&mut self, _: &Queue, _: Option<Duration>) -> Box<dyn Any> { Box::new(()) }
//! #     fn run(&mut self, _: Duration, _: &mut dyn FnMut() -> bool) -> bool { true }
//! # }
//! fn main() -> std::process::ExitCode {
//!     conformance::main(MyLoop::new)
//! }
//! ```
//!
//! in a test target with `harness = false`, for the suite forks a template first thing, which no
//! program with cargo's test harness can. `tests/conformance_poll.rs` is the shortest example.
//! Words on the command line choose the behaviours whose names contain one of them.
//!
//! # Exceptions
//! What a loop cannot keep, its `Host` says, and the suite checks what it does instead:
//! - [`Host::on_panic`]: a loop in C cannot be unwound through, so a panic ends the program.
//! - [`Host::falls_asleep_in`]: async-io's own thread looks a dozen times whether `block_on` really waits
//!   in its place, in growing intervals, before it sleeps for good.
//! - [`Host::many`]: the embedded loop is the queue's own. It turns one queue, has nothing beside it that
//!   a budget could let through, and nothing is attached to it.

mod attaching;
mod children;
mod completions;
mod drivers;
mod dropping;
mod idles;
mod io;
mod posts;
mod program;
mod signals;
mod timers;
mod trial;
mod turns;
mod wakeups;
mod workers;

pub use drivers::Drivers;
pub use program::main;
pub use trial::{DEADLINE, Trial};

use std::any::Any;
use std::time::Duration;
use tine::Queue;

/// A host loop on the calling thread, with the integration that puts queues on it.
pub trait Host {
    /// The loop's name, for messages.
    fn name(&self) -> &'static str;

    /// Lets the loop poll `queue` and dispatch, until what is returned is dropped, which may happen
    /// in a callback of the queue.
    ///
    /// With a `budget`, a turn of the queue ends after it; without one, with the last callback.
    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any>;

    /// Runs the loop until `done` gives true or `timeout` has passed; tells which of the two, with
    /// true for `done`.
    ///
    /// `done` is asked before the loop first waits and after each turn of the loop, and at no other
    /// time: the suite counts these questions to see how often the loop wakes up. The timeout must
    /// be the loop's own (a timer of it, say), so that nothing but the loop is measured.
    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool;

    /// What a panic in a callback of the queue does.
    fn on_panic(&self) -> OnPanic {
        OnPanic::Unwinds
    }

    /// In how many sleeps a thread of the loop's own comes to rest, after each start of the loop.
    fn falls_asleep_in(&self) -> u64 {
        0
    }

    /// Whether several queues, or other sources, can be on the loop at once.
    fn many(&self) -> bool {
        true
    }
}

/// What a panic in a callback of a queue does on a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// It comes out of [`Host::run`].
    Unwinds,
    /// It ends the program with SIGABRT.
    Aborts,
}

/// One promise and how it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// What is promised: the rows of the feature list, and the name of the check.
    pub name: &'static str,
    /// Checks it; panics if it does not hold.
    pub check: fn(&mut Trial<'_>),
}

/// Lists the checks of a module under their own names.
macro_rules! behaviours {
    ($rows:literal: $($check:ident),+ $(,)?) => {
        pub(super) const ALL: &[super::Behaviour] = &[$(super::Behaviour {
            name: concat!($rows, " ", stringify!($check)),
            check: $check,
        }),+];
    };
}
use behaviours;

/// All behaviours, in the order in which they are checked.
pub fn all() -> impl Iterator<Item = Behaviour> {
    let all = [
        posts::ALL,
        timers::ALL,
        io::ALL,
        signals::ALL,
        children::ALL,
        idles::ALL,
        completions::ALL,
        dropping::ALL,
        turns::ALL,
        attaching::ALL,
        workers::ALL,
        wakeups::ALL,
    ];
    all.into_iter().flatten().copied()
}
