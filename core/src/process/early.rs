//! Flow 2, its beginning: the app forks its template, once and early.

use std::io::Write as _;

use super::body::Body;
use super::life::{Core, Origin};
use super::{Template, obstacles, orphans};
use crate::log::note;
use crate::sys::{self, Forked};
use crate::wire::socket;
use crate::{Error, Result, serve};

/// Checks, forks, and serves in the child.
pub(super) fn fork() -> Result<Template> {
    obstacles::check()?;
    let (near, far) =
        socket::link_pair().map_err(|error| Error::system("make a link to a template", error))?;
    // Or both processes would write it.
    let written = std::io::stdout().flush();
    let parent = rustix::process::getpid();
    let apart = orphans::need_a_group();
    match sys::fork().map_err(|error| Error::system("fork the template", error))? {
        Forked::Child => {
            serve::leave_group(apart);
            if written.is_err() {
                serve::forget_output();
            }
            serve::settle_and_serve(far, Some(parent))
        }
        Forked::Parent(pid) => {
            let template = Template::new(Core::new(Origin::Forked, Body::of_child(near, pid)));
            note!(INFO "template forked", pid = pid.as_raw_nonzero());
            Ok(template)
        }
    }
}
