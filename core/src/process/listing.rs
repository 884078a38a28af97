//! Flow 2: what is under way, for those who look for what hangs or leaks.

use std::fmt::{self, Write as _};
use std::panic::Location;
use std::time::Duration;

use super::Template;
use super::link::Link;

/// How far a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Held back in the app: its template has enough to do.
    Waiting,
    /// The template was asked for it.
    Asked,
    /// It exists and has not all of its orders, or is not ready yet.
    Started,
    /// `run`'s callback has its socket.
    Running,
    /// It has ended, and callbacks are about to tell that.
    Ended,
}

/// A process that was told to run, as it was when [`Template::processes`] was called.
///
/// As text it is one line.
#[derive(Debug, Clone)]
pub struct Underway {
    pub(super) entry: String,
    pub(super) pid: Option<u32>,
    pub(super) phase: Phase,
    pub(super) place: &'static Location<'static>,
    pub(super) age: Duration,
}

impl Underway {
    /// The name of the entry that it enters, or of the program that it executes.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Its process id, once it exists.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Where in the source it was told to run.
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// The time since.
    pub fn age(&self) -> Duration {
        self.age
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Waiting => "waiting",
            Phase::Asked => "asked for",
            Phase::Started => "started",
            Phase::Running => "running",
            Phase::Ended => "ended",
        })
    }
}

impl fmt::Display for Underway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Underway { entry, pid, phase, place, age } = self;
        match pid {
            Some(pid) => write!(f, "worker {pid} ({entry})")?,
            None => write!(f, "worker for {entry}")?,
        }
        write!(f, ": {phase}, made at {place} {age:.1?} ago")
    }
}

impl Template {
    /// Lists the processes that this thread has told to run and whose ends were not told yet, in the order
    /// in which the template was asked for them.
    pub fn processes(&self) -> Vec<Underway> {
        Link::known(self).map_or_else(Vec::new, |link| link.underway())
    }
}

/// Tells what this thread has under way, as text of several lines: its queue with each watcher, and each
/// template with its processes, with where in the source they were made.
///
/// ```
/// let timer = tine::queue().after(std::time::Duration::from_secs(60), || ());
/// assert!(tine::overview().contains("timer in"));
/// # drop(timer);
/// ```
pub fn overview() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _never = write(&mut text);
    text
}

fn write(text: &mut String) -> fmt::Result {
    if let Some(queue) = crate::queue::existing() {
        let watchers = queue.watchers();
        let host = queue.attached().unwrap_or("no loop");
        writeln!(text, "queue on {host}: {} watchers", watchers.len())?;
        for watcher in watchers {
            writeln!(text, "  {watcher}")?;
        }
    }
    for link in Link::all() {
        writeln!(text, "{link}")?;
        for process in link.underway() {
            writeln!(text, "  {process}")?;
        }
    }
    Ok(())
}
