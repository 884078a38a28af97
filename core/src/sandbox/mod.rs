//! Flow 2, in the worker, just before its entry: what it may still do once it runs.
//!
//! A [`Sandbox`] is a ladder. Each [`Rung`] is one mechanism of the kernel, climbed as far as this
//! kernel, this user and a sandbox around the app (flatpak, a container) allow; none that is missing is
//! an error. What came of it is a [`Posture`], and whoever needs a minimum demands it.
//!
//! Files: `apply` climbs; `domain` is Landlock, `limits` the resource limits, `filter` and `calls` the
//! seccomp program; `outside` reads what the kernel tells of other processes; `octets` is the way there.

mod apply;
mod calls;
mod domain;
mod filter;
mod limits;
mod octets;
mod outside;
mod posture;
mod rung;

pub use posture::Posture;
pub use rung::{Hold, Rung};

use crate::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What a worker is to be kept from: a plain value, applied in the worker by [`apply`](Sandbox::apply).
///
/// It rests on few promises of the worker's code: anything that runs in it may be hostile. What is kept
/// from it and what is not:
///
/// * **Descriptors** that the worker has or is sent stay usable for what they are: a file open for
///   reading can be read. Neither its mode, times nor attributes can be changed through it. A datagram socket
///   reaches every socket that has a path, until Landlock sees to that ([`Rung::Files`]).
/// * **Names** are not hidden: `stat` tells whether a file exists, how large it is and whose, because a
///   filter cannot tell a name from the empty one that `fstat` of the C library passes.
/// * **Memory files** count for nothing until they are mapped: a worker can fill as many as it may have
///   descriptors, each up to the file size. It is then the first that the kernel ends
///   ([`Rung::OomFirst`]). A bound on the sum takes a memory cgroup, which only a system's manager gives.
/// * **Time**: a worker can spin until its processor time is used up or its pool's deadline comes, and
///   measure what others on the machine do by their effect on caches. No rung is about that.
/// * **The kernel** itself is trusted with every system call that the filter lets through.
///
/// # Examples
/// ```
/// use tine::{Hold, Rung, Sandbox};
///
/// let sandbox = Sandbox::decoder()
///     .memory(512 << 20)
///     .require(Rung::NoNewPrivs, Hold::Full)
///     .require(Rung::Seccomp, Hold::Full);
/// assert_eq!(Sandbox::decode(&sandbox.encode())?, sandbox);
/// # Ok::<(), tine::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sandbox {
    /// Bit n is the rung whose octet is n.
    rungs: u32,
    /// Limits; each means something while its rung is in `rungs`.
    memory: u64,
    /// Seconds.
    cpu: u64,
    descriptors: u64,
    file_size: u64,
    /// Threads may be made although processes may not.
    threads: bool,
    /// What may be read although [`Rung::Files`] is asked for.
    folders: Vec<PathBuf>,
    required: BTreeMap<Rung, Hold>,
}

impl Sandbox {
    /// A sandbox that takes away what no worker needs: privileges, core dumps, the kernel's rarer doors
    /// (`ptrace`, `bpf`, `io_uring`, keyrings, mounts, namespaces and their like), being spared when
    /// memory runs out.
    ///
    /// It leaves files, network and processes alone, so a template can have it and still fork.
    pub fn new() -> Self {
        [
            Rung::OomFirst,
            Rung::Undumpable,
            Rung::NoNewPrivs,
            Rung::Capabilities,
            Rung::CoreDumps,
            Rung::Seccomp,
        ]
        .into_iter()
        .fold(Sandbox::default(), Sandbox::with)
    }

    /// The sandbox of a function that turns octets into others: no files, no network, no processes or
    /// threads; 1 GiB of memory, memory files of 256 MiB, 32 descriptors, 10 minutes of processor time.
    pub fn decoder() -> Self {
        Sandbox::new()
            .no_files()
            .no_network()
            .no_processes()
            .memory(1024 * MIB)
            .file_size(256 * MIB)
            .descriptors(32)
            .cpu(Duration::from_secs(600))
    }

    /// The sandbox of a function that reads one folder and what is beneath it: as
    /// [`decoder`](Sandbox::decoder) otherwise, with 256 descriptors.
    ///
    /// The folder is opened in the worker; a relative one means the worker's current directory.
    pub fn reader(folder: impl Into<PathBuf>) -> Self {
        Sandbox::decoder().read_folder(folder).descriptors(256)
    }

    /// The strictest preset: at present [`decoder`](Sandbox::decoder).
    pub fn strict() -> Self {
        Sandbox::decoder()
    }

    /// No file or folder can be opened, made, changed or removed by name: Landlock and seccomp.
    pub fn no_files(self) -> Self {
        self.with(Rung::Files)
    }

