//! Flow 2: a worker looks at itself, the app looks at the template, and the findings come together.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::rc::Rc;

use rustix::process::Signal;

use super::look::{Allowed, look};
use crate::{Error, ErrorKind, Item, Result, Template, Worker, process, sys};

/// What an [`audit`] has found, in words: nothing, if all is as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    findings: Vec<String>,
}

impl Audit {
    /// Tells whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Everything that is wrong, a sentence each, with the process in which it is.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }
}

impl fmt::Display for Audit {
    /// A line for each finding, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() { f.write_str("clean") } else { f.write_str(&self.findings.join("\n")) }
    }
}

/// Audits a template and a worker of it, and waits for the outcome, driving this thread's queue.
///
/// A worker may have its standard descriptors, its socket and what its template was sent; it has no signal
/// blocked or handled, none ignored but SIGPIPE, one thread, no toolkit in life, and the app's environment,
/// directory and umask of now. Of a template, files, devices and a second event loop are told; its sockets
/// and pipes are its own, as far as can be seen from outside.
///
/// # Errors
/// As [`Process::run`](crate::Process::run)'s callback; [`ErrorKind::System`] without /proc.
///
/// # Examples
/// ```no_run
/// # fn main() -> tine::Result<()> {
/// let template = tine::Template::exec()?;
/// let audit = tine::testing::audit(&template)?;
/// assert!(audit.is_clean(), "{audit}");
/// # Ok(()) }
/// ```
pub fn audit(template: &Template) -> Result<Audit> {
    let told = Rc::new(RefCell::new(None));
    let tell = Rc::clone(&told);
    audit_then(template, move |outcome| drop(tell.replace(Some(outcome))));
    crate::queue().run_until(|| told.borrow().is_some())?;
    let silent = || Error::new(ErrorKind::Cancelled, "the audit was given up");
    told.take().ok_or_else(silent)?
}

/// The same, with a callback that runs in a dispatch of this thread's queue.
pub fn audit_then(template: &Template, callback: impl FnOnce(Result<Audit>) + 'static) {
    let of_template = template.clone();
    process::answer(template.fork(), LOOK, move |answer| {
        callback(answer.and_then(|answer| conclude(&of_template, &answer)));
    });
}

use entry::LOOK;

#[expect(unsafe_code, reason = "linkme names a linker section; the function itself is safe")]
mod entry {
    use super::look_at_myself;
    crate::entry!(pub(super) LOOK = look_at_myself);
}

/// What the worker says: strings that end with a NUL, each with a letter before it that tells what it is.
fn look_at_myself(mut worker: Worker) -> Result<()> {
    let sent: Vec<Item> = worker.take_all().collect();
    let own = |fd: i32, _: &str| {
        fd <= worker.socket().as_raw_fd() || sent.iter().any(|item| is(item, fd))
    };
    let wrong = look(Path::new("/proc/self"), &Allowed { descriptor: &own, blocked: &[] })?;
    let mut said: Vec<String> = wrong.into_iter().map(|wrong| format!("!{wrong}")).collect();
    if sys::toolkit::gtk_is_initialized() {
        said.push("*GTK is initialised".into());
    } else if sys::toolkit::glib_types_registered() {
        said.push("*GLib is initialised (types are registered)".into());
    }
    let fds = sent.iter().filter_map(|item| match item {
        Item::Fd(fd) => std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok(),
        Item::Arg(_) => None,
    });
    said.extend(fds.map(|target| format!(">{}", target.display())));
    said.extend(state().into_iter().map(|state| format!("={state}")));
    let octets: Vec<u8> = said.iter().flat_map(|said| said.bytes().chain([0])).collect();
    Ok(worker.socket().write_all(&octets)?)
}

fn is(item: &Item, number: i32) -> bool {
    matches!(item, Item::Fd(fd) if fd.as_raw_fd() == number)
}

/// What a worker has of the app's: its environment, directory and umask, in words.
fn state() -> Vec<String> {
    let variable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        format!("variable {}={}", name.to_string_lossy(), value.to_string_lossy())
    };
    let mut state: Vec<String> = std::env::vars_os().map(variable).collect();
    state.push(format!("directory {}", directory()));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    state.push(format!("umask {}", umask.unwrap_or_default().trim()));
    state
}

fn directory() -> String {
    std::env::current_dir().unwrap_or_default().display().to_string()
}

fn conclude(template: &Template, answer: &[u8]) -> Result<Audit> {
    let text = String::from_utf8_lossy(answer);
    let said: Vec<(&str, &str)> =
        text.split_terminator('\0').filter_map(|said| said.split_at_checked(1)).collect();
    let of = |kind: &str| -> Vec<&str> {
        said.iter().filter(|said| said.0 == kind).map(|said| said.1).collect()
    };
    let mut findings: Vec<String> =
        of("!").iter().map(|wrong| format!("worker: {wrong}")).collect();
    let (own, its) = (state(), of("="));
    let lacks = own.iter().filter(|own| !its.contains(&own.as_str()));
    findings.extend(lacks.map(|own| format!("worker: it lacks the app's {own}")));
    let extra = its.iter().filter(|its| !own.iter().any(|own| own == *its));
    findings.extend(extra.map(|its| format!("worker: it has {its}, unlike the app")));
    findings.extend(of_template(template, &of(">"), &of("*"))?);
    Ok(Audit { findings })
}

/// A worker does nothing with a toolkit: one that lives there has come from the template.
fn of_template(template: &Template, sent: &[&str], toolkit: &[&str]) -> Result<Vec<String>> {
    let Some(pid) = template.pid() else { return Ok(Vec::new()) };
    let loops = std::cell::Cell::new(0);
    let own = |fd: i32, target: &str| match target {
        "anon_inode:[eventpoll]" => loops.replace(loops.get() + 1) == 0,
        "anon_inode:[signalfd]" | "/proc/pressure/memory" => true,
        _ if fd <= 2 || sent.contains(&target) => true,
        _ if target.starts_with("socket:") || target.starts_with("pipe:") => true,
        // Those that it passes on: its threads' of now, or of a moment ago. They may be deleted by now.
        _ => std::fs::metadata(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|what| what.is_dir()),
    };
    let allowed =
        Allowed { descriptor: &own, blocked: &[Signal::CHILD, Signal::TTOU, Signal::XFSZ] };
    let mut wrong = look(Path::new(&format!("/proc/{pid}")), &allowed)?;
    wrong.extend(toolkit.iter().map(ToString::to_string));
    Ok(wrong.into_iter().map(|wrong| format!("template {pid}: {wrong}")).collect())
}
