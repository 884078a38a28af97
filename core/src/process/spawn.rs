//! Flow 2: a process while it is being prepared.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use super::job::Job;
use super::recipe::{Given, Recipe, Then};
use super::{Command, Running, Template, prepared, remote};
use crate::{Error, ErrorKind, Result, Sandbox};

/// A process being prepared: takes descriptors and arguments, can be forked, then runs.
///
/// Every call that prepares it returns at once. It comes to be when it is run, or forked after code was
/// called in it; dropped before, it never was or exits.
///
/// # Examples
/// ```no_run
/// # fn main() -> tine::Result<()> {
/// # let template = tine::Template::early()?;
/// tine::entry!(GREET = greet);
/// fn greet(mut worker: tine::Worker) -> tine::Result<()> {
///     let greeting = [worker.take_arg()?, worker.take_arg()?].concat();
///     std::io::Write::write_all(&mut worker.socket(), &greeting)?;
///     Ok(())
/// }
///
/// let prepared = template.fork().send_arg("both get this, ");
/// for name in ["one", "two"] {
///     prepared.fork().send_arg(name).run(GREET, |socket| println!("{socket:?}"));
/// }
/// # Ok(()) }
/// ```
#[must_use = "a process that is not run never comes to be"]
pub struct Process {
    preparing: RefCell<Preparing>,
}

struct Preparing {
    template: Template,
    given: Vec<Given>,
    /// In a fresh image instead of a copy of the template.
    fresh: bool,
    /// The command at whose far end it runs.
    via: Option<Arc<Command>>,
    /// The first thing that went wrong; `run`'s callback is told.
    broken: Option<Arc<Error>>,
}

impl Process {
    pub(super) fn new(template: Template, fresh: bool) -> Process {
        let preparing = Preparing { template, given: Vec::new(), fresh, via: None, broken: None };
        Process { preparing: RefCell::new(preparing) }
    }

    pub(super) fn remote(command: Command) -> Process {
        let template = command.template().clone();
        let via = Some(Arc::new(command));
        let preparing = Preparing { template, given: Vec::new(), fresh: false, via, broken: None };
        Process { preparing: RefCell::new(preparing) }
    }

    /// Makes a copy: it has inherited what was sent so far, and gets alone what it is sent from now on.
    ///
    /// When code was called in this process, the process comes to be now and the copies are forked from
    /// it, with all that the code has left in its memory.
    pub fn fork(&self) -> Process {
        let mut preparing = self.preparing.borrow_mut();
        if preparing.via.is_none()
            && preparing.given.iter().any(Given::runs)
            && let Err(error) = preparing.settle()
        {
            preparing.broken = Some(Arc::new(error));
        }
        let Preparing { template, given, fresh, via, broken } = &*preparing;
        let copy = Preparing {
            template: template.clone(),
            given: given.clone(),
            fresh: *fresh,
            via: via.clone(),
            broken: broken.clone(),
        };
        Process { preparing: RefCell::new(copy) }
    }

    /// Sends a descriptor. It stays open here until all copies have got theirs, then it is closed.
    pub fn send_fd(self, fd: impl Into<OwnedFd>) -> Self {
        self.give(Ok(Given::Fd(Arc::new(fd.into()))))
    }

    /// Sends an argument: any octets, at most 4 GiB.
    ///
    /// One longer than 64 KiB is moved to a memfd at once, which all copies share, as long as those do not take a good
    /// part of the descriptors that the app may have.
    pub fn send_arg(self, octets: impl Into<Vec<u8>>) -> Self {
        let files = || self.preparing.borrow().given.iter().filter(|given| given.is_file()).count();
        let given = Given::arg(octets.into(), files);
        self.give(given)
    }

    /// Calls a function in the process while it is prepared, after what was given before.
    ///
    /// `function` is a [`Function`](crate::Function), or its name; no arguments are `[""; 0]`. When it fails, panics or
    /// does not exist, the process exits; `run`'s callback is told why, with the function's name and the process's id.
    ///
    /// It leaves no thread behind in a process that is to be forked: copies are without it, and wait for ever for what it
    /// held just then (fork(2)). The audit of feature `testing` names those that run.
    pub fn call<A: Into<Vec<u8>>>(
        self,
        function: impl Into<String>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        self.give(Ok(Given::Call { function: function.into().into(), args }))
    }

