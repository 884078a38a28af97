//! Flow 2, its beginning: the app forks its template, once and early.

use std::io::Write as _;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags};

use super::{Template, obstacles};
use crate::sys::{self, Forked};
use crate::wire::socket;
use crate::{Error, Result, serve};

/// Checks, forks, and serves in the child.
pub(super) fn fork() -> Result<Template> {
    obstacles::check()?;
    let (near, far) =
        socket::link_pair().map_err(|error| Error::system("make a link to a template", error))?;
    // Or both processes would write it.
    let _ = std::io::stdout().flush();
    let parent = rustix::process::getpid();
    match sys::fork().map_err(|error| Error::system("fork the template", error))? {
        Forked::Child => serve::begin(far, Some(parent)),
        Forked::Parent(pid) => Ok(adopt(pid, near)),
    }
}

fn adopt(pid: Pid, root: OwnedFd) -> Template {
    // The child is not reaped yet, so its id is its own. Without a pidfd (EMFILE) it is still served, and
    // left to whoever waits for the app's children when it ends.
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
    Template::new(pid, pidfd, root)
}
