//! Opening files and changing the tree, by every way to name a file.

use std::os::fd::AsRawFd as _;

use crate::attempts;
use libc::{AT_EMPTY_PATH, AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TMPFILE, O_WRONLY};
use tine_tests::call;
use tine_tests::scene::Scene;

attempts! {
    open_for_reading Both Through = |s| open(s, "picture", O_RDONLY);
    open_for_writing Both Seen = |s| {
        let fd = open(s, "picture", O_WRONLY);
        if fd < 0 { fd } else { call!(libc::SYS_write, fd, c"X", 1) }
    };
    create Both Seen = |s| open(s, "new", O_WRONLY | O_CREAT);
    nameless_file Both Through = |s| open(s, "", O_RDWR | O_TMPFILE);
    list_the_folder Both Through = |s| open(s, "", O_RDONLY | O_DIRECTORY);
    system_file Both Through = |_| call!(libc::SYS_openat, AT_FDCWD, c"/etc/passwd", O_RDONLY);
    relative_to_a_folder_given Both Through = |s| {
        call!(libc::SYS_openat, s.directory_fd(), c"picture", O_RDONLY)
    };
    openat2 Both Through = |s| {
        let how: &mut [u8] = &mut [0; 24];
        call!(libc::SYS_openat2, AT_FDCWD, s.name("picture").as_c_str(), how, 24)
    };
    memory_file_again_through_proc Seccomp Seen = |s| {
        let name = format!("/proc/self/fd/{}\0", s.frozen.as_raw_fd());
        let name = std::ffi::CStr::from_bytes_with_nul(name.as_bytes()).expect("a name");
        let fd = call!(libc::SYS_openat, AT_FDCWD, name, O_RDWR);
        if fd < 0 { fd } else { call!(libc::SYS_write, fd, c"X", 1) }
    };
    memory_of_the_app Both Through = |_| {
        let name = format!("/proc/{}/mem\0", std::os::unix::process::parent_id());
        let name = std::ffi::CStr::from_bytes_with_nul(name.as_bytes()).expect("a name");
        call!(libc::SYS_openat, AT_FDCWD, name, O_RDWR)
    };
    handle_of_a_name Seccomp Through = |s| {
        let handle: &mut [u8] = &mut [0; 256];
        let mount: &mut [u8] = &mut [0; 8];
        call!(libc::SYS_name_to_handle_at, AT_FDCWD, s.name("picture").as_c_str(), handle, mount, 0)
    };
    handle_opened Seccomp Root = |s| {
        let handle: &mut [u8] = &mut [0; 256];
        call!(libc::SYS_open_by_handle_at, s.directory_fd(), handle, O_RDONLY)
    };
    truncate Both Seen = |s| call!(libc::SYS_truncate, s.name("picture").as_c_str(), 0);
    mkdir Both Seen = |s| call!(libc::SYS_mkdirat, AT_FDCWD, s.name("new").as_c_str(), 0o700);
    mkfifo Both Seen = |s| {
        call!(libc::SYS_mknodat, AT_FDCWD, s.name("new").as_c_str(), libc::S_IFIFO | 0o600, 0)
    };
    unlink Both Seen = |s| call!(libc::SYS_unlinkat, AT_FDCWD, s.name("picture").as_c_str(), 0);
    rename Both Seen = |s| {
        let (from, to) = (s.name("picture"), s.name("new"));
        call!(libc::SYS_renameat2, AT_FDCWD, from.as_c_str(), AT_FDCWD, to.as_c_str(), 0)
    };
    link Both Seen = |s| {
        let (from, to) = (s.name("picture"), s.name("new"));
        let answer = call!(libc::SYS_linkat, AT_FDCWD, from.as_c_str(), AT_FDCWD, to.as_c_str(), 0);
        // Landlock's answer to a link between folders that no rule connects.
        if answer == -i64::from(libc::EXDEV) { -i64::from(libc::EACCES) } else { answer }
    };
    symlink Both Seen = |s| {
        call!(libc::SYS_symlinkat, c"picture", AT_FDCWD, s.name("new").as_c_str())
    };
    chmod Seccomp Seen = |s| {
        call!(libc::SYS_fchmodat, AT_FDCWD, s.name("picture").as_c_str(), 0)
    };
    chmod_of_a_file_given Seccomp Seen = |s| call!(libc::SYS_fchmod, s.picture_fd(), 0);
    chmod_of_a_file_given_by_the_newest_call Seccomp Seen = |s| {
        call!(libc::SYS_fchmodat2, s.picture_fd(), c"", 0, AT_EMPTY_PATH)
    };
    chown_of_a_file_given Seccomp Through = |s| {
        call!(libc::SYS_fchown, s.picture_fd(), -1, -1)
    };
    times_of_a_file_given Seccomp Seen = |s| {
        let epoch: &mut [u8] = &mut [0; 32];
        call!(libc::SYS_utimensat, s.picture_fd(), 0, epoch, 0)
    };
    attribute_of_a_file_given Seccomp Through = |s| {
        call!(libc::SYS_fsetxattr, s.picture_fd(), c"user.tine", c"x", 1, 0)
    };
    flags_of_a_file_given Seccomp Through = |s| {
        let flags: &mut [u8] = &mut [0; 8];
        call!(libc::SYS_ioctl, s.picture_fd(), 0x4008_6602_i64, flags)
    };
    flags_of_a_file_given_by_a_longer_number Seccomp Through = |s| {
        let flags: &mut [u8] = &mut [0; 8];
        call!(libc::SYS_ioctl, s.picture_fd(), 0x7_4008_6602_i64, flags)
    };
    generation_of_a_file_given Seccomp Through = |s| {
        let generation: &mut [u8] = &mut [0; 8];
        call!(libc::SYS_ioctl, s.picture_fd(), 0x4008_7602_i64, generation)
    };
    extended_flags_of_a_file_given Seccomp Through = |s| {
        let flags: &mut [u8] = &mut [0; 28];
        call!(libc::SYS_ioctl, s.picture_fd(), 0x401c_5820_i64, flags)
    };
    a_file_given_never_to_be_changed_again Seccomp Through = |s| {
        let verity: &mut [u8] = &mut [0; 128];
        call!(libc::SYS_ioctl, s.picture_fd(), 0x4080_6685_i64, verity)
    };
    subvolume_in_a_folder_given Seccomp Through = |s| {
        let volume: &mut [u8] = &mut [0; 4096];
        call!(libc::SYS_ioctl, s.directory_fd(), 0x5000_940e_i64, volume)
    };
    lease_of_a_file_given Seccomp Through = |s| {
        call!(libc::SYS_fcntl, s.picture_fd(), 1024, libc::F_RDLCK)
    };
    write_to_a_file_given_through_a_mapping Kernel Harmful = |s| {
        let (write, shared) = (libc::PROT_WRITE, libc::MAP_SHARED);
        call!(libc::SYS_mmap, 0, 4096, write, shared, s.picture_fd(), 0)
    };
    memory_of_a_sibling Both Through = |s| of_a_sibling(s, "mem");
    channel_of_a_sibling Both Root = |s| of_a_sibling(s, "fd/2");
    read_a_link Seccomp Through = |_| {
        let room: &mut [u8] = &mut [0; 256];
        call!(libc::SYS_readlinkat, AT_FDCWD, c"/proc/self/exe", room, 256)
    };
    watch_a_folder Seccomp Through = |s| {
        let fd = call!(libc::SYS_inotify_init1, 0);
        call!(libc::SYS_inotify_add_watch, fd, s.name("").as_c_str(), 1)
    };
    chdir Seccomp Through = |s| call!(libc::SYS_chdir, s.name("").as_c_str());
    fchdir Seccomp Through = |s| call!(libc::SYS_fchdir, s.directory_fd());
    chroot Seccomp Root = |s| call!(libc::SYS_chroot, s.name("").as_c_str());
}

fn of_a_sibling(scene: &Scene, file: &str) -> i64 {
    let name = std::ffi::CString::new(format!("/proc/{}/{file}", scene.victim)).expect("a name");
    call!(libc::SYS_openat, AT_FDCWD, name.as_c_str(), O_RDWR)
}

fn open(scene: &Scene, file: &str, flags: i32) -> i64 {
    call!(libc::SYS_openat, AT_FDCWD, scene.name(file).as_c_str(), flags, 0o600)
}
