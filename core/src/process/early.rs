//! Flow 2, its beginning: the app forks its template, once and early.

use std::io::Write as _;

use super::body::Body;
use super::life::{Core, Origin};
use super::{Template, obstacles};
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
    match sys::fork().map_err(|error| Error::system("fork the template", error))? {
        Forked::Child => {
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
