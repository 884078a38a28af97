//! Flow 2, its beginning: the handle of a template.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::body::Body;
use super::image::Image;
use super::life::{Core, Origin};
use super::{Command, Process, early};
use crate::Result;
use crate::log::note;

/// A process kept clean, from which workers are forked.
///
/// A handle is cheap to clone and can be used from any thread; each thread hears of its own workers,
/// through its own queue. The template ends when the last handle is dropped and the last of its workers
/// has ended, and at once when the app dies, however it dies; its workers die with it.
///
/// # When a template dies
/// One that is killed, or leaves a request unanswered past its [deadline](Template::set_deadline), is made
/// anew: its workers die with it and their ends are told; requests that no process has begun are carried
/// over to the new one; those that one may have begun fail, once. A template that was *forked* cannot be
/// forked again from an app that has threads by now: its successor is the program's own image, executed,
/// so that entries are found but state loaded before the fork is lost; prepare what must last with
/// [`Process::call`] or [`Process::load`], which are repeated. After five deaths in a row, without a
/// process made in between, a template is given up, and every request fails with that as its reason.
///
/// # In a terminal
/// Templates and workers are in a process group of their own, so that Ctrl-C and Ctrl-\\ reach the app alone, which
/// may catch them and go on; when it dies, they do. Ctrl-Z stops the app: workers come to the end of what they do,
/// and wait. External programs ([`Command`]) are in the app's group, as those of `std::process::Command` are.
///
/// # Typical problems
/// The template is a child of the app: an app that waits for *any* child (`waitpid(-1, …)`) meets it.
#[derive(Clone)]
#[must_use = "a template ends with its last handle, also the one that libraries would have used"]
pub struct Template {
    core: Arc<Core>,
}

/// Gives the program's default template, which all callers share.
///
/// It is the one that [`Template::early`] or [`Template::here`] forked first, as long as the program keeps a handle of
/// it, and else the program's own image, executed on first need: a library needs no help from `main`, and `main`
/// never runs twice.
///
/// # Errors
/// [`ErrorKind::System`](crate::ErrorKind::System) when the image cannot be executed.
pub fn template() -> Result<Template> {
    let mut default = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(template) = default.offered.upgrade()
        && template.core.check().is_ok()
    {
        return Ok(template);
    }
    if let Some(template) = &default.executed
        && template.core.check().is_ok()
    {
        return Ok(template.clone());
    }
    // Inherited through a fork: the other process's, and none of ours to close.
    std::mem::forget(default.executed.take());
    Ok(default.executed.insert(Template::exec()?).clone())
}

/// What [`template`] gives.
struct Default {
    /// The program's own, as long as it keeps it.
    offered: WeakTemplate,
    executed: Option<Template>,
}

static DEFAULT: Mutex<Default> =
    Mutex::new(Default { offered: WeakTemplate(Weak::new()), executed: None });

impl Template {
    /// Forks the template as the first thing in `main`, before threads, toolkits and data.
    ///
    /// In the template itself this call never returns: there the program serves, until the app is gone. A program that
    /// does it for its libraries' sake keeps the handle, too: [`template()`] gives it to them for as long.
    ///
    /// # Errors
    /// - [`ErrorKind::TooLate`](crate::ErrorKind::TooLate): the program has a second thread, GLib types or
    ///   GTK are initialised, a descriptor shows that an event loop or a display connection lives here
    ///   already, or children begin in another PID namespace. The message names each. The first is so under
    ///   `cargo test`, whose harness has threads.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): fork(2) or a descriptor was refused.
    ///
    /// # Examples
    /// ```no_run
    /// fn main() -> tine::Result<()> {
    ///     let template = tine::Template::early()?; // nothing before this line
    ///     // …the toolkit comes to life here
    ///     Ok(())
    /// }
    /// ```
    pub fn early() -> Result<Template> {
        early::fork().map(Template::offer)
    }

    /// Forks the program at a moment of its choice, as a template that has its loaded state.
    ///
    /// Everything in memory is shared with the workers until it is written to; descriptors but the standard
    /// three are closed in the template. A hash map's keys and any other random state that exists by now
    /// are the same in all workers. As with [`Template::early`], the call never returns in the template.
    ///
    /// # Errors
    /// As [`Template::early`].
    pub fn here() -> Result<Template> {
        early::fork().map(Template::offer)
    }

    /// Executes the program's own image as a template: fresh memory, a fresh address-space layout.
    ///
    /// It works in any program at any time, and after the program's file was replaced, renamed or deleted.
    /// `main` does not run in it: tine takes over before. Where tine is part of a library that the program has loaded,
    /// the image has that library too.
    ///
    /// # Errors
    /// - [`ErrorKind::System`](crate::ErrorKind::System): no /proc, or no process or descriptor to be had.
    /// - [`ErrorKind::Misuse`](crate::ErrorKind::Misuse): the image would run with more rights than its user
    ///   has (set-user-id and the like), and so look at nothing that it is told; or this thread's children begin in
    ///   another PID namespace (unshare(2)).
    pub fn exec() -> Result<Template> {
        Template::executed(Image::own()?)
    }