    /// No file or folder can be opened but for reading, and beneath `folder` and the like only.
    ///
    /// The first rests on Landlock and seccomp, the second on Landlock alone. Where Landlock is missing
    /// ([`Rung::Files`]), everything that the user can read can be read.
    pub fn read_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self.with(Rung::Files)
    }

    /// No socket can be made, bound or connected; those that the worker has can be used. Landlock, seccomp.
    pub fn no_network(self) -> Self {
        self.with(Rung::Network).with(Rung::Scopes)
    }

    /// No process or thread can be made, no program run, and none but itself signalled: the resource
    /// limit, seccomp, and Landlock's scopes.
    pub fn no_processes(self) -> Self {
        self.with(Rung::Processes).with(Rung::Scopes)
    }

    /// Allows threads where processes are not; without this they are refused as well.
    ///
    /// The resource limit counts both, so [`Rung::Processes`] then holds partly: by seccomp alone.
    pub fn threads(mut self) -> Self {
        self.threads = true;
        self
    }

    /// Allows this many octets of address space beyond what is mapped when the sandbox is applied.
    ///
    /// Mapped files and memory files count, also those that were sent. Past it allocations fail, which
    /// ends a Rust program by SIGABRT.
    pub fn memory(mut self, octets: u64) -> Self {
        self.memory = octets;
        self.with(Rung::Memory)
    }

    /// Allows this much processor time from now, rounded up to seconds; then SIGXCPU ends the process.
    ///
    /// It is the time of the worker's whole life, not of one job.
    pub fn cpu(mut self, time: Duration) -> Self {
        self.cpu = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
        self.with(Rung::Cpu)
    }

    /// Allows descriptors below this number. Past it opening fails (EMFILE), and descriptors in messages
    /// are lost (MSG_CTRUNC).
    ///
    /// The kernel holds the number also against how many descriptors are under way in messages, of all that the user
    /// runs (unix(7), `ETOOMANYREFS`): while there are more, an answer with a descriptor in it waits. A
    /// [pool](crate::pool) of more workers, each of which has a request with descriptors
    /// [waiting](crate::pool::Builder::load), needs more.
    pub fn descriptors(mut self, count: u64) -> Self {
        self.descriptors = count;
        self.with(Rung::Descriptors)
    }

    /// Allows files and memory files to grow to this many octets; past it SIGXFSZ ends the process.
    pub fn file_size(mut self, octets: u64) -> Self {
        self.file_size = octets;
        self.with(Rung::FileSize)
    }

    /// Moves into namespaces without network. In no preset: it costs more than all other rungs together
    /// (`make bench BENCH=sandbox`), is refused inside flatpak and on many systems, and
    /// keeps nothing from a worker that [`no_network`](Sandbox::no_network) with seccomp would let it do.
    pub fn namespaces(self) -> Self {
        self.with(Rung::Namespaces)
    }

    /// Takes a rung off, for a worker that needs what it keeps away. With [`Rung::Files`],
    /// [`Rung::Network`] or [`Rung::Processes`] goes also what seccomp refuses for its sake.
    ///
    /// Without [`Rung::NoNewPrivs`] it is set all the same where Landlock or seccomp is asked for: they
    /// rest on it.
    pub fn without(mut self, rung: Rung) -> Self {
        self.rungs &= !(1 << rung as u8);
        self
    }

    /// Demands that a rung holds at least so far: see [`check`](Sandbox::check).
    ///
    /// It does not ask for the rung itself. What is demanded here and cannot be had on some desktop is a
    /// program that does not start there; [`Hold::Partly`] of [`Rung::Files`] is what Debian 12 has.
    pub fn require(mut self, rung: Rung, least: Hold) -> Self {
        self.required.insert(rung, least);
        self
    }

    /// Refuses a posture that is below what was [required](Sandbox::require).
    ///
    /// # Errors
    /// [`ErrorKind::Sandbox`](crate::ErrorKind::Sandbox), naming the first rung that is missing, and why.
    pub fn check(&self, posture: &Posture) -> Result<()> {
        self.required.iter().try_for_each(|(rung, least)| posture.require(*rung, *least))
    }

    /// Tells whether a rung is asked for.
    pub fn has(&self, rung: Rung) -> bool {
        self.rungs & (1 << rung as u8) != 0
    }

    fn with(mut self, rung: Rung) -> Self {
        self.rungs |= 1 << rung as u8;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_rung_is_had_until_it_is_taken_off() {
        let decoder = Sandbox::decoder();
        for rung in Rung::ALL {
            assert_eq!(decoder.has(rung), rung != Rung::Namespaces, "{rung}");
            assert!(!decoder.clone().without(rung).has(rung));
        }
        assert!(!Sandbox::new().has(Rung::Files));
    }

    #[test]
    fn a_minimum_that_does_not_hold_is_refused() {
        let sandbox = Sandbox::new().require(Rung::Seccomp, Hold::Full);
        let mut posture = Posture::default();
        posture.push(Rung::Seccomp, Hold::Missing, "Operation not permitted");
        let error = sandbox.check(&posture).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sandbox);
        assert_eq!(error.to_string(), "sandbox: seccomp is missing: Operation not permitted");
        posture.push(Rung::Seccomp, Hold::Full, "");
        sandbox.check(&posture).unwrap();
    }
}
