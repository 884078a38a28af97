//! What all of tine's tests check: descriptors, zombies, and that nothing waits by the clock.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::Queue;

pub mod confined;
pub mod conformance;
pub mod figures;
pub mod jobs;
pub mod native;
pub mod places;
pub mod processes;
pub mod rpc;
pub mod runner;
pub mod scene;
pub mod servers;
pub mod spawned;
pub mod told;
pub mod underneath;
pub mod workers;

/// A time that nothing in a test takes: a deadline for what should happen, and a delay for timers
/// that should not fire.
pub const LONG: Duration = Duration::from_secs(30);

/// What the process had when a test began. Tests of one program run side by side, so a program that
/// uses this holds one test, or runs its tests one by one.
#[derive(Debug)]
pub struct Leaks {
    descriptors: BTreeMap<String, String>,
}

impl Leaks {
    /// Notes the open descriptors.
    pub fn begin() -> Self {
        Leaks { descriptors: descriptors() }
    }

    /// Asserts that no descriptor was left open since, and no child dead and unreaped.
    ///
    /// # Panics
    /// When something leaked, naming it.
    pub fn end(self) {
        assert_eq!(self.descriptors, descriptors(), "descriptors before and after");
        assert_eq!(zombies(), Vec::<String>::new(), "zombies");
    }
}

/// The open descriptors of this process: number and what it names.
///
/// # Panics
/// Where /proc is not mounted.
pub fn descriptors() -> BTreeMap<String, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc/self/fd");
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let target = fs::read_link(&path).ok()?.to_string_lossy().into_owned();
        Some((path.file_name()?.to_string_lossy().into_owned(), target))
    });
    // The listing's own descriptor is gone by the time it is read.
    named.filter(|(_, target)| !target.starts_with("/proc/")).collect()
}

/// The children of this process that ended and were not reaped, as their lines in /proc.
///
/// # Panics
/// Where /proc is not mounted.
pub fn zombies() -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let stats =
        entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let ours = std::process::id().to_string();
    let is_zombie = |stat: &String| {
        let fields =
            stat.rsplit(')').next().map(|rest| rest.split_whitespace().collect::<Vec<_>>());
        fields.is_some_and(|fields| fields.first() == Some(&"Z") && fields.get(1) == Some(&&*ours))
    };
    stats.filter(is_zombie).collect()
}

/// Tells whether a descriptor is readable within `timeout`, as `poll(2)` has it.
///
/// # Panics
/// When poll fails.
pub fn poll_readable(fd: impl AsFd, timeout: Duration) -> bool {
    let fd = fd.as_fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).expect("a timeout of this age");
    loop {
        match poll(&mut fds, Some(&timeout)) {
            // The signal's handler may be what makes it readable.
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.expect("poll") > 0,
        }
    }
}

/// Tells whether a descriptor is readable now.
///
/// # Panics
/// When poll fails.
pub fn readable(fd: impl AsFd) -> bool {
    poll_readable(fd, Duration::ZERO)
}

/// Words that callbacks say, to be looked at in order.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    /// A log without a word.
    pub fn new() -> Self {
        Log::default()
    }

    /// Adds a word.
    pub fn say(&self, word: impl ToString) {
        self.0.borrow_mut().push(word.to_string());
    }

    /// A callback that adds a word each time.
    pub fn saying(&self, word: impl ToString) -> impl Fn() + 'static {
        let (log, word) = (self.clone(), word.to_string());
        move || log.say(&word)
    }

    /// All words so far, with spaces between them; the log is empty afterwards.
    pub fn take(&self) -> String {
        self.0.take().join(" ")
    }
}

/// Turns the queue's embedded loop until `done`.
///
/// # Panics
/// When it is not done within half a minute, showing `state`; or when a turn fails.
pub fn turn_until(queue: &Queue, state: &Log, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "not done after {LONG:?}; said so far: {:?}", state.take());
        queue.turn(Some(left)).expect("turn");
    }
}

/// The signal masks of this thread as the kernel shows them: pending, blocked, ignored; not caught.
///
/// # Panics
/// Where /proc is not mounted.
pub fn signal_masks() -> Vec<String> {
    let status = fs::read_to_string("/proc/thread-self/status").expect("/proc");
    let masks = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn"];
    status
        .lines()
        .filter(|line| masks.iter().any(|mask| line.starts_with(mask)))
        .map(String::from)
        .collect()
}

/// Waits until a thread of this process sleeps in the kernel. It gives its processor away meanwhile.
///
/// # Panics
/// Where /proc is not mounted, and when the thread has ended.
pub fn wait_until_asleep(thread: rustix::thread::Pid) {
    let stat = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    let asleep = |stat: &str| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'));
    while !asleep(&fs::read_to_string(&stat).expect("a live thread")) {
        std::thread::yield_now();
    }
}