    /// Loads a shared object into the process and registers its entries and functions there.
    ///
    /// It is opened now, so that the process gets this very file. How one is written stands in
    /// [`plugin!`](crate::plugin) for Rust and in `tine-plugin.h` for C. Its failure is told as that of
    /// [`Process::call`].
    pub fn load(self, path: impl AsRef<Path>) -> Self {
        self.give(Given::load(path.as_ref()))
    }

    /// Puts a sandbox on the process, just before it enters its function.
    ///
    /// Copies inherit it, so that a template is given it once for all of its processes. One that cannot have
    /// what the sandbox [requires](Sandbox::require) exits, and `run`'s callback is told why
    /// ([`ErrorKind::Sandbox`](crate::ErrorKind::Sandbox)). A rung that is
    /// merely missing is told by [`Running::posture`].
    pub fn sandbox(self, sandbox: &Sandbox) -> Self {
        self.give(Ok(Given::Sandbox(sandbox.encode().into())))
    }

    /// What it is forked from; its own, once code was called in it and it was forked.
    pub(crate) fn template(&self) -> Template {
        self.preparing.borrow().template.clone()
    }

    fn give(self, given: Result<Given>) -> Self {
        let mut preparing = self.preparing.borrow_mut();
        match given {
            Ok(given) => preparing.given.push(given),
            Err(error) if preparing.broken.is_none() => preparing.broken = Some(Arc::new(error)),
            Err(_) => (),
        }
        drop(preparing);
        self
    }

    /// Runs the process and enters a function in it.
    ///
    /// `entry` is an [`Entry`](crate::Entry), or its name. The callback runs once, on this thread's queue:
    /// with the app's end of the worker's socket (non-blocking, close-on-exec) when the process exists, is
    /// prepared and has its orders, or with the reason why it could not come to be. A name that the template
    /// does not know is told as the worker's [`Exit`](crate::Exit).
    ///
    /// # Panics
    /// As [`queue`](crate::queue()) does, when descriptors run out for this thread's queue.
    #[track_caller]
    pub fn run(
        self,
        entry: impl Into<String>,
        callback: impl FnOnce(Result<UnixStream>) + 'static,
    ) -> Running {
        let Preparing { template, given, fresh, via, broken } = self.preparing.into_inner();
        let recipe = Recipe { given, then: Then::Run(entry.into().into()), fresh };
        if let Some(command) = via {
            return remote::run(&command, recipe, broken, Box::new(callback));
        }
        let job = Job::new(template.clone(), recipe, Box::new(callback));
        let asked = match broken {
            Some(error) => Err(Error::again(&error)),
            None => template.core().check().and_then(|()| job.ask_first(&template)),
        };
        if let Err(error) = asked {
            job.fail_later(error);
        }
        Running::new(job)
    }

    /// Makes the process a template of its own, which has what it was given and what was called in it.
    ///
    /// It comes to be now. Should it die, it is made anew in the same way.
    ///
    /// # Errors
    /// What went wrong in preparing it so far. What goes wrong in the process itself is told to those who
    /// are forked from it.
    pub fn into_template(self) -> Result<Template> {
        let mut preparing = self.preparing.into_inner();
        preparing.settle()?;
        Ok(preparing.template)
    }

    /// Turns the handle into a descriptor, to be passed to another process and made a handle again there
    /// by [`Process::from_fd`].
    ///
    /// The process comes to be now, and belongs to this app: it dies with it.
    ///
    /// # Errors
    /// As [`Process::into_template`].
    pub fn into_fd(self) -> Result<OwnedFd> {
        self.into_template()?.into_fd()
    }

    /// Makes a handle of a descriptor that [`Process::into_fd`] gave.
    pub fn from_fd(fd: OwnedFd) -> Process {
        Template::from_fd(fd).fork()
    }
}

impl Preparing {
    /// Makes the process come to be as a template, which has everything that was given.
    fn settle(&mut self) -> Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(Error::again(&error));
        }
        self.template.core().check()?;
        if self.via.is_some() {
            let message = "a process at the far end of a command cannot be made a template";
            return Err(Error::new(ErrorKind::Misuse, message));
        }
        let given = std::mem::take(&mut self.given);
        self.template = prepared::template(self.template.clone(), given, self.fresh)?;
        self.fresh = false;
        Ok(())
    }
}