    /// Executes another program as a template: one that links tine and no toolkit forks faster.
    ///
    /// The file is opened once; a new template, should it be needed, is made from the same inode. Of a script, which
    /// may lead to such a program, the path is what counts. Entries are found by name, so both programs take them from
    /// one library.
    ///
    /// # Errors
    /// - [`ErrorKind::System`](crate::ErrorKind::System): the program cannot be opened or executed. That it
    ///   does not link tine shows in the first request: its `main` has run, and it is no template. One that names
    ///   nothing of tine nor of the library with the entries does not link them, whatever its manifest says; with
    ///   `use that_library as _;` it does.
    /// - [`ErrorKind::Misuse`](crate::ErrorKind::Misuse): as [`Template::exec`].
    pub fn program(path: impl AsRef<Path>) -> Result<Template> {
        Template::executed(Image::program(path.as_ref())?)
    }

    fn executed(image: Image) -> Result<Template> {
        let body = image.execute()?;
        note!(INFO "template executed", pid = body.pid.unwrap_or(0));
        Ok(Template::new(Core::new(Origin::Executed(image), body)))
    }

    /// Makes a handle of a descriptor that [`Process::into_fd`] gave, here or in another process.
    ///
    /// The processes behind it belong to the app that made them and die with it.
    pub fn from_fd(fd: OwnedFd) -> Template {
        Template::new(Core::new(Origin::Foreign, Body::foreign(fd)))
    }

    pub(super) fn new(core: Core) -> Template {
        Template { core: Arc::new(core) }
    }

    /// Makes it the default, unless there is one.
    fn offer(self) -> Template {
        let mut default = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
        if default.offered.upgrade().is_none() {
            default.offered = self.downgrade();
        }
        drop(default);
        self
    }

    /// Begins a process, forked from the template when it is run.
    pub fn fork(&self) -> Process {
        Process::new(self.clone(), false)
    }

    /// Begins a process in a fresh image of the template's program, executed when it is run.
    ///
    /// It shares no memory and no address-space layout with any other, and takes as long as starting the
    /// program does; the app's thread is not held meanwhile. Of what a [prepared](Process::into_template) template was
    /// given, and of what was called in it, it has nothing.
    pub fn fresh(&self) -> Process {
        Process::new(self.clone(), true)
    }

    /// Begins an external program, to be started from the template.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        Command::new(self.clone(), program.as_ref())
    }

    /// The template's process id; None while it is not known, and for one that came from elsewhere.
    pub fn pid(&self) -> Option<u32> {
        self.core.pid()
    }

    /// Tells whether the template is this program's own child: one that was forked or executed here is, and tine reaps
    /// it. A [prepared](Process::into_template) one is its template's, and one that came as a descriptor, whoever's. No
    /// worker and no external program is: each is its template's, which leaves no zombie of it.
    pub fn is_child(&self) -> bool {
        self.core.is_child()
    }

    /// Keeps `count` processes forked ahead, which makes the next ones start sooner.
    ///
    /// They take over what the app's environment, directory, umask and locale become. They are
    /// refilled when the template has nothing else to do, and given up with 0, or by the template
    /// itself when the system is short of memory (Linux's pressure stall information, where it is to be
    /// had), until it has not been so for ten seconds.
    ///
    /// # Errors
    /// [`ErrorKind::NoTemplate`](crate::ErrorKind::NoTemplate) when the template was given up.
    pub fn spares(&self, count: u32) -> Result<()> {
        self.core.check()?;
        self.core.set_spares(count)
    }

    /// Sets how long the template may leave a request unanswered before it is killed and made anew.
    ///
    /// Ten seconds unless set. When it has passed, processes that are stopped (SIGSTOP) before they have begun are made
    /// to go on; the template is killed if nothing has come of that in a quarter of the time. It is also how long the far
    /// end of a [remote](Command::remote) process may say nothing.
    pub fn set_deadline(&self, deadline: Duration) {
        self.core.set_deadline(deadline);
    }

    /// Makes things fail, for a program's own tests; [`Faults::new`](crate::testing::Faults::new) ends it.
    ///
    /// The template and its processes fail from the next request of this thread on; this thread's sockets,
    /// at once. A template that is made anew, and a process in a fresh image, fail no more.
    ///
    /// # Errors
    /// As a request's: the template cannot be reached.
    #[cfg(feature = "testing")]
    pub fn inject(&self, faults: crate::testing::Faults) -> Result<()> {
        self.core.check()?;
        crate::fault::set(crate::testing::Faults::new());
        super::link::Link::of(self)?.inject(faults)?;
        crate::fault::set(faults);
        Ok(())
    }

    /// Tells what was made so far.
    pub fn report(&self) -> Report {
        let counts = &self.core.counts;
        Report {
            processes: counts.processes.load(Ordering::Relaxed),
            from_spares: counts.from_spares.load(Ordering::Relaxed),
            deaths: counts.deaths.load(Ordering::Relaxed),
        }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn downgrade(&self) -> WeakTemplate {
        WeakTemplate(Arc::downgrade(&self.core))
    }

    pub(super) fn into_fd(self) -> Result<OwnedFd> {
        self.core.connect().map(|(link, _)| link)
    }
}

/// What a template has made, over all of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Processes.
    pub processes: u64,
    /// Those of them that were spares.
    pub from_spares: u64,
    /// How often the template died and was missed.
    pub deaths: u64,
}

/// A handle that does not keep the template alive.
pub(super) struct WeakTemplate(Weak<Core>);

impl WeakTemplate {
    pub fn upgrade(&self) -> Option<Template> {
        self.0.upgrade().map(|core| Template { core })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("pid", &self.pid()).finish_non_exhaustive()
    }
}
