//! Above flow 2: the memory of a worker, as the kernel counts it.

use std::fmt;
use std::fs;
use std::iter::Sum;

use crate::sys;

/// The resident memory of a process, or of many, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Memory {
    /// What is a worker's alone: what its end would give back.
    pub private: u64,
    /// What it shares with others: the program's own pages, files, and what the template had.
    pub shared: u64,
    /// What it has without files and did not have to make: the part of its heap that is others', in
    /// proportion. So much did preparing the template save.
    pub saved: u64,
}

impl Memory {
    /// Looks at a process, in any thread; None when it is gone, or /proc is that of another PID namespace.
    ///
    /// Exact where the kernel lets us look (proc(5), `smaps_rollup`). The process of a sandbox with
    /// [`Rung::Undumpable`](crate::Rung::Undumpable) shows its sums only (`statm`): all that is no file then
    /// counts as private, and nothing as saved.
    pub fn of(pid: u32) -> Option<Memory> {
        match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(rollup) if sys::is_numbered_alike() => Memory::from_rollup(&rollup),
            _ => Memory::at_most(pid),
        }
    }

    /// The same, quick and rough: the private part is at most so large.
    pub(super) fn at_most(pid: u32) -> Option<Memory> {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok();
        let statm = statm.filter(|_| sys::is_numbered_alike())?;
        Memory::from_statm(&statm, rustix::param::page_size() as u64)
    }

    /// `name:   number kB`, a line each.
    fn from_rollup(rollup: &str) -> Option<Memory> {
        let kib = |name: &str| -> u64 {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        // A process that has let go of its memory, and is about to end, has no lines but the first.
        rollup.contains("Rss:").then(|| Memory {
            private: 1024 * (kib("Private_Clean") + kib("Private_Dirty")),
            shared: 1024 * (kib("Shared_Clean") + kib("Shared_Dirty")),
            saved: 1024 * kib("Anonymous").saturating_sub(kib("Pss_Anon")),
        })
    }

    /// Pages: all, resident, resident of files and shared memory.
    fn from_statm(statm: &str, page: u64) -> Option<Memory> {
        let mut pages = statm.split_whitespace().skip(1).map(|pages| pages.parse::<u64>().ok());
        let (resident, shared) = (pages.next()??, pages.next()??);
        Some(Memory {
            private: page * resident.saturating_sub(shared),
            shared: page * shared,
            saved: 0,
        })
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Memory>>(all: I) -> Memory {
        all.fold(Memory::default(), |sum, one| Memory {
            private: sum.private + one.private,
            shared: sum.shared + one.shared,
            saved: sum.saved + one.saved,
        })
    }
}

impl fmt::Display for Memory {
    /// `12.5 MiB private, 30.1 MiB shared, 8.0 MiB saved`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
        let (private, shared, saved) = (mib(self.private), mib(self.shared), mib(self.saved));
        write!(f, "{private:.1} MiB private, {shared:.1} MiB shared, {saved:.1} MiB saved")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = "\
        55d0c7a000-7ffd8c3000 ---p 00000000 00:00 0    [rollup]\n\
        Rss:                2000 kB\nPss:                 900 kB\nPss_Anon:            300 kB\n\
        Shared_Clean:       1000 kB\nShared_Dirty:        400 kB\n\
        Private_Clean:        90 kB\nPrivate_Dirty:       510 kB\nAnonymous:           800 kB\n";

    #[test]
    fn a_rollup_is_read_by_its_names() {
        let memory = Memory::from_rollup(ROLLUP).unwrap();
        let octets = [600, 1400, 500].map(|kib| kib * 1024);
        assert_eq!([memory.private, memory.shared, memory.saved], octets);
    }

    #[test]
    fn a_process_that_ends_has_nothing_to_count() {
        assert_eq!(Memory::from_rollup("55d0-7ffd ---p 00000000 00:00 0    [rollup]\n"), None);
        assert_eq!(Memory::from_statm("0 0", 4096), None);
        assert_eq!(Memory::of(u32::MAX), None);
    }

    #[test]
    fn sums_alone_say_less() {
        let memory = Memory::from_statm("1000 30 10 1 0 50 0\n", 4096).unwrap();
        assert_eq!([memory.private, memory.shared, memory.saved], [20 * 4096, 10 * 4096, 0]);
    }

    #[test]
    fn this_process_has_memory() {
        let pid = std::process::id();
        let (exact, rough) = (Memory::of(pid).unwrap(), Memory::at_most(pid).unwrap());
        assert!(exact.private > 0 && rough.private > 0 && exact.to_string().contains("private"));
    }
}
