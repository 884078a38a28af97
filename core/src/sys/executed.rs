//! Flow 2: whether a process has become another program since it was forked.

use std::fs;

/// What the kernel notes of a process that was forked and has not executed a program (linux/sched.h, the `AFORK`
/// of acct(5)).
const FORKED_NO_EXEC: u64 = 0x40;

/// Tells whether it has; a zombie is still told of. None: there is no such process, or /proc tells nothing of it.
pub(crate) fn has_executed(pid: u32) -> Option<bool> {
    if !is_numbered_alike() {
        return None;
    }
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything. Behind it come state, parent, group, session, terminal, its group, flags (proc(5)).
    let name_ends = stat.iter().rposition(|octet| *octet == b')')?;
    let fields = str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let flags: u64 = fields.split_ascii_whitespace().nth(6)?.parse().ok()?;
    Some(flags & FORKED_NO_EXEC == 0)
}

/// Tells whether /proc numbers processes as this one does: it may be mounted for an outer PID namespace, where these
/// numbers are those of others (pid_namespaces(7)).
pub(crate) fn is_numbered_alike() -> bool {
    let own = fs::read_link("/proc/self");
    own.is_ok_and(|own| own.to_str() == Some(&std::process::id().to_string()))
}
