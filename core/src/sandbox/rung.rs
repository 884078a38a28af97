//! Flow 2, in the worker: the rungs of the ladder, and how far each may hold.

use std::fmt;

/// One rung of the ladder: one mechanism of the kernel, by what it takes away.
///
/// They are listed in the order in which they are climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Rung {
    /// When memory runs out the kernel ends this process before any other (`oom_score_adj`).
    OomFirst,
    /// New user, network and IPC namespaces: no interface, not even `lo`, and no System V IPC of others.
    Namespaces,
    /// Others of the same user cannot look into the process, and its memory is never dumped.
    Undumpable,
    /// Running a set-uid program gains nothing (`no_new_privs`); seccomp and Landlock rest on it.
    NoNewPrivs,
    /// Landlock: no file or folder by name but those that may be read. Descriptors given stay usable.
    ///
    /// Below ABI 3 (Linux 6.2) a file's content can still be cut off by name; below ABI 9 a datagram socket that
    /// the worker was given reaches sockets that have a path.
    Files,
    /// Landlock: no TCP port can be bound or connected to. From ABI 4 (Linux 6.7); no other protocol.
    Network,
    /// Landlock: signals and abstract sockets reach no process outside. From ABI 6 (Linux 6.12).
    Scopes,
    /// Root's powers are given up; an ordinary user's process has none.
    Capabilities,
    /// Address space: `RLIMIT_AS`.
    Memory,
    /// Processor time: `RLIMIT_CPU`.
    Cpu,
    /// Open descriptors: `RLIMIT_NOFILE`.
    Descriptors,
    /// The size of any file written to, memory files as well: `RLIMIT_FSIZE`.
    FileSize,
    /// No core file: `RLIMIT_CORE`.
    CoreDumps,
    /// No process or thread more: `RLIMIT_NPROC`, from which the kernel exempts root.
    Processes,
    /// A seccomp filter refuses the system calls that the sandbox's other wishes imply.
    Seccomp,
}

impl Rung {
    /// All rungs, from the first to the last.
    pub const ALL: [Rung; 15] = [
        Rung::OomFirst,
        Rung::Namespaces,
        Rung::Undumpable,
        Rung::NoNewPrivs,
        Rung::Files,
        Rung::Network,
        Rung::Scopes,
        Rung::Capabilities,
        Rung::Memory,
        Rung::Cpu,
        Rung::Descriptors,
        Rung::FileSize,
        Rung::CoreDumps,
        Rung::Processes,
        Rung::Seccomp,
    ];

    pub(super) fn from_octet(octet: u8) -> Option<Rung> {
        Rung::ALL.get(usize::from(octet)).copied()
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Rung::OomFirst => "first to go",
            Rung::Namespaces => "namespaces",
            Rung::Undumpable => "not dumpable",
            Rung::NoNewPrivs => "no new privileges",
            Rung::Files => "Landlock files",
            Rung::Network => "Landlock network",
            Rung::Scopes => "Landlock scopes",
            Rung::Capabilities => "no capabilities",
            Rung::Memory => "memory",
            Rung::Cpu => "processor time",
            Rung::Descriptors => "descriptors",
            Rung::FileSize => "file size",
            Rung::CoreDumps => "no core dumps",
            Rung::Processes => "no processes",
            Rung::Seccomp => "seccomp",
        })
    }
}

/// How far a rung holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// Not at all.
    Missing,
    /// Less than [`Rung`] says of it.
    Partly,
    /// All that [`Rung`] says of it.
    Full,
}

impl Hold {
    pub(super) fn from_octet(octet: u8) -> Option<Hold> {
        [Hold::Missing, Hold::Partly, Hold::Full].get(usize::from(octet)).copied()
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Hold::Missing => "missing",
            Hold::Partly => "partly",
            Hold::Full => "holds",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_rungs_agree() {
        for rung in Rung::ALL {
            assert_eq!(Rung::from_octet(rung as u8), Some(rung));
        }
        assert_eq!(Rung::from_octet(Rung::ALL.len() as u8), None);
        for hold in [Hold::Missing, Hold::Partly, Hold::Full] {
            assert_eq!(Hold::from_octet(hold as u8), Some(hold));
        }
        assert_eq!(Hold::from_octet(3), None);
    }
}
