//! Flow 2, the other side: what can be seen of a process in /proc, and what is wrong with it.

use std::fs;
use std::os::fd::RawFd;
use std::path::Path;

use rustix::process::Signal;

use crate::{Error, Result};

/// What a process may have.
pub(super) struct Allowed<'a> {
    pub descriptor: &'a dyn Fn(RawFd, &str) -> bool,
    pub blocked: &'a [Signal],
}

/// Tells what is wrong with the process whose directory in /proc this is.
pub(super) fn look(process: &Path, allowed: &Allowed<'_>) -> Result<Vec<String>> {
    let mut wrong = descriptors(process, allowed.descriptor)?;
    wrong.extend(signals(process, allowed.blocked)?);
    wrong.extend(threads(process)?);
    Ok(wrong)
}

fn failed(process: &Path) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::system(format_args!("look at {}", process.display()), error)
}

fn descriptors(process: &Path, allowed: &dyn Fn(RawFd, &str) -> bool) -> Result<Vec<String>> {
    let listing = fs::read_dir(process.join("fd")).map_err(failed(process))?;
    let numbers: Vec<RawFd> =
        listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let mut wrong = Vec::new();
    for number in numbers {
        // The listing's own is closed by now.
        let Ok(target) = fs::read_link(process.join(format!("fd/{number}"))) else { continue };
        let target = target.to_string_lossy();
        if !allowed(number, &target) {
            wrong.push(format!("descriptor {number} is open: {target}"));
        }
    }
    Ok(wrong)
}

/// The C library's own two, which it lets nobody change, and a parent may have had ignored.
const RESERVED: u64 = 0b11 << 31;

fn signals(process: &Path, blocked: &[Signal]) -> Result<Vec<String>> {
    let status = fs::read_to_string(process.join("status")).map_err(failed(process))?;
    let of =
        |signals: &[Signal]| signals.iter().fold(0, |mask, s| mask | 1_u64 << (s.as_raw() - 1));
    let masks = [
        ("SigBlk", "blocked", of(blocked)),
        // As Rust's start-up leaves it.
        ("SigIgn", "ignored", of(&[Signal::PIPE])),
        ("SigCgt", "handled", 0),
    ];
    let mut wrong = Vec::new();
    for (field, what, right) in masks {
        let mask = field_of(&status, field).and_then(|mask| u64::from_str_radix(mask, 16).ok());
        let extra = mask.unwrap_or(0) & !right & !RESERVED;
        wrong.extend(names(extra).map(|name| format!("{name} is {what}")));
        wrong.extend(
            names(right & !mask.unwrap_or(right)).map(|name| format!("{name} is not {what}")),
        );
    }
    Ok(wrong)
}

fn field_of<'a>(status: &'a str, field: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(str::trim)
}

/// The names of a mask's signals, as signal(7) has them.
fn names(mask: u64) -> impl Iterator<Item = String> {
    (1..=64).filter(move |signal| mask & 1 << (signal - 1) != 0).map(|signal| {
        match Signal::from_named_raw(signal) {
            Some(name) => format!("{name:?}").replace("Signal::", "SIG").replace('"', ""),
            None => format!("signal {signal}"),
        }
    })
}

/// Threads beside the first, by name.
fn threads(process: &Path) -> Result<Vec<String>> {
    let tasks = fs::read_dir(process.join("task")).map_err(failed(process))?;
    let status = fs::read_to_string(process.join("status")).map_err(failed(process))?;
    let first = field_of(&status, "Pid").unwrap_or_default().to_owned();
    let others = tasks.filter_map(Result::<_, std::io::Error>::ok).filter_map(|task| {
        let id = task.file_name().to_string_lossy().into_owned();
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        (id != first).then(|| format!("thread {id} ({}) is running", name.trim_end()))
    });
    Ok(others.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at_myself() -> String {
        let allowed = Allowed { descriptor: &|fd, _| fd <= 2, blocked: &[Signal::CHILD] };
        look(Path::new("/proc/self"), &allowed).unwrap().join("\n")
    }

    #[test]
    fn everything_is_named() {
        let file = fs::File::open("/dev/zero").unwrap();
        let wrong = look_at_myself();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert!(wrong.contains(&format!("descriptor {number} is open: /dev/zero")), "{wrong}");
        // The harness runs this in a thread, which has the test's name as far as it goes.
        assert!(wrong.contains(" (testing::look::) is running"), "{wrong}");
    }

    #[test]
    fn signals_have_the_names_of_the_manual() {
        let mask = 1 | 1 << (Signal::TERM.as_raw() - 1) | 1 << (libc::SIGRTMAX() - 1);
        assert_eq!(names(mask).collect::<Vec<_>>(), ["SIGHUP", "SIGTERM", "signal 64"]);
    }
}
