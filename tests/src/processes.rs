//! Processes as /proc shows them.

use std::collections::BTreeMap;
use std::fs;

use tine::Template;

/// The process id of a template that is alive.
///
/// # Panics
/// When it is not.
pub fn of(template: &Template) -> u32 {
    template.pid().expect("a template that is alive")
}

/// The open descriptors of a process; none when it is gone or a zombie.
pub fn descriptors(pid: u32) -> BTreeMap<i32, String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeMap::new() };
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        Some((number, fs::read_link(&path).ok()?.to_string_lossy().into_owned()))
    });
    named.collect()
}

/// The children of a process, zombies included: id and state letter. None when descriptors have run out.
pub fn children(parent: u32) -> Vec<(u32, char)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| {
        let stat = Stat::of(pid)?;
        (stat.parent == parent).then_some((pid, stat.state))
    })
    .collect()
}

/// Tells whether the process exists and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Tells whether the process waits for something.
pub fn is_asleep(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state == 'S')
}

/// A field of /proc/PID/status.
pub fn status(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status_field(&status, field)
}

/// A field of a text like /proc/PID/status.
pub fn status_field(status: &str, field: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().into())
}

/// What the kernel tells of this program's processes: for messages of tests that hang.
pub fn picture() -> String {
    let mut lines = Vec::new();
    let mut todo = vec![(0, std::process::id())];
    while let Some((depth, pid)) = todo.pop() {
        let state = status(pid, "State").unwrap_or_default();
        let fds = descriptors(pid);
        lines.push(format!("{:depth$}{pid} {state} {} descriptors: {fds:?}", "", fds.len()));
        todo.extend(children(pid).into_iter().map(|(child, _)| (depth + 2, child)));
        if lines.len() > 20 {
            lines.push("…".into());
            break;
        }
    }
    lines.join("\n")
}

struct Stat {
    state: char,
    parent: u32,
}

impl Stat {
    /// The name may hold spaces and parentheses; the fields begin behind its last.
    fn of(pid: u32) -> Option<Stat> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
    }
}
