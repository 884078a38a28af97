//! Flow 2: templates that are prepared processes of another template.

use std::sync::Arc;

use super::Template;
use super::body::Body;
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
    let recipe = Recipe { given, then: Then::Serve(Arc::new(far)), fresh };
    let job = Job::new(parent.clone(), recipe, Box::new(|_| ()));
    Link::of(parent)?.ask(&job)?;
    Ok(Body::foreign(near))
}
