//! Flow 2, before its beginning: what makes it too late to fork this program.

use std::ffi::OsString;
use std::fs;
use std::os::fd::RawFd;
use std::path::Path;

use crate::{Error, ErrorKind, Result, queue, sys};

/// Refuses when a fork of this process would copy something that does not survive it.
///
/// # Errors
/// [`ErrorKind::TooLate`], naming threads, toolkit or descriptor, and what to do.
pub(super) fn check() -> Result<()> {
    let others = [elsewhere(), toolkit()].into_iter().flatten().collect();
    let found: Vec<String> = [threads()?, others, descriptors()?].concat();
    if found.is_empty() {
        return Ok(());
    }
    let message = format!(
        "too late to fork this program: {}; fork the template first thing in main, or see Template::exec",
        found.join(", ")
    );
    Err(Error::new(ErrorKind::TooLate, message))
}

/// Threads other than this one, by name: a lock that one of them holds stays locked in the copy.
fn threads() -> Result<Vec<String>> {
    // As this /proc numbers it, which may be that of an outer PID namespace.
    let me =
        fs::read_link("/proc/thread-self").ok().and_then(|path| path.file_name().map(Into::into));
    let me: OsString = me.unwrap_or_else(|| rustix::thread::gettid().to_string().into());
    let tasks = fs::read_dir("/proc/self/task").map_err(|error| {
        Error::system("count the threads of this program in /proc/self/task", error)
    })?;
    let mut threads = Vec::new();
    for task in tasks {
        let task =
            task.map_err(|error| Error::system("count the threads of this program", error))?;
        let id = task.file_name();
        if id != me
            && let Some(name) = running(&task.path())
        {
            let id = id.to_string_lossy();
            threads.push(format!("thread {id} ({name}) is running"));
        }
    }
    Ok(threads)
}

/// The name of a thread, unless it is ending: who has waited for it (pthread_join(3)) may see it for a while still, but
/// it runs no code of the program's any more, and so holds no lock for longer than the program itself would have it held.
fn running(task: &Path) -> Option<String> {
    /// PF_EXITING of the kernel's linux/sched.h.
    const EXITING: u64 = 4;
    let stat = match fs::read(task.join("stat")) {
        Ok(stat) => String::from_utf8_lossy(&stat).into_owned(),
        // It has ended since it was listed: there is no such file, or was when it was opened.
        Err(error) if [Some(libc::ENOENT), Some(libc::ESRCH)].contains(&error.raw_os_error()) => {
            return None;
        }
        Err(_) => String::new(),
    };
    // The name may hold anything. Behind it come state, parent, group, session, terminal, its group, flags (proc(5)).
    let (before, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let flags = fields.split_ascii_whitespace().nth(6).and_then(|flags| flags.parse().ok());
    let name = before.split_once('(').map_or("", |(_, name)| name);
    (flags.unwrap_or(0) & EXITING == 0).then(|| name.into())
}

/// That children of this thread are in another PID namespace than itself (unshare(2), setns(2)): the first of them
/// would be the namespace's process 1, whose end is that of all, and none can be made after it. All have other numbers
/// there than here.
pub(super) fn elsewhere() -> Option<String> {
    let own = fs::read_link("/proc/thread-self/ns/pid").ok()?;
    let childrens = "/proc/thread-self/ns/pid_for_children";
    let is_elsewhere = match fs::read_link(childrens) {
        Ok(childrens) => childrens != own,
        // It leads nowhere before the first of them.
        Err(_) => fs::symlink_metadata(childrens).is_ok(),
    };
    is_elsewhere.then(|| "its children begin in another PID namespace (unshare, setns)".into())
}

/// GLib's types and GTK: not safe to fork once initialised, which linking them alone does not do.
fn toolkit() -> Option<String> {
    if sys::toolkit::gtk_is_initialized() {
        return Some("GTK is initialised".into());
    }
    sys::toolkit::glib_types_registered()
        .then(|| "GLib is initialised (types are registered)".into())
}

/// Descriptors by which a loop or a display connection shows that it lives here.
///
/// Only those that are close-on-exec were made by this program; others may come from its parent.
fn descriptors() -> Result<Vec<String>> {
    let own = queue::own_descriptors();
    let listing =
        |error| Error::system("list the descriptors of this program in /proc/self/fd", error);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").map_err(listing)? {
        let entry = entry.map_err(listing)?;
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok())
        else {
            continue;
        };
        // The directory's own descriptor is gone by the time that it could be looked at.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if !own.contains(&fd)
            && is_close_on_exec(fd)
            && let Some(what) = alive(&target, fd)
        {
            found.push(format!("descriptor {fd} is {what}"));
        }
    }
    Ok(found)
}

fn alive(target: &Path, fd: RawFd) -> Option<&'static str> {
    match target.to_str()? {
        "anon_inode:[eventpoll]" => Some("an event loop's (epoll)"),
        "anon_inode:[eventfd]" => Some("an event loop's wake-up (eventfd)"),
        "anon_inode:[io_uring]" => Some("an io_uring"),
        socket if socket.starts_with("socket:") => display(fd),
        _ => None,
    }
}

/// Tells a connection to an X or Wayland server by the name of its peer's socket (unix(7)).
fn display(fd: RawFd) -> Option<&'static str> {
    let peer = sys::descriptors::peer_name(fd)?;
    let peer = String::from_utf8_lossy(&peer);
    if peer.contains(".X11-unix/X") {
        Some("a connection to an X server")
    } else if peer.contains("/wayland-") {
        Some("a connection to a Wayland server")
    } else {
        None
    }
}

fn is_close_on_exec(fd: RawFd) -> bool {
    // O_CLOEXEC is told in octal in the flags line of fdinfo (proc(5)).
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0);
    flags & libc::O_CLOEXEC as u32 != 0
}
