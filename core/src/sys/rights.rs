//! Flow 2: whether the kernel would start a program with more rights than its user has (execve(2), capabilities(7)).
//!
//! Such a program looks at no variable (`AT_SECURE`), and so would not learn that it was to be a template.

use rustix::fs::{Mode, StatVfsMountFlags};
use rustix::process::{getegid, geteuid, getgid, getuid};

/// The flag of `struct vfs_cap_data` (linux/capability.h) by which capabilities are in force at once.
const EFFECTIVE: u32 = 1;

/// Tells whether what is executed by this path, by this thread, would run so.
pub(crate) fn would_grow(program: &std::path::Path) -> bool {
    // What cannot be looked at cannot be executed either, and the kernel says why.
    let Ok(stat) = rustix::fs::stat(program) else { return false };
    let mode = Mode::from_raw_mode(stat.st_mode);
    let ignored = rustix::fs::statvfs(program)
        .is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOSUID));
    let no_more = rustix::thread::no_new_privs().unwrap_or(false);
    let known = || is_known(stat.st_uid, "uid") && is_known(stat.st_gid, "gid");
    let set = mode.intersects(Mode::SUID | Mode::SGID);
    let honoured = set && !ignored && !no_more && known();
    let (mut user, mut group) = (geteuid().as_raw(), getegid().as_raw());
    if honoured && mode.contains(Mode::SUID) {
        user = stat.st_uid;
    }
    if honoured && mode.contains(Mode::SGID | Mode::XGRP) {
        group = stat.st_gid;
    }
    user != getuid().as_raw()
        || group != getgid().as_raw()
        || (!ignored && !getuid().is_root() && has_capabilities(program))
}

/// Tells whether this process's user namespace has the owner of a file (user_namespaces(7)): it ignores what others'
/// files would set.
fn is_known(id: u32, kind: &str) -> bool {
    let Ok(map) = std::fs::read_to_string(format!("/proc/self/{kind}_map")) else { return true };
    let known = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u32>().ok());
        let (first, count) = (numbers.next()??, numbers.nth(1)??);
        id.checked_sub(first).map(|offset| offset < count)
    };
    map.lines().filter_map(known).any(|known| known)
}

/// Tells whether a file has capabilities to give. Under no_new_privs it gives none, but its program runs as if it had.
fn has_capabilities(program: &std::path::Path) -> bool {
    // Version and flags, then a set of permitted ones and of inheritable ones, in two halves.
    let mut data = [0; 24];
    let got = rustix::fs::getxattr(program, c"security.capability", &mut data[..]).unwrap_or(0);
    let word = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    got > 0 && (word(0) & EFFECTIVE != 0 || word(4) != 0 || word(12) != 0)
}
