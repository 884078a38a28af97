//! Flow 2: templates that are prepared processes of another template.

use std::cell::OnceCell;
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rustix::process::Signal;

use super::Template;
use super::body::{Birth, Body, FarEnd};
use super::job::Job;
use super::life::{Core, Origin};
use super::link::Link;
use super::recipe::{Given, Recipe, Then};
use crate::wire::socket;
use crate::{Error, Result};

/// Makes a process of `parent` that is prepared and then serves, and a handle of it.
pub(super) fn template(parent: Template, given: Vec<Given>, fresh: bool) -> Result<Template> {
    let body = bear(&parent, given.clone(), fresh)?;
    let origin = Origin::Prepared { parent, given, fresh };
    Ok(Template::new(Core::new(origin, body)))
}

/// Asks for the process; what becomes of it is heard when it comes to be.
pub(super) fn bear(parent: &Template, given: Vec<Given>, fresh: bool) -> Result<Body> {
    let (near, far) = socket::link_pair().map_err(|error| Error::system("make a link", error))?;
    let far = FarEnd::new(far);
    let birth = Arc::new(Birth::of(&far));
    let recipe = Recipe { given, then: Then::Serve(far), fresh };
    let (born, ended) = (Arc::clone(&birth), Arc::clone(&birth));
    let known = Rc::new(OnceCell::<Weak<Job>>::new());
    let job = Rc::clone(&known);
    let started = move |told: Result<UnixStream>| {
        if let Err(error) = told {
            return born.is_refused(error.to_string());
        }
        if let Some(job) = job.get().and_then(Weak::upgrade)
            && born.is_born(job.pid().unwrap_or(0))
        {
            // It may have ended by itself.
            let _ = job.kill(Signal::KILL.as_raw());
        }
    };
    let job = Job::new(parent.clone(), recipe, Box::new(started));
    let _ = known.set(Rc::downgrade(&job));
    job.on_exit(Box::new(move |exit| ended.has_ended(exit.to_string())));
    Link::of(parent)?.ask(&job)?;
    Ok(Body::to_be(near, birth))
}
