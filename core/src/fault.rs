//! Beneath both flows: failures that a test has asked for, at the places where they would come by themselves.
//!
//! The app's are its thread's; a template's come with a message and are inherited by its processes.

use std::cell::Cell;

use rustix::io::Errno;
use rustix::process::Signal;

/// A moment in the life of a template or a process, at which it can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Stage {
    /// A process, before it has read its orders.
    Born = 1,
    /// A process, before a function is called in it.
    Preparing = 2,
    /// A process that has all its orders, before it enters its function.
    Entering = 3,
    /// A process whose function has returned, before it says so.
    Leaving = 4,
    /// The template, when a process is asked of it.
    Asked = 5,
    /// The template, when it has told that the process exists.
    Told = 6,
}

/// What is to fail; nothing, by default. See [`Template::inject`](crate::Template::inject).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    pub(crate) sockets: u32,
    pub(crate) tiny: bool,
    pub(crate) forks: u32,
    pub(crate) kills: u32,
    pub(crate) stage: Option<Stage>,
    pub(crate) pressure: bool,
}

impl Faults {
    /// Nothing fails.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The next `count` sockets that this thread makes for processes and links are refused with `EMFILE`.
    pub fn refuse_sockets(self, count: u32) -> Faults {
        Faults { sockets: count, ..self }
    }

    /// Sockets that this thread makes get the smallest buffers there are: orders are written and read in
    /// pieces, and links are full after a few messages.
    pub fn tiny_buffers(self) -> Faults {
        Faults { tiny: true, ..self }
    }

    /// The system is short of memory, once: the template gives up its spares for as long as it would then.
    pub fn short_of_memory(self) -> Faults {
        Faults { pressure: true, ..self }
    }

    /// The template's next `count` forks fail with `EAGAIN`.
    pub fn refuse_forks(self, count: u32) -> Faults {
        Faults { forks: count, ..self }
    }

    /// The next `count` processes, or the template itself, are killed when they come to `stage`.
    pub fn kill_at(self, stage: Stage, count: u32) -> Faults {
        Faults { stage: Some(stage), kills: count, ..self }
    }
}

thread_local! {
    static FAULTS: Cell<Faults> = const {
        Cell::new(Faults { sockets: 0, tiny: false, forks: 0, kills: 0, stage: None, pressure: false })
    };
    /// Whether this process is one that is to be killed.
    static DOOMED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn set(faults: Faults) {
    FAULTS.set(faults);
}

/// Refuses a socket; else tells whether it is to have tiny buffers.
pub(crate) fn socket() -> rustix::io::Result<bool> {
    let faults = FAULTS.get();
    if faults.sockets > 0 {
        FAULTS.set(Faults { sockets: faults.sockets - 1, ..faults });
        return Err(Errno::MFILE);
    }
    Ok(faults.tiny)
}

/// To be called by a template before it forks: refuses, or dooms the process to be.
pub(crate) fn fork() -> rustix::io::Result<()> {
    let faults = FAULTS.get();
    if faults.forks > 0 {
        FAULTS.set(Faults { forks: faults.forks - 1, ..faults });
        return Err(Errno::AGAIN);
    }
    // What has not changed is not written: each page that a template writes to is copied.
    if DOOMED.get() != (faults.kills > 0) {
        DOOMED.set(faults.kills > 0);
    }
    if faults.kills > 0 {
        FAULTS.set(Faults { kills: faults.kills - 1, ..faults });
    }
    Ok(())
}

/// A process comes to a stage, and no further if it is doomed.
#[inline(always)]
pub(crate) fn process_at(stage: Stage) {
    if DOOMED.get() && FAULTS.get().stage == Some(stage) {
        die();
    }
}

/// The template comes to a stage.
pub(crate) fn template_at(stage: Stage) {
    if FAULTS.get().stage == Some(stage) {
        die();
    }
}

#[cold]
fn die() {
    // The signal comes before the call returns; there is nothing that could be refused.
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

impl Stage {
    pub(crate) fn from_octet(octet: u8) -> Option<Stage> {
        use Stage::*;
        [Born, Preparing, Entering, Leaving, Asked, Told]
            .into_iter()
            .find(|stage| *stage as u8 == octet)
    }
}
