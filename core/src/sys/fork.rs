//! Flow 2: fork(2), wait4(2) and _exit(2).
//!
//! # Safety
//! fork is sound in a program with one thread: no lock is held by a thread that the copy lacks. Its
//! callers count threads first ([`crate::process`]) or are templates, which never start one.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::Pid;

/// Which side of a fork this is.
pub(crate) enum Forked {
    Child,
    Parent(Pid),
}

/// Forks this process, through the C library: its atfork handlers run and its thread id stays true,
/// as they do not after a raw clone(2).
///
/// # Errors
/// `EAGAIN` and `ENOMEM` of fork(2).
#[inline(always)]
pub(crate) fn fork() -> rustix::io::Result<Forked> {
    // SAFETY: the callers see to it that the process has one thread.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        pid => positive(pid).map(Forked::Parent).ok_or_else(last_errno),
    }
}

/// The same, with all of `given` in place before.
///
/// Left to itself, the compiler reads what that was made of only where it is used, which in the child may be memory that
/// the child does not have ([`super::Apart`]): to it, fork is a function that cannot have changed that.
///
/// # Errors
/// The same.
#[inline(always)]
pub(crate) fn fork_with<T>(given: &mut T) -> rustix::io::Result<Forked> {
    // SAFETY: no instruction. The compiler has to assume that this reads and writes all of `given`.
    unsafe {
        std::arch::asm!("/* {} */", in(reg) &raw mut *given, options(nostack, preserves_flags));
    }
    fork()
}

pub(super) fn last_errno() -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(&std::io::Error::last_os_error())
        .unwrap_or(rustix::io::Errno::INVAL)
}

fn positive(pid: i32) -> Option<Pid> {
    if pid > 0 { Pid::from_raw(pid) } else { None }
}

/// A child that has ended, and what it used.
pub(crate) struct Reaped {
    pub pid: Pid,
    /// As wait4(2) gives it.
    pub status: i32,
    pub user: Duration,
    pub system: Duration,
    pub peak_kib: u64,
}

/// Gives one child that has ended and leaves it as it is, if there is one.
///
/// # Errors
/// `ECHILD`: there are no children. Anything else: waitid(2) is refused, as a filter of seccomp(2) may.
pub(crate) fn ended() -> rustix::io::Result<Option<Pid>> {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the pointer is to memory of the right type, which outlives the call.
        if unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) } < 0 {
            return Err(last_errno());
        }
        // SAFETY: waitid fills it for a child that has ended, and leaves it zeroed when there is none.
        let info = unsafe { info.assume_init() };
        // SAFETY: the same.
        let (Some(pid), signal) = (unsafe { (positive(info.si_pid()), info.si_status()) }) else {
            return Ok(None);
        };
        if info.si_code != libc::CLD_TRAPPED {
            return Ok(Some(pid));
        }
        trace_no_more(pid, signal);
    }
}

/// Reaps one child that has ended, if there is one: this one, or any.
pub(crate) fn reap(child: Option<Pid>) -> Option<Reaped> {
    let child = child.map_or(-1, |child| child.as_raw_nonzero().get());
    loop {
        let mut status = 0_i32;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        let args = [
            child as usize,
            (&raw mut status).expose_provenance(),
            libc::WNOHANG as usize,
            usage.as_mut_ptr().expose_provenance(),
        ];
        // SAFETY: both pointers are to memory of the right type, which outlives the call. The C library would write to
        // its errno, mostly to say that there is no child left, and so to a page that processes have in common.
        let pid = unsafe { super::raw::syscall(libc::SYS_wait4, args) };
        let pid = positive(pid as i32)?;
        if libc::WIFSTOPPED(status) {
            trace_no_more(pid, libc::WSTOPSIG(status));
            continue;
        }
        // SAFETY: every bit pattern of rusage, zeros included, is valid.
        let usage = unsafe { usage.assume_init() };
        return Some(Reaped {
            pid,
            status,
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            peak_kib: usage.ru_maxrss.max(0) as u64,
        });
    }
}

/// Lets go of a child that has asked its parent to trace it (ptrace(2), `PTRACE_TRACEME`), or of a thread of one, which
/// has stopped for `signal`: whatever the options are, that is told as ends are. It goes on as if nobody traced it.
#[cold]
fn trace_no_more(pid: Pid, signal: i32) {
    // That it has executed a program is told by this one, which is meant for who traces.
    let signal = if signal == libc::SIGTRAP { 0 } else { signal };
    let pid = pid.as_raw_nonzero().get();
    let args = [libc::PTRACE_DETACH as usize, pid as usize, 0, signal as usize];
    // SAFETY: it reads and writes no memory of this process.
    match unsafe { super::raw::syscall(libc::SYS_ptrace, args) } {
        // It was killed meanwhile, and its end is told next.
        0 | LOST => (),
        // It would stop for ever.
        // SAFETY: kill has no precondition. Who is traced by this process is not reaped, and has its id for itself.
        _ => drop(unsafe { libc::kill(pid, libc::SIGKILL) }),
    }
}

/// What ptrace(2) answers when there is nobody who has stopped.
const LOST: isize = -(libc::ESRCH as isize);

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec.max(0) as u64, time.tv_usec.max(0) as u32 * 1000)
}

/// Gives this process's group; 0 for one from outside of its PID namespace (pid_namespaces(7)), which `rustix`
/// takes for impossible.
pub(crate) fn group() -> i32 {
    // SAFETY: getpgrp has no precondition.
    unsafe { libc::getpgrp() }
}

/// Sets this process's umask and gives the one before, as umask(2) does; None: a filter of seccomp(2) refuses it, which
/// `rustix` takes for impossible.
pub(crate) fn umask(mode: Mode) -> Option<Mode> {
    // SAFETY: umask has no precondition.
    let before = unsafe { libc::umask(mode.as_raw_mode()) };
    // A refusal is -1.
    (before <= 0o777).then(|| Mode::from_raw_mode(before))
}

/// Lets others run that wait for this processor (sched_yield(2)).
#[inline(always)]
pub(crate) fn give_way() {
    // SAFETY: sched_yield(2) has no precondition, and takes nothing.
    unsafe { super::raw::syscall(libc::SYS_sched_yield, [0; 4]) };
}

/// Leaves without destructors, exit handlers or stdio buffers of the program.
#[inline(always)]
pub(crate) fn exit_now(code: i32) -> ! {
    loop {
        // SAFETY: exit_group(2) has no precondition, and does not come back.
        unsafe { super::raw::syscall(libc::SYS_exit_group, [code as usize, 0, 0, 0]) };
    }
}

/// Has `handler` called with the exit code when the program calls exit(3), before any handler that is
/// registered by now: those are the app's, and `handler` does not return.
pub(crate) fn on_exit(handler: extern "C" fn(i32, *mut libc::c_void)) {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn on_exit(
                handler: extern "C" fn(i32, *mut libc::c_void),
                argument: *mut libc::c_void,
            ) -> i32;
        }
        // SAFETY: the handler is a function of the program and ignores its second argument. Failure
        // (no memory) leaves the C library's own way of exiting.
        unsafe { on_exit(handler, std::ptr::null_mut()) };
    }
    // Other C libraries have no way to learn the code in a handler; there exit(3) stays as it is.
    #[cfg(not(target_env = "gnu"))]
    let _ = handler;
}
