//! Flow 2, at its end: what a template leaves to an app that adopts orphans.
//!
//! Processes whose parent has died go to the nearest ancestor that has asked for them (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`), or to process 1 of the PID namespace. If that is the app, a template's death makes
//! its workers and spares the app's children, and so its zombies: spares, which the app knows nothing of, too. They
//! are known by their process group, which is the template's, and that of templates that were forked from it.

use std::fs;

use rustix::process::{Pid, child_subreaper, getpid};

use crate::serve;

/// Tells whether this process is one that orphans go to.
pub(super) fn are_adopted() -> bool {
    getpid() == Pid::INIT || matches!(child_subreaper(), Ok(Some(_)))
}

/// Tells whether a template that is made here has to have a group of its own.
pub(super) fn need_a_group() -> bool {
    are_adopted() || !serve::is_in_a_templates_group()
}

/// This process's children that are of one of these groups, but for those whose groups they are.
pub(super) fn of(groups: &[Pid]) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let own = getpid();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_one = |(parent, group)| parent == own && groups.contains(&group);
    pids.filter_map(Pid::from_raw)
        .filter(|pid| !groups.contains(pid) && parent_and_group(*pid).is_some_and(is_one))
        .collect()
}

fn parent_and_group(pid: Pid) -> Option<(Pid, Pid)> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name may hold anything. Behind it come state, parent, group (proc(5)).
    let name_ends = stat.iter().rposition(|octet| *octet == b')')?;
    let mut fields = str::from_utf8(&stat[name_ends + 1..]).ok()?.split_ascii_whitespace().skip(1);
    let mut next = || fields.next()?.parse().ok().and_then(Pid::from_raw);
    Some((next()?, next()?))
}
