//! The kernel's rarer doors.

use std::os::fd::AsRawFd as _;

use crate::attempts;
use libc::{AT_FDCWD, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, SIGCHLD};
use tine_tests::{call, native};

attempts! {
    io_uring Seccomp Through = |_| {
        let room: &mut [u8] = &mut [0; 120];
        call!(libc::SYS_io_uring_setup, 1, room)
    };
    io_uring_on_a_descriptor Seccomp Through = |s| {
        call!(libc::SYS_io_uring_enter, s.picture.as_raw_fd(), 1, 0, 0, 0, 0)
    };
    io_uring_without_a_ring Seccomp Through = |_| {
        call!(libc::SYS_io_uring_register, -1, 31, 0, 1)
    };
    a_filter_that_allows_more Both Through = |_| {
        call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        // One instruction, which allows everything, and the struct sock_fprog that names it.
        let allow = [6, 0, 0x7fff_0000_u64].map(|part| part as u32);
        let mut program = [allow[0].to_ne_bytes(), allow[2].to_ne_bytes()].concat();
        let program: &mut [u8] =
            &mut [1, program.as_mut_ptr().addr()].map(usize::to_ne_bytes).concat();
        call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, program);
        call!(libc::SYS_openat, AT_FDCWD, c"/etc/passwd", libc::O_RDONLY)
    };
    bpf Seccomp Root = |_| {
        let room: &mut [u8] = &mut [0; 128];
        call!(libc::SYS_bpf, 0, room, 128)
    };
    perf Seccomp Root = |_| {
        let room: &mut [u8] = &mut [0; 128];
        call!(libc::SYS_perf_event_open, room, 0, -1, -1, 0)
    };
    page_faults Seccomp Root = |_| call!(libc::SYS_userfaultfd, 0);
    keyring Seccomp Through = |_| call!(libc::SYS_keyctl, 0, -3, 1, 0, 0);
    add_a_key Seccomp Through = |_| call!(libc::SYS_add_key, c"user", c"tine", c"x", 1, -2);
    request_a_key Seccomp Through = |_| call!(libc::SYS_request_key, c"user", c"tine", 0, 0);
    user_namespace Seccomp Through = |_| call!(libc::SYS_unshare, CLONE_NEWUSER);
    mount_namespace Seccomp Root = |_| call!(libc::SYS_unshare, CLONE_NEWNS);
    network_namespace Seccomp Root = |_| call!(libc::SYS_unshare, CLONE_NEWNET);
    child_in_a_user_namespace Limit Through = |_| {
        match call!(libc::SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) {
            0 => native::leave(0),
            answer => answer,
        }
    };
    child_with_a_host_name_of_its_own Limit Root = |_| {
        match call!(libc::SYS_clone, libc::CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0) {
            0 => native::leave(0),
            answer => answer,
        }
    };
    enter_a_sibling_s_namespaces Seccomp Root = |s| {
        call!(libc::SYS_setns, s.pidfd.as_raw_fd(), CLONE_NEWNET)
    };
    mount Both Root = |s| {
        // In namespaces of its own where it gets that far.
        call!(libc::SYS_unshare, CLONE_NEWNS);
        call!(libc::SYS_mount, c"none", s.name("").as_c_str(), c"tmpfs", 0, 0)
    };
    unmount Seccomp Root = |s| call!(libc::SYS_umount2, s.name("").as_c_str(), 0);
    pivot Seccomp Root = |s| {
        call!(libc::SYS_pivot_root, s.name("").as_c_str(), s.name("").as_c_str())
    };
    mount_by_descriptors Seccomp Root = |_| call!(libc::SYS_fsopen, c"tmpfs", 0);
    mount_that_is_there Seccomp Root = |_| call!(libc::SYS_fspick, AT_FDCWD, c"/", 0);
    mount_made_by_descriptors Seccomp Root = |_| call!(libc::SYS_fsmount, -1, 0, 0);
    mount_moved Seccomp Root = |s| {
        call!(libc::SYS_move_mount, AT_FDCWD, c"/proc", AT_FDCWD, s.name("none").as_c_str(), 0)
    };
    mount_made_writable Seccomp Root = |_| {
        let attributes: &mut [u8] = &mut [0; 32];
        call!(libc::SYS_mount_setattr, AT_FDCWD, c"/", 0, attributes, 32)
    };
    list_of_mounts Seccomp Through = |_| call!(458, 0, 0, 0, 0);
    state_of_a_mount Seccomp Through = |_| call!(457, 0, 0, 0, 0);
    copy_of_a_tree Seccomp Root = |_| call!(libc::SYS_open_tree, AT_FDCWD, c"/", 1);
    personality Seccomp Through = |_| call!(libc::SYS_personality, 0xffff_ffff_u32);
    secret_memory Seccomp Harmful = |_| call!(libc::SYS_memfd_secret, 0);
    shared_memory_of_others Seccomp Through = |_| call!(libc::SYS_shmget, 0x7469, 1, 0);
    semaphores_of_others Seccomp Through = |_| call!(libc::SYS_semget, 0x7469, 1, 0);
    messages_of_others Seccomp Through = |_| call!(libc::SYS_msgget, 0x7469, 0);
    message_queue Seccomp Harmful = |_| call!(libc::SYS_mq_open, c"tine", 0, 0, 0);
    another_user Seccomp Through = |_| call!(libc::SYS_setuid, rustix::process::getuid().as_raw());
    another_group Seccomp Through = |_| call!(libc::SYS_setgid, rustix::process::getgid().as_raw());
    fanotify Seccomp Root = |_| call!(libc::SYS_fanotify_init, 0, 0);
    kernel_log Seccomp Root = |_| call!(libc::SYS_syslog, 10, 0, 0);
    kernel_module Seccomp Harmful = |_| call!(libc::SYS_delete_module, c"no such module", 0);
    reboot Seccomp Root = |_| call!(libc::SYS_reboot, 0, 0, 0, 0);
    swap Seccomp Root = |_| call!(libc::SYS_swapoff, c"/no such file");
    clock Seccomp Through = |_| call!(libc::SYS_clock_settime, 12_345, 0);
    host_name Seccomp Root = |_| call!(libc::SYS_sethostname, 0, 1);
    // The numbers of 32-bit programs mean other calls: 5 is open.
    calls_of_another_architecture Seccomp Through = |s| {
        native::call_by_old_gate(5, s.name("picture").as_c_str())
    };
    // The second set of numbers of x86-64, where a kernel has it.
    calls_of_x32 Seccomp Harmful = |s| call!(1 << 30 | 2, s.name("picture").as_c_str(), 0);
    calls_not_made_yet Seccomp Harmful = |_| call!(1000);
}
