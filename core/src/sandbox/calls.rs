//! Flow 2, in the worker: which system calls the filter refuses, and for what.
//!
//! # Why a list of what is refused
//! A list of what is allowed is shorter and stricter on the day it is written, and wrong on the next: the
//! C library of another distribution, its next version, another allocator or architecture use a call that
//! is not in it, and the worker dies of a security update. What a decoder must never do changes slowly,
//! and new in the kernel only. So calls are refused that reach outside the process, and every number
//! that is newer than this list is answered with ENOSYS, as an older kernel would: whoever uses a new
//! call copes with that. What the filter misses meets Landlock and the resource limits.
//!
//! Refused is refused by EPERM, not by a signal: libraries probe, and a decoder that asks for the
//! number of processors in a file is not an attack.

use super::{Rung, Sandbox};
use libc::*;

/// The newest system call that was looked at: `file_setattr` of Linux 6.17. From 424 on all
/// architectures number them alike.
pub(super) const NEWEST: c_long = 469;

/// Calls without a name in the C library's headers yet.
const LISTMOUNT: c_long = 458;
const STATMOUNT: c_long = 457;
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const GETXATTRAT: c_long = 464;
const LISTXATTRAT: c_long = 465;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_GETATTR: c_long = 468;
const FILE_SETATTR: c_long = 469;

/// Looking into other processes, the kernel's rarer doors, becoming someone else: nothing for a worker.
#[rustfmt::skip]
const NEVER: &[c_long] = &[
    // Other processes' memory, descriptors and pages.
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise,
    SYS_process_mrelease, SYS_kcmp, SYS_pidfd_getfd, SYS_migrate_pages, SYS_move_pages,
    // Their place in the queue for the processor and the disk.
    SYS_setpriority, SYS_ioprio_set, SYS_sched_setscheduler, SYS_sched_setparam,
    SYS_sched_setattr, SYS_sched_setaffinity,
    // Much code of the kernel that few programs need, and a history of holes.
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_memfd_secret,
    SYS_personality, SYS_remap_file_pages, SYS_lookup_dcookie, SYS_vmsplice,
    // Mounts and namespaces.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_fsopen, SYS_fsconfig, SYS_fsmount,
    SYS_fspick, SYS_open_tree, OPEN_TREE_ATTR, SYS_move_mount, SYS_mount_setattr, STATMOUNT,
    LISTMOUNT, SYS_unshare, SYS_setns,
    // Files by handle instead of name, and watches over them.
    SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_fanotify_init, SYS_fanotify_mark,
    // The machine.
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load,
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, SYS_quotactl_fd, SYS_syslog,
    SYS_sethostname, SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime,
    SYS_adjtimex, SYS_vhangup, SYS_nfsservctl,
    // Another user. capset stays: it can only give up, and the next sandbox does.
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid,
    SYS_setfsuid, SYS_setfsgid, SYS_setgroups,
    // Memory and messages that outlive the process and have no descriptor.
    SYS_shmget, SYS_shmat, SYS_shmctl, SYS_semget, SYS_semop, SYS_semctl, SYS_semtimedop,
    SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_mq_open, SYS_mq_unlink,
];

#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[c_long] = &[SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[c_long] = &[];

