//! Flow 2: external programs, started from a template in the manner of `std::process::Command`.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;

use super::job::Job;
use super::recipe::{Recipe, Then};
use super::{Process, Running, Template};
use crate::wire::{Execute, FDS_MAX, Given as Standard, Message, Outbox};
use crate::{Error, ErrorKind, Result};

/// An external program to be started from a template: fork and exec at no cost for the app's size.
///
/// It begins with the app's environment, directory and umask as they are when it is spawned, default
/// signals, `/dev/null` as its standard input, and no descriptor but those it is given. It is in the app's
/// process group, if that is in the template's session. Unless told otherwise it outlives the app, and the end of its standard error goes into its [`Exit`](crate::Exit).
///
/// # Examples
/// ```no_run
/// # fn main() -> tine::Result<()> {
/// # let template = tine::Template::early()?;
/// template
///     .command("/bin/echo")
///     .arg("hi")
///     .stdout(std::fs::File::create("log")?)
///     .spawn(|started| println!("{}", if started.is_ok() { "started" } else { "not started" }))
///     .on_exit(|exit| println!("{exit}"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a command that is not spawned does nothing"]
pub struct Command {
    template: Template,
    program: OsString,
    arg0: Option<OsString>,
    args: Vec<OsString>,
    clear_environment: bool,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    process_group: Option<i32>,
    new_session: bool,
    dies_with_app: bool,
    deadline: Option<Duration>,
    pub(super) standard: [Stdio; 3],
    places: Vec<(u32, Arc<OwnedFd>)>,
}

/// What a program is given as standard input, output or error.
#[derive(Debug, Clone)]
pub enum Stdio {
    /// What the template has: `/dev/null` as input, the app's output as it was when the template was made.
    /// As error, a pipe whose content the template passes on to the app's and keeps the end of.
    Inherit,
    /// `/dev/null`.
    Null,
    /// A new pipe, whose other end [`Spawned`] has.
    Piped,
    /// This descriptor.
    Fd(Arc<OwnedFd>),
}

impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(fd: T) -> Self {
        Stdio::Fd(Arc::new(fd.into()))
    }
}

/// The app's ends of the pipes that were asked for: non-blocking, close-on-exec.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Spawned {
    /// To be written.
    pub stdin: Option<OwnedFd>,
    /// To be read.
    pub stdout: Option<OwnedFd>,
    /// To be read.
    pub stderr: Option<OwnedFd>,
}

impl Command {
    pub(super) fn new(template: Template, program: &OsStr) -> Command {
        Command {
            template,
            program: program.into(),
            arg0: None,
            args: Vec::new(),
            clear_environment: false,
            environment: Vec::new(),
            directory: None,
            process_group: None,
            new_session: false,
            dies_with_app: false,
            deadline: None,
            standard: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
            places: Vec::new(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Sets the name that the program is called by, its argument 0.
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.arg0 = Some(name.as_ref().into());
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().into(), Some(value.as_ref().into())));
        self
    }

