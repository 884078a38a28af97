//! Flow 2, in the worker: resource limits. Soft and hard are lowered together, and never raised.

use super::{Hold, apply::Outcome};
use crate::sys;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::io;

/// Lowers both limits of a resource, to what they are already where that is less.
///
/// What getrlimit tells afterwards decides: a limit that was there before holds as well.
fn lower(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let old = sys::limit(resource)?;
    let least = |old: Option<u64>, new: u64| Some(old.map_or(new, |old| old.min(new)));
    let (current, maximum) = (least(old.current, current), least(old.maximum, maximum));
    let new = Rlimit { current, maximum };
    if new == old { Ok(()) } else { Ok(setrlimit(resource, new)?) }
}

fn outcome(result: io::Result<()>, detail: impl FnOnce() -> String) -> Outcome {
    match result {
        Ok(()) => (Hold::Full, detail()),
        Err(error) => (Hold::Missing, error.to_string()),
    }
}

fn size(octets: u64) -> String {
    match octets >> 20 {
        0 => format!("{octets} octets"),
        mib => format!("{mib} MiB"),
    }
}

/// Limits the address space to so many octets more than are mapped now.
///
/// RLIMIT_DATA would leave out shared memory, and a plain number for RLIMIT_AS would mean something else
/// in each program: one that links GTK maps some hundred MiB before it does anything.
pub(super) fn memory(octets: u64, mapped: Result<u64, &io::Error>) -> Outcome {
    let mapped = match mapped {
        Ok(mapped) => mapped,
        Err(error) => return (Hold::Missing, format!("/proc/self/stat: {error}")),
    };
    let all = mapped.saturating_add(octets);
    outcome(lower(Resource::As, all, all), || {
        format!("{} and the {} mapped", size(octets), size(mapped))
    })
}

/// Limits processor time to so many seconds more than are used.
///
/// SIGXCPU says what it was; a process that handles or ignores it is killed a second later.
pub(super) fn cpu(seconds: u64) -> Outcome {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let used = used.tv_sec.unsigned_abs() + u64::from(used.tv_nsec > 0);
    let all = used.saturating_add(seconds);
    outcome(lower(Resource::Cpu, all, all.saturating_add(1)), || format!("{seconds} s"))
}

pub(super) fn descriptors(count: u64) -> Outcome {
    outcome(lower(Resource::Nofile, count, count), || count.to_string())
}

pub(super) fn file_size(octets: u64) -> Outcome {
    outcome(lower(Resource::Fsize, octets, octets), || size(octets))
}

pub(super) fn core_dumps() -> Outcome {
    outcome(lower(Resource::Core, 0, 0), String::new)
}

/// Forbids more processes and threads: fork answers EAGAIN, whatever filter there is.
pub(super) fn processes(threads: bool) -> Outcome {
    if threads {
        return (
            Hold::Partly,
            "threads are allowed, which the limit would count: seccomp alone".into(),
        );
    }
    match lower(Resource::Nproc, 0, 0) {
        Err(error) => (Hold::Missing, error.to_string()),
        // copy_process() exempts the first user namespace's root, with or without capabilities.
        Ok(()) if rustix::process::getuid().is_root() => {
            (Hold::Partly, "the kernel does not count root's processes: seccomp alone".into())
        }
        Ok(()) => (Hold::Full, String::new()),
    }
}
