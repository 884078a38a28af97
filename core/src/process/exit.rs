//! Flow 2, at its end: the account of how a process ended.

use std::fmt;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::named;
use crate::wire::{Ended, How, Last, LastWords};
use crate::{Error, ErrorKind};

/// Octets of standard error that are kept.
const STDERR_MAX: usize = 4096;

/// The account of a process's end, told once.
///
/// Status, times and memory are the kernel's own, from the template, which is the process's parent
/// (wait4(2)). Text comes from the process itself and is as true as its code is.
#[derive(Debug, Clone)]
pub struct Exit {
    pid: u32,
    entry: String,
    cause: Cause,
    /// As wait4(2) gives it; None when the template was not there to see it.
    status: Option<i32>,
    user: Duration,
    system: Duration,
    peak_kib: u64,
    lived: Duration,
    stderr: String,
    /// It was killed before it had become the program that it was to be.
    unexecuted: bool,
    /// Its sandbox held less than was required.
    unconfined: bool,
    /// It went on without its template, which alone could have seen how it ended.
    outlived: bool,
}

/// Why a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The entry returned.
    Returned,
    /// The entry returned an error, with this text.
    Failed(String),
    /// The entry panicked.
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`, or nothing when the program has a panic hook of its own.
        place: String,
    },
    /// The image has no entry of that name.
    NoSuchEntry {
        /// Those that it has.
        known: Vec<String>,
    },
    /// The program called exit(3) or _exit(2); or its function ended when it had closed its standard error, or put
    /// another file in its place: by that descriptor it is told how.
    Exited(i32),
    /// A signal killed it.
    Killed {
        /// The signal's number (signal(7)).
        signal: i32,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
    },
    /// What the app sent could not be carried out; the text says what and why.
    BadOrders(String),
    /// A function called in it failed, a library could not be loaded, or its sandbox holds less than is
    /// [required](crate::Sandbox::require); the text says which and why.
    Unprepared(String),
    /// The handle was dropped before `run`.
    Dropped,
    /// The template died, and its processes with it; or, of an external program that was to outlive it, nobody was left
    /// to see how that ended.
    TemplateDied,
}

impl Exit {
    pub(super) fn new(entry: &str, ended: &Ended<'_>) -> Self {
        let cause = Cause::new(ended);
        let how = LastWords::decode(ended.last_words).map(|last| last.how);
        let unconfined = matches!(cause, Cause::Unprepared(_)) && how.ok() == Some(How::Unconfined);
        Exit {
            pid: ended.pid,
            entry: entry.into(),
            cause,
            status: Some(ended.status),
            user: Duration::from_micros(ended.user_us),
            system: Duration::from_micros(ended.system_us),
            peak_kib: ended.peak_kib,
            lived: Duration::from_micros(ended.lived_us),
            stderr: last_lines(ended.stderr),
            unexecuted: ended.unexecuted,
            unconfined,
            outlived: false,
        }
    }

    pub(super) fn with_template(entry: &str, pid: u32, outlived: bool) -> Self {
        Exit {
            pid,
            entry: entry.into(),
            cause: Cause::TemplateDied,
            status: None,
            user: Duration::ZERO,
            system: Duration::ZERO,
            peak_kib: 0,
            lived: Duration::ZERO,
            stderr: String::new(),
            unexecuted: false,
            unconfined: false,
            outlived,
        }
    }

    /// Tells whether the process may have entered its function, or become its program, before.
    pub(super) fn may_have_begun(&self) -> bool {
        !self.unexecuted
            && !matches!(self.cause, Cause::BadOrders(_) | Cause::Unprepared(_) | Cause::Dropped)
    }

    /// Tells whether its template has seen it end.
    pub(super) fn was_seen(&self) -> bool {
        self.status.is_some()
    }

    /// Why there is no process that could be used.
    pub(super) fn refusal(&self) -> Error {
        let kind = if self.unconfined { ErrorKind::Sandbox } else { ErrorKind::NoProcess };
        Error::new(kind, self.to_string())
    }

    /// The process id that it had.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The name of the entry that it was to enter.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Why it ended.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Tells whether the entry returned without an error, or exited with 0.
    pub fn success(&self) -> bool {
        matches!(self.cause, Cause::Returned | Cause::Exited(0))
    }

    /// The exit code; None when it was killed, or nobody was left to see it.
    pub fn code(&self) -> Option<i32> {
        self.status
            .filter(|status| libc::WIFEXITED(*status))
            .map(|status| libc::WEXITSTATUS(status))
    }

    /// The number of the signal that killed it (signal(7)).
    ///
    /// With the template's death it is SIGKILL, as the kernel's parent-death signal (prctl(2)) is; None of an external
    /// program that has outlived it.
    pub fn signal(&self) -> Option<i32> {
        match self.cause {
            Cause::TemplateDied if self.outlived => None,
            Cause::TemplateDied => Some(Signal::KILL.as_raw()),
            _ => self
                .status
                .filter(|status| libc::WIFSIGNALED(*status))
                .map(|status| libc::WTERMSIG(status)),
        }
    }

    /// Processor time in its own code.
    pub fn user_time(&self) -> Duration {
        self.user
    }

    /// Processor time in the kernel for it.
    pub fn system_time(&self) -> Duration {
        self.system
    }

    /// The most memory that was resident at once, in KiB; shared memory counts.
    pub fn peak_rss_kib(&self) -> u64 {
        self.peak_kib
    }

    /// How long it lived, fork to reap.
    pub fn lived(&self) -> Duration {
        self.lived
    }

    /// The last lines that it wrote to its standard error, at most 4 KiB.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }
}

impl Cause {
    fn new(ended: &Ended<'_>) -> Cause {
        let signal = libc::WIFSIGNALED(ended.status).then(|| libc::WTERMSIG(ended.status));
        let panic_aborts = signal == Some(libc::SIGABRT);
        let last = LastWords::decode(ended.last_words).ok();
        match (signal, last) {
            // With `panic = "abort"` a panic's words come before the signal.
            (Some(_), Some(last)) if panic_aborts && last.how == How::Panicked => {
                panicked(last.text)
            }
            (Some(signal), _) => {
                Cause::Killed { signal, core_dumped: libc::WCOREDUMP(ended.status) }
            }
            (None, last) => {
                let code = libc::WEXITSTATUS(ended.status);
                last.and_then(|last| Cause::told(code, last)).unwrap_or(Cause::Exited(code))
            }
        }
    }

    /// What the process said of itself, if its exit code agrees.
    fn told(code: i32, last: Last<'_>) -> Option<Cause> {
        let cause = match last.how {
            How::Returned => Cause::Returned,
            How::Failed => Cause::Failed(lossy(last.text)),
            How::Panicked => panicked(last.text),
            How::NotFound => {
                Cause::NoSuchEntry { known: lossy(last.text).lines().map(String::from).collect() }
            }
            How::BadOrders => Cause::BadOrders(lossy(last.text)),
            How::Dropped => Cause::Dropped,
            How::Unprepared | How::Unconfined => Cause::Unprepared(lossy(last.text)),
        };
        (code == last.how.code()).then_some(cause)
    }
}

fn panicked(text: &[u8]) -> Cause {
    let text = lossy(text);
    let (place, message) = text.split_once('\0').unwrap_or(("", &text));
    Cause::Panicked { message: message.into(), place: place.into() }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The end of standard error as text, which each octet that is none makes longer.
fn last_lines(octets: &[u8]) -> String {
    let mut text = lossy(octets);
    let beyond = text.ceil_char_boundary(text.len().saturating_sub(STDERR_MAX));
    text.drain(..beyond);
    text
}

/// The name of a signal that ends processes (signal(7)).
fn name_of(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} ({}) ", self.pid, named(&self.entry))?;
        match &self.cause {
            Cause::Returned => f.write_str("returned"),
            Cause::Failed(text) => write!(f, "failed: {text}"),
            Cause::Panicked { message, place } if place.is_empty() => {
                write!(f, "panicked: {message}")
            }
            Cause::Panicked { message, place } => write!(f, "panicked at {place}: {message}"),
            Cause::NoSuchEntry { known } => {
                write!(f, "found no such entry; there are: {}", known.join(", "))
            }
            Cause::Exited(code) => write!(f, "exited with {code}"),
            Cause::Killed { signal, core_dumped } => {
                let core = if *core_dumped { " (core dumped)" } else { "" };
                match name_of(*signal) {
                    Some(name) => write!(f, "was killed by {name}{core}"),
                    None => write!(f, "was killed by signal {signal}{core}"),
                }
            }
            Cause::BadOrders(text) => write!(f, "could not follow its orders: {text}"),
            Cause::Unprepared(text) => write!(f, "could not be prepared: {text}"),
            Cause::Dropped => f.write_str("was dropped before it was run"),
            Cause::TemplateDied if self.outlived => {
                f.write_str("outlived its template, and nobody saw how it ended")
            }
            Cause::TemplateDied => f.write_str("died with its template"),
        }
    }
}
