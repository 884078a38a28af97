//! Flow 2: a process while it is being prepared.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::job::Job;
use super::link::Link;
use super::{Running, Template};
use crate::wire::{self, BODY_MAX, Header, Message, Outbox};
use crate::{Error, Result};

/// A process being prepared: takes descriptors and arguments, can be forked, then runs.
///
/// It comes to be when it is run; every call before that returns at once and costs no system call but for
/// a long argument's. Dropped instead, it never was.
///
/// # Examples
/// ```no_run
/// # fn main() -> tine::Result<()> {
/// # let template = tine::Template::early()?;
/// tine::entry!(GREET = greet);
/// fn greet(mut worker: tine::Worker) -> tine::Result<()> {
///     let name = worker.take_arg()?;
///     std::io::Write::write_all(&mut worker.socket(), &name)?;
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
    template: Template,
    given: Vec<Given>,
    /// The first thing that went wrong; `run`'s callback is told.
    broken: Option<Error>,
}

/// One thing sent, shared by all copies.
#[derive(Clone)]
enum Given {
    Fd(Arc<OwnedFd>),
    Arg(Arc<[u8]>),
    /// Too long for a message: its octets lie in a memfd, and no longer in the app's heap.
    LongArg {
        file: Arc<OwnedFd>,
        len: u32,
    },
}

impl Process {
    pub(super) fn new(template: Template) -> Process {
        Process { template, given: Vec::new(), broken: None }
    }

    /// Makes a copy: it has inherited what was sent so far, and gets alone what it is sent from now on.
    pub fn fork(&self) -> Process {
        let broken = self.broken.as_ref().map(|error| Error::new(error.kind(), error.to_string()));
        Process { template: self.template.clone(), given: self.given.clone(), broken }
    }

    /// Sends a descriptor. It stays open here until all copies have got theirs, then it is closed.
    pub fn send_fd(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.given.push(Given::Fd(Arc::new(fd.into())));
        self
    }

    /// Sends an argument: any octets, at most 4 GiB.
    ///
    /// One longer than 64 KiB is moved to a memfd at once, which all copies share.
    pub fn send_arg(mut self, octets: impl Into<Vec<u8>>) -> Self {
        match give(octets.into()) {
            Ok(given) => self.given.push(given),
            Err(error) => self.broken = self.broken.or(Some(error)),
        }
        self
    }

    /// Forks the process and enters a function in it.
    ///
    /// `entry` is an [`Entry`](crate::Entry), or its name. The callback runs once, on this thread's queue:
    /// with the app's end of the worker's socket (non-blocking, close-on-exec) when the process exists and
    /// has its orders, or with the reason why it could not come to be. A name that the template does not
    /// know is told as the worker's [`Exit`](crate::Exit).
    ///
    /// # Panics
    /// As [`queue`](crate::queue()) does, when descriptors run out for this thread's queue.
    #[track_caller]
    pub fn run(
        mut self,
        entry: impl Into<String>,
        callback: impl FnOnce(Result<UnixStream>) + 'static,
    ) -> Running {
        let entry = entry.into();
        let orders = match self.broken.take() {
            Some(error) => Err(error),
            None => self.orders(&entry),
        };
        let job = Job::new(entry, Box::new(callback));
        let asked = orders.and_then(|orders| {
            self.template.check()?;
            Link::of(&self.template)?.ask(&job, orders, self.template)
        });
        if let Err(error) = asked {
            job.fail_later(error);
        }
        Running::new(job)
    }

    fn orders(self: &Process, entry: &str) -> Result<Outbox> {
        let mut orders = Outbox::default();
        for given in &self.given {
            match given {
                Given::Fd(fd) => orders.push(&Message::Fds, 0, vec![Arc::clone(fd)])?,
                Given::Arg(octets) => orders.push(&Message::Arg(octets), 0, Vec::new())?,
                Given::LongArg { file, len } => {
                    let header =
                        Header { code: Message::ARG, long: true, fds: 1, len: *len, id: 0 };
                    orders.push_long(header, Arc::clone(file));
                }
            }
        }
        orders.push(&Message::Run { entry: entry.as_bytes() }, 0, Vec::new())?;
        Ok(orders)
    }
}

fn give(octets: Vec<u8>) -> Result<Given> {
    if octets.len() <= BODY_MAX {
        return Ok(Given::Arg(octets.into()));
    }
    let len = u32::try_from(octets.len()).map_err(|_| {
        let message = format!("an argument of {} octets is past 4 GiB", octets.len());
        Error::new(crate::ErrorKind::Misuse, message)
    })?;
    Ok(Given::LongArg { file: Arc::new(wire::long_file(&octets)?), len })
}