    /// Removes a variable from the environment.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().into(), None));
        self
    }

    /// Begins with an empty environment.
    pub fn env_clear(mut self) -> Self {
        self.clear_environment = true;
        self.environment.clear();
        self
    }

    /// Sets the directory that the program starts in.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().into());
        self
    }

    /// Sets its standard input.
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Self {
        self.standard[0] = stdio.into();
        self
    }

    /// Sets its standard output.
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.standard[1] = stdio.into();
        self
    }

    /// Sets its standard error.
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.standard[2] = stdio.into();
        self
    }

    /// Gives it a descriptor, under this number; no more than 250 in all.
    pub fn fd(mut self, number: u32, fd: impl Into<OwnedFd>) -> Self {
        self.places.push((number, Arc::new(fd.into())));
        self
    }

    /// Puts it into a process group (setpgid(2)); 0 makes one of its own.
    pub fn process_group(mut self, group: i32) -> Self {
        self.process_group = Some(group);
        self
    }

    /// Makes it the leader of a session of its own (setsid(2)).
    pub fn new_session(mut self) -> Self {
        self.new_session = true;
        self
    }

    /// Has it killed when the app or its template dies.
    pub fn dies_with_app(mut self) -> Self {
        self.dies_with_app = true;
        self
    }

    /// Sets how long a [remote](Command::remote) process may take to say that it is there: one whose way there is long,
    /// or asks its user for something first.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Starts the program.
    ///
    /// The callback runs once, on this thread's queue, when the program has been executed, or with the
    /// reason why that cannot be done: [`Error::io`] has exec's own error, the message the path.
    ///
    /// # Panics
    /// As [`queue`](crate::queue()) does, when descriptors run out for this thread's queue.
    #[track_caller]
    pub fn spawn(self, callback: impl FnOnce(Result<Spawned>) + 'static) -> Running {
        match self.order() {
            Ok((order, spawned)) => {
                order.spawn(Box::new(move |executed| callback(executed.map(|_| spawned))))
            }
            Err(refused) => {
                let (command, error) = *refused;
                command.refuse(error, move |error| callback(Err(error)))
            }
        }
    }

    /// Starts nothing, and says so in a dispatch to come.
    #[track_caller]
    pub(super) fn refuse(self, error: Error, callback: impl FnOnce(Error) + 'static) -> Running {
        let callback = Box::new(|refused: Result<_>| {
            if let Err(error) = refused {
                callback(error);
            }
        });
        let template = self.template.clone();
        let then = Then::Execute(Arc::new(Order(self)));
        let job = Job::new(template, Recipe { given: Vec::new(), then, fresh: false }, callback);
        job.fail_later(error);
        Running::new(job)
    }

    /// Begins a process at the far end of the program's standard input and output.
    ///
    /// The program may be anything that leads to another one which links tine: `ssh`, `flatpak-spawn`, a
    /// shell, a container's. That one is told by its environment, `TINE_TEMPLATE=remote`:
    ///
    /// ```no_run
    /// # fn main() -> tine::Result<()> {
    /// # let template = tine::Template::early()?;
    /// # tine::entry!(RESIZE = resize); fn resize(_: tine::Worker) {}
    /// template
    ///     .command("ssh")
    ///     .args(["host", "TINE_TEMPLATE=remote", "/usr/bin/program"])
    ///     .remote()
    ///     .send_arg("256")
    ///     .run(RESIZE, |socket| println!("{socket:?}"));
    /// # Ok(()) }
    /// ```
    ///
    /// The far end says that it is there before it does anything else. When it has not by a deadline, the command is
    /// killed and `run`'s callback told so; it is not run again. That deadline is the template's
    /// ([`Template::set_deadline`]), which [`Command::deadline`] changes for one command. A command has as long to end
    /// whose far end has said what no process of tine's says, or has closed its output before it was ready.
    ///
    /// Each process runs the command anew. Descriptors and plugins cannot be sent there, and its standard error cannot be
    /// [piped](Stdio::Piped): `run`'s callback says so. The exit report is that of the command here, with what it passes
    /// on from there.
    pub fn remote(self) -> Process {
        Process::remote(self)
    }

    /// How long its far end may say nothing.
    pub(super) fn far_deadline(&self) -> Duration {
        // As short as a template's.
        let own = self.deadline.map(|deadline| deadline.max(Duration::from_millis(1)));
        own.unwrap_or_else(|| self.template.core().deadline())
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    fn order(mut self) -> Result<(Order, Spawned), Box<(Command, Error)>> {
        let mut spawned = Spawned::default();
        let ends = [&mut spawned.stdin, &mut spawned.stdout, &mut spawned.stderr];
        for (number, end) in ends.into_iter().enumerate() {
            if matches!(self.standard[number], Stdio::Piped) {
                match pipe(number == 0) {
                    Ok((ours, theirs)) => {
                        *end = Some(ours);
                        self.standard[number] = Stdio::Fd(Arc::new(theirs));
                    }
                    Err(error) => return Err(Box::new((self, error))),
                }
            }
        }
        if self.places.len() + 3 > FDS_MAX {
            let (count, most) = (self.places.len(), FDS_MAX - 3);
            let message =
                format!("{count} descriptors for one program are too many: it can have {most}");
            return Err(Box::new((self, Error::new(ErrorKind::Misuse, message))));
        }
        Ok((Order(self), spawned))
    }
}

/// Makes a pipe; gives the app's end, which does not block, and the program's.
fn pipe(program_reads: bool) -> Result<(OwnedFd, OwnedFd)> {
    let failed = |error| Error::system("make a pipe", error);
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (ours, theirs) = if program_reads { (writer, reader) } else { (reader, writer) };
    rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK).map_err(failed)?;
    Ok((ours, theirs))
}

/// A command whose pipes are made.
pub(super) struct Order(Command);

impl Order {
    #[track_caller]
    fn spawn(self, callback: super::job::OnRun) -> Running {
        let template = self.0.template.clone();
        let recipe =
            Recipe { given: Vec::new(), then: Then::Execute(Arc::new(self)), fresh: false };
        let job = Job::new(template.clone(), recipe, callback);
        let asked = template.core().check().and_then(|()| job.ask_first(&template));
        if let Err(error) = asked {
            job.fail_later(error);
        }
        Running::new(job)
    }

    pub fn name(&self) -> &str {
        self.0.program.to_str().unwrap_or("(a program)")
    }

    /// Tells whether the program goes on without its template.
    pub fn outlives(&self) -> bool {
        !self.0.dies_with_app
    }

    /// Appends the order.
    pub fn push(&self, orders: &mut Outbox) -> Result<()> {
        let command = &self.0;
        let mut fds = Vec::new();
        let standard = command.standard.each_ref().map(|stdio| match stdio {
            Stdio::Inherit | Stdio::Piped => Standard::Inherit,
            Stdio::Null => Standard::Null,
            Stdio::Fd(fd) => {
                fds.push(Arc::clone(fd));
                Standard::Fd
            }
        });
        fds.extend(command.places.iter().map(|(_, fd)| Arc::clone(fd)));
        let execute = Execute {
            program: command.program.as_bytes(),
            arg0: command.arg0.as_ref().map(|name| name.as_bytes()),
            args: command.args.iter().map(|arg| arg.as_bytes()).collect(),
            clear_environment: command.clear_environment,
            environment: (command.environment.iter())
                .map(|(name, value)| {
                    (name.as_bytes(), value.as_ref().map(|value| value.as_bytes()))
                })
                .collect(),
            directory: command.directory.as_ref().map(|path| path.as_os_str().as_bytes()),
            process_group: command.process_group,
            new_session: command.new_session,
            dies_with_app: command.dies_with_app,
            standard,
            places: command.places.iter().map(|(number, _)| *number).collect(),
        };
        orders.push(&Message::Execute(execute), 0, fds)
    }
}
