//! Making processes, running programs, and reaching those that are there.

use std::os::fd::AsRawFd as _;

use crate::attempts;
use libc::{AT_EMPTY_PATH, SIGCHLD, SIGKILL, SIGURG};
use tine_tests::scene::Scene;
use tine_tests::{call, native};

attempts! {
    fork Limit Through = |_| child(call!(libc::SYS_clone, SIGCHLD, 0, 0, 0, 0));
    fork_by_its_old_number Limit Through = |_| child(call!(OLD_FORK, SIGCHLD, 0, 0, 0, 0));
    // Returning from it in the child would take the parent's stack along.
    vfork Limit Harmful = |_| child(call!(OLD_VFORK, libc::CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
    clone3 Limit Through = |_| {
        let mut args = [0_u64; 8];
        args[4] = SIGCHLD as u64;
        let args: &mut [u8] = &mut args.map(u64::to_ne_bytes).concat();
        child(call!(libc::SYS_clone3, args, 64))
    };
    thread Limit Through = |_| match std::thread::Builder::new().spawn(|| ()) {
        Ok(thread) => thread.join().map_or(1, |()| 0),
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(0)),
    };
    exec Both Through = |_| call!(libc::SYS_execve, c"/bin/true", 0, 0);
    exec_of_a_memory_file Seccomp Through = |_| {
        let fd = call!(libc::SYS_memfd_create, c"program", 0);
        call!(libc::SYS_write, fd, c"not a program", 13);
        call!(libc::SYS_execveat, fd, c"", 0, 0, AT_EMPTY_PATH)
    };
    kill_a_sibling Both Seen = |s| call!(libc::SYS_kill, s.victim, SIGKILL);
    kill_a_sibling_s_thread Both Seen = |s| call!(libc::SYS_tgkill, s.victim, s.victim, SIGKILL);
    kill_a_thread Both Seen = |s| call!(libc::SYS_tkill, s.victim, SIGKILL);
    queue_a_signal Both Seen = |s| {
        call!(libc::SYS_rt_sigqueueinfo, s.victim, SIGKILL, queued().as_mut_slice())
    };
    queue_a_thread_s_signal Both Seen = |s| {
        let mut info = queued();
        call!(libc::SYS_rt_tgsigqueueinfo, s.victim, s.victim, SIGKILL, info.as_mut_slice())
    };
    signal_through_a_pidfd_given Both Seen = |s| {
        call!(libc::SYS_pidfd_send_signal, s.pidfd.as_raw_fd(), SIGKILL, 0, 0)
    };
    signal_the_app Both Through = |_| {
        call!(libc::SYS_kill, std::os::unix::process::parent_id(), SIGURG)
    };
    signal_the_group Seccomp Through = |_| call!(libc::SYS_kill, 0, SIGURG);
    signal_all Seccomp Through = |_| call!(libc::SYS_kill, -1, 0);
    pidfd_of_the_app Seccomp Through = |_| {
        call!(libc::SYS_pidfd_open, std::os::unix::process::parent_id(), 0)
    };
    descriptor_of_a_sibling Both Through = |s| call!(libc::SYS_pidfd_getfd, s.pidfd.as_raw_fd(), 0, 0);
    trace_a_sibling Both Through = |s| call!(libc::SYS_ptrace, 0x4206, s.victim, 0, 0);
    be_traced Seccomp Through = |_| call!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0);
    read_a_sibling_s_memory Both Through = |s| memory_of(libc::SYS_process_vm_readv, s);
    write_a_sibling_s_memory Both Through = |s| memory_of(libc::SYS_process_vm_writev, s);
    locks_of_a_sibling Both Through = |s| {
        let (head, len): (&mut [u8], &mut [u8]) = (&mut [0; 8], &mut [0; 8]);
        call!(libc::SYS_get_robust_list, s.victim, head, len)
    };
    processors_shared_with_a_sibling Seccomp Through = |s| {
        call!(libc::SYS_prctl, 62, 2, s.victim, 0, 0)
    };
    compare_with_a_sibling Both Through = |s| {
        call!(libc::SYS_kcmp, std::process::id(), s.victim, 1, 0, 0)
    };
    drop_a_sibling_s_pages Seccomp Root = |s| {
        call!(libc::SYS_process_madvise, s.pidfd.as_raw_fd(), 0, 0, libc::MADV_COLD, 0)
    };
    reap_a_sibling_s_memory Seccomp Through = |s| {
        call!(libc::SYS_process_mrelease, s.pidfd.as_raw_fd(), 0)
    };
    limit_a_sibling Seccomp Seen = |s| {
        let none: &mut [u8] = &mut [0; 16];
        call!(libc::SYS_prlimit64, s.victim, libc::RLIMIT_NOFILE, none, 0)
    };
    slow_a_sibling Seccomp Seen = |s| call!(libc::SYS_setpriority, libc::PRIO_PROCESS, s.victim, 19);
    slow_a_sibling_s_disk Seccomp Through = |s| call!(libc::SYS_ioprio_set, 1, s.victim, 3 << 13);
    idle_a_sibling Seccomp Through = |s| {
        let priority: &mut [u8] = &mut [0; 4];
        call!(libc::SYS_sched_setscheduler, s.victim, libc::SCHED_IDLE, priority)
    };
    another_class_for_a_sibling Seccomp Through = |s| {
        // A struct sched_attr of 48 octets: SCHED_BATCH, and nicer than whoever has started the tests.
        let class: &mut [u8] = &mut [48, 0, 19, 0, 0, 0].map(u64::to_ne_bytes).concat();
        class[4..12].copy_from_slice(&3_u64.to_ne_bytes());
        call!(libc::SYS_sched_setattr, s.victim, class, 0)
    };
    move_a_sibling_s_pages Seccomp Harmful = |s| {
        call!(libc::SYS_move_pages, s.victim, 0, 0, 0, 0, 0)
    };
    pin_a_sibling Seccomp Through = |s| {
        let first: &mut [u8] = &mut [1, 0, 0, 0, 0, 0, 0, 0];
        call!(libc::SYS_sched_setaffinity, s.victim, 8, first)
    };
    more_descriptors_again Kernel Harmful = |_| {
        let more: &mut [u8] = &mut [64_u64, 64].map(u64::to_ne_bytes).concat();
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, more, 0)
    };
    dumpable_again Seccomp Through = |_| call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    traced_by_anyone Seccomp Through = |_| {
        call!(libc::SYS_prctl, libc::PR_SET_PTRACER as i64, u64::MAX, 0, 0, 0)
    };
    another_program_by_its_looks Seccomp Harmful = |_| {
        call!(libc::SYS_prctl, libc::PR_SET_MM, libc::PR_SET_MM_START_BRK, 0, 0, 0)
    };
    outlive_the_app Seccomp Through = |_| call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0, 0, 0, 0);
    take_orphans Seccomp Through = |_| {
        call!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    };
}

#[cfg(target_arch = "x86_64")]
const OLD_FORK: i64 = libc::SYS_fork;
#[cfg(not(target_arch = "x86_64"))]
const OLD_FORK: i64 = libc::SYS_clone;

#[cfg(target_arch = "x86_64")]
const OLD_VFORK: i64 = libc::SYS_vfork;
#[cfg(not(target_arch = "x86_64"))]
const OLD_VFORK: i64 = libc::SYS_clone;

/// Has a child that came of it leave.
fn child(answer: i64) -> i64 {
    if answer == 0 {
        native::leave(0);
    }
    answer
}

/// A siginfo_t as a process may make it: the signal, and SI_QUEUE.
fn queued() -> [u8; 128] {
    let mut info = [0; 128];
    info[..4].copy_from_slice(&SIGKILL.to_ne_bytes());
    info[8..12].copy_from_slice(&libc::SI_QUEUE.to_ne_bytes());
    info
}

/// The same address in both, as one was forked from the other's parent; nothing is mapped there.
fn memory_of(number: i64, scene: &Scene) -> i64 {
    let span = || [16_usize, 8].map(usize::to_ne_bytes).concat();
    call!(number, scene.victim, span().as_mut_slice(), 1, span().as_mut_slice(), 1, 0)
}