/// Changing the tree of files, and the modes, owners, times and attributes that a descriptor open for
/// reading is enough to change.
#[rustfmt::skip]
const CHANGE: &[c_long] = &[
    SYS_truncate, SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_mknodat,
    SYS_fchmod, SYS_fchmodat, FCHMODAT2, SYS_fchown, SYS_fchownat, SYS_utimensat,
    SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr,
    SYS_fremovexattr, SETXATTRAT, REMOVEXATTRAT, FILE_SETATTR,
];

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const CHANGE_RENAME: &[c_long] = &[SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const CHANGE_RENAME: &[c_long] = &[];

#[rustfmt::skip]
#[cfg(target_arch = "x86_64")]
const CHANGE_HERE: &[c_long] = &[
    SYS_creat, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_mknod,
    SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const CHANGE_HERE: &[c_long] = &[];

/// Opening, and reading what stands in a file's name rather than behind it.
#[rustfmt::skip]
const OPEN: &[c_long] = &[
    SYS_openat, SYS_openat2, SYS_readlinkat, SYS_getxattr, SYS_lgetxattr, SYS_listxattr,
    SYS_llistxattr, GETXATTRAT, LISTXATTRAT, FILE_GETATTR, SYS_inotify_add_watch, SYS_chdir,
    SYS_fchdir,
];

#[cfg(target_arch = "x86_64")]
const OPEN_HERE: &[c_long] = &[SYS_open, SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const OPEN_HERE: &[c_long] = &[];

#[rustfmt::skip]
const NETWORK: &[c_long] = &[
    SYS_socket, SYS_socketpair, SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4,
];

const PROCESSES: &[c_long] = &[SYS_execve, SYS_execveat, SYS_pidfd_open, SYS_pidfd_send_signal];

#[cfg(target_arch = "x86_64")]
const PROCESSES_HERE: &[c_long] = &[SYS_fork, SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const PROCESSES_HERE: &[c_long] = &[];

/// Signals by number: to itself they are needed, for abort(3).
const SIGNALS: &[c_long] =
    &[SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo];

/// What one argument must be for a call to be refused. All but `NotZero` look at the low 32 bits, as
/// the kernel does: with more, a caller could set the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    Is(u32),
    IsNot(u32),
    /// Any of these bits.
    Has(u32),
    /// None of these bits.
    Lacks(u32),
    /// An ioctl(2) of this type, which is its second octet.
    OfType(u8),
    /// A whole word, for pointers.
    NotZero,
}

/// A call that is refused when one of its arguments, counted from 0, is so.
pub(super) type Refusal = (c_long, u8, When);

/// Refused with EPERM whatever the arguments.
pub(super) fn refused(sandbox: &Sandbox) -> impl Iterator<Item = c_long> {
    let files = sandbox.has(Rung::Files);
    let open = files && sandbox.folders.is_empty();
    let processes = sandbox.has(Rung::Processes);
    let groups = [
        (true, NEVER),
        (true, NEVER_HERE),
        (files, CHANGE),
        (files, CHANGE_RENAME),
        (files, CHANGE_HERE),
        (open, OPEN),
        (open, OPEN_HERE),
        (sandbox.has(Rung::Network), NETWORK),
        (processes, PROCESSES),
        (processes, PROCESSES_HERE),
        (processes && !sandbox.threads, &[SYS_clone]),
    ];
    groups.into_iter().filter(|(on, _)| *on).flat_map(|(_, calls)| calls.iter().copied())
}

/// Answered as by a kernel without them, so that libraries take the older call, whose arguments a
/// filter can read.
pub(super) fn unknown(sandbox: &Sandbox) -> Vec<c_long> {
    let reader = sandbox.has(Rung::Files) && !sandbox.folders.is_empty();
    if reader { vec![SYS_clone3, SYS_openat2] } else { vec![SYS_clone3] }
}

/// Refused with EPERM for some arguments. `own` is this process's id.
pub(super) fn refused_when(sandbox: &Sandbox, own: u32) -> Vec<Refusal> {
    let mut refusals = ALWAYS_WHEN.to_vec();
    if sandbox.has(Rung::Files) && !sandbox.folders.is_empty() {
        refusals.extend(WRITING);
    }
    if sandbox.has(Rung::Files) {
        refusals.extend(INODES);
    }
    if sandbox.has(Rung::Undumpable) {
        refusals.push((SYS_prctl, 0, When::Is(PR_SET_DUMPABLE as u32)));
    }
    if sandbox.has(Rung::Network) {
        // A datagram socket that was sent can send to any other.
        refusals.push((SYS_sendto, 4, When::NotZero));
    }
    if sandbox.has(Rung::Processes) {
        refusals.extend(SIGNALS.iter().map(|call| (*call, 0, When::IsNot(own))));
        // Outliving the app, and taking in the orphans of others.
        refusals.push((SYS_prctl, 0, When::Is(PR_SET_PDEATHSIG as u32)));
        refusals.push((SYS_prctl, 0, When::Is(PR_SET_CHILD_SUBREAPER as u32)));
        if sandbox.threads {
            refusals.push((SYS_clone, 0, When::Lacks(CLONE_THREAD as u32)));
        }
    }
    refusals
}

/// FIOSETOWN and SIOCSPGRP of asm-generic/sockios.h, which the C library's crate lacks.
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
/// F_SETSIG and F_SETOWN_EX of asm-generic/fcntl.h, which it has for some C libraries only.
const F_SETSIG: u32 = 10;
const F_SETOWN_EX: u32 = 15;
/// F_SETLEASE of linux/fcntl.h, and PR_SCHED_CORE of linux/prctl.h (Linux 5.14).
const F_SETLEASE: u32 = 1024;
const PR_SCHED_CORE: u32 = 62;

const ALWAYS_WHEN: &[Refusal] = &[
    (SYS_clone, 0, When::Has(NAMESPACES as u32)),
    // Limits of another process: the app's processor time set to 0 kills it.
    (SYS_prlimit64, 0, When::IsNot(0)),
    // Where another process keeps its locks, and with that where its memory lies.
    (SYS_get_robust_list, 0, When::IsNot(0)),
    // A signal to whoever is named owner of a descriptor, on the worker's behalf.
    (SYS_fcntl, 1, When::Is(F_SETOWN as u32)),
    (SYS_fcntl, 1, When::Is(F_SETOWN_EX)),
    (SYS_fcntl, 1, When::Is(F_SETSIG)),
    (SYS_ioctl, 1, When::Is(FIOSETOWN)),
    (SYS_ioctl, 1, When::Is(SIOCSPGRP)),
    // Typing into the terminal that the app was started from.
    (SYS_ioctl, 1, When::Is(TIOCSTI as u32)),
    (SYS_ioctl, 1, When::Is(TIOCLINUX as u32)),
    // Traceable by a chosen process, or another program by its looks.
    (SYS_prctl, 0, When::Is(PR_SET_PTRACER as u32)),
    (SYS_prctl, 0, When::Is(PR_SET_MM as u32)),
    // On which processors other processes run beside this one.
    (SYS_prctl, 0, When::Is(PR_SCHED_CORE)),
];

const NAMESPACES: c_int = CLONE_NEWUSER
    | CLONE_NEWNS
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWCGROUP;

/// Opening for anything but reading. O_TRUNC needs no right to write.
const WRITING: [Refusal; WRITING_LEN] = {
    const FLAGS: u32 = (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) as u32;
    #[cfg(target_arch = "x86_64")]
    {
        [(SYS_openat, 2, When::Has(FLAGS)), (SYS_open, 1, When::Has(FLAGS))]
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        [(SYS_openat, 2, When::Has(FLAGS))]
    }
};
const WRITING_LEN: usize = if cfg!(target_arch = "x86_64") { 2 } else { 1 };

/// What a file system does to files and folders through a descriptor open for reading.
///
/// Of linux/fs.h and its like: flags, and never to be changed again (`f`: FS_IOC_SETFLAGS,
/// FS_IOC_ENABLE_VERITY), extended flags (`X`: FS_IOC_FSSETXATTR), generations (`v`: FS_IOC_SETVERSION), and btrfs'
/// subvolumes (0x94). A lease has whoever writes to the file wait.
const INODES: [Refusal; 5] = [
    (SYS_ioctl, 1, When::OfType(b'f')),
    (SYS_ioctl, 1, When::OfType(b'X')),
    (SYS_ioctl, 1, When::OfType(b'v')),
    (SYS_ioctl, 1, When::OfType(0x94)),
    (SYS_fcntl, 1, When::Is(F_SETLEASE)),
];
