//! Processes that confine themselves and then try something: forked from a test program with one
//! thread, as an ordinary user or as root, under a kernel that may be made to refuse some calls.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tine::{Posture, Sandbox};

use crate::native;

mod older;

/// Calls that the kernel seems not to have, or not to allow, as inside flatpak or on an older one.
#[derive(Debug, Clone, Default)]
pub struct Lacking {
    calls: Vec<i64>,
    errno: i32,
    /// The version of Landlock that the kernel seems to have.
    abi: Option<u8>,
}

impl Lacking {
    /// The kernel as it is.
    pub fn nothing() -> Self {
        Lacking::default()
    }

    /// Landlock answers ENOSYS, as before Linux 5.13.
    pub fn landlock() -> Self {
        Lacking {
            calls: (libc::SYS_landlock_create_ruleset..=libc::SYS_landlock_restrict_self).collect(),
            errno: libc::ENOSYS,
            abi: None,
        }
    }

    /// Landlock answers that it has this ABI; everything else is as the kernel has it.
    pub fn landlock_after(abi: u8) -> Self {
        Lacking { abi: Some(abi), ..Lacking::default() }
    }

    /// Landlock answers EOPNOTSUPP, as where it is not enabled at boot.
    pub fn landlock_enabled() -> Self {
        Lacking { errno: libc::EOPNOTSUPP, ..Lacking::landlock() }
    }

    /// seccomp(2) answers EPERM.
    pub fn seccomp() -> Self {
        Lacking { calls: vec![libc::SYS_seccomp], errno: libc::EPERM, abi: None }
    }

    /// All calls that a sandbox is made with answer `errno`.
    pub fn everything(errno: i32) -> Self {
        let rest = [
            libc::SYS_seccomp,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
            libc::SYS_capset,
            libc::SYS_unshare,
            libc::SYS_openat,
        ];
        let calls = [Lacking::landlock().calls, rest.to_vec()].concat();
        Lacking { calls, errno, abi: None }
    }

    /// One call answers this.
    pub fn call(call: i64, errno: i32) -> Self {
        Lacking { calls: vec![call], errno, abi: None }
    }

    /// The kernel gives out no pidfd, and takes none.
    pub fn pidfds(errno: i32) -> Self {
        let calls = vec![libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal];
        Lacking { calls, errno, abi: None }
    }

    /// The kernel lets no process be signalled by its pidfd.
    pub fn signals() -> Self {
        Lacking { calls: vec![libc::SYS_pidfd_send_signal], errno: libc::EPERM, abi: None }
    }

    /// From now on it is so for this process, and those that it makes.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn begin(&self) {
        if let Some(abi) = self.abi {
            older::pretend(abi);
        }
        if self.calls.is_empty() {
            return;
        }
        let filter = SeccompFilter::new(
            self.calls.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<_, _>>(),
            SeccompAction::Allow,
            SeccompAction::Errno(self.errno.cast_unsigned()),
            std::env::consts::ARCH.try_into().expect("an architecture with seccomp"),
        );
        let program = BpfProgram::try_from(filter.expect("a filter")).expect("a program");
        seccompiler::apply_filter(&program).expect("a filter under which to test");
    }
}

/// A process that was confined, after its end.
#[derive(Debug)]
pub struct Ended {
    /// What it told of itself when it was confined.
    pub posture: Posture,
    /// What it wrote to its socket after that.
    pub answer: Vec<u8>,
    /// How it ended; 101 is a panic, whose text went to standard error.
    pub status: ExitStatus,
    /// Memory that it had at most, in KiB.
    pub most: u64,
}

/// Runs `inside` in a fork of this process that `sandbox` confines, and waits for its end.
///
/// # Panics
/// When nothing comes within a minute, or the posture is garbage.
pub fn run(sandbox: &Sandbox, lacking: &Lacking, inside: impl FnOnce(&UnixStream)) -> Ended {
    start(Some(sandbox), lacking, inside).end()
}

/// Runs `inside` in a fork of this process that nothing confines.
///
/// # Panics
/// As [`run`].
pub fn run_free(inside: impl FnOnce(&UnixStream)) -> Ended {
    start(None, &Lacking::nothing(), inside).end()
}

/// A process that is confined and runs.
#[derive(Debug)]
pub struct Started {
    /// Its id.
    pub pid: u32,
    /// The other end of its socket.
    pub socket: UnixStream,
    posture: Posture,
}

/// Starts `inside` in a fork of this process, and reads its posture.
///
/// # Panics
/// As [`run`].
pub fn start(
    sandbox: Option<&Sandbox>,
    lacking: &Lacking,
    inside: impl FnOnce(&UnixStream),
) -> Started {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let pid = native::fork(|| {
        // Nobody of this copy uses it again; with it open, the child would not see the app's end close.
        native::close(ours.as_raw_fd());
        let ran = catch_unwind(AssertUnwindSafe(|| {
            lacking.begin();
            let posture = sandbox.map(Sandbox::apply).unwrap_or_default().encode();
            (&theirs).write_all(&(posture.len() as u32).to_le_bytes()).expect("the app reads");
            (&theirs).write_all(&posture).expect("the app reads");
            inside(&theirs);
        }));
        if ran.is_err() {
            native::leave(101);
        }
    });
    drop(theirs);
    let mut socket = ours;
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut len = [0; 4];
    socket.read_exact(&mut len).expect("a posture in time");
    let mut octets = vec![0; u32::from_le_bytes(len) as usize];
    socket.read_exact(&mut octets).expect("a posture in time");
    Started { pid, socket, posture: Posture::decode(&octets).expect("a posture") }
}

impl Started {
    /// What it told of itself when it was confined.
    pub fn posture(&self) -> &Posture {
        &self.posture
    }

    /// Waits for the process to end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn end(self) -> Ended {
        let Started { pid, mut socket, posture } = self;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an end in time");
        let (status, most) = native::wait(pid);
        Ended { posture, answer, status: ExitStatus::from_raw(status), most }
    }
}

/// Ends a process and reaps it.
///
/// # Panics
/// When it is no child.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("an id");
    // It may have ended before.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    waitpid(Some(pid), WaitOptions::empty()).expect("a child");
}

/// Runs a suite as this user and, when that is root, as an ordinary user too: in a fork that becomes
/// one. Gives the suite's own answers.
///
/// # Panics
/// When the ordinary user cannot be had, or its suite fails.
pub fn as_each_user(suite: impl Fn()) {
    suite();
    if !rustix::process::getuid().is_root() {
        return;
    }
    let pid = native::fork(|| {
        native::become_user(65534);
        if catch_unwind(AssertUnwindSafe(&suite)).is_err() {
            native::leave(101);
        }
    });
    let (status, _) = native::wait(pid);
    assert!(ExitStatus::from_raw(status).success(), "as an ordinary user");
}
