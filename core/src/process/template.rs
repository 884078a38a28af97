//! Flow 2, its beginning: the handle of a template.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::process::Pid;

use super::{Process, early, reaper};
use crate::wire::{Message, socket};
use crate::{Error, ErrorKind, Result};

/// A process kept clean, from which workers are forked.
///
/// A handle is cheap to clone and can be used from any thread; each thread hears of its own workers,
/// through its own queue. The template ends when the last handle is dropped and the last of its workers
/// has ended, and at once when the app dies, however it dies; its workers die with it.
///
/// The template is a child of the app: an app that waits for *any* child (`waitpid(-1, …)`) meets it.
#[derive(Clone)]
pub struct Template {
    core: Arc<Core>,
}

/// A handle that does not keep the template alive.
pub(super) struct WeakTemplate(Weak<Core>);

impl WeakTemplate {
    pub fn upgrade(&self) -> Option<Template> {
        self.0.upgrade().map(|core| Template { core })
    }
}

/// What all handles share.
struct Core {
    /// Tells templates apart in this process.
    number: u64,
    /// The template's process.
    pid: Pid,
    pidfd: Option<OwnedFd>,
    /// The process that the handle belongs to.
    owner: Pid,
    /// The link that lives as long as the handles do; new links are sent over it.
    root: Mutex<OwnedFd>,
}

impl Template {
    /// Forks the template as the first thing in `main`, before threads, toolkits and data.
    ///
    /// In the template itself this call never returns: there the program serves, until the app is gone.
    ///
    /// # Errors
    /// - [`ErrorKind::TooLate`]: the program has a second thread, GLib types or GTK are initialised, or a
    ///   descriptor shows that an event loop or a display connection lives here already. The message names
    ///   each. This is so under `cargo test`, whose harness has threads.
    /// - [`ErrorKind::System`]: fork(2) or a descriptor was refused.
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
        early::fork()
    }

    pub(super) fn new(pid: Pid, pidfd: Option<OwnedFd>, root: OwnedFd) -> Template {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let owner = rustix::process::getpid();
        Template { core: Arc::new(Core { number, pid, pidfd, owner, root: Mutex::new(root) }) }
    }

    /// Begins a process, forked from the template when it is run.
    pub fn fork(&self) -> Process {
        Process::new(self.clone())
    }

    /// The template's process id.
    pub fn pid(&self) -> u32 {
        self.core.pid.as_raw_nonzero().get() as u32
    }

    pub(super) fn downgrade(&self) -> WeakTemplate {
        WeakTemplate(Arc::downgrade(&self.core))
    }

    pub(super) fn number(&self) -> u64 {
        self.core.number
    }

    /// Refuses a handle that came here through a fork.
    pub(super) fn check(&self) -> Result<()> {
        let here = rustix::process::getpid();
        if here == self.core.owner {
            return Ok(());
        }
        let message = format!(
            "template {} belongs to process {}, this is process {}",
            self.pid(),
            self.core.owner.as_raw_nonzero(),
            here.as_raw_nonzero()
        );
        Err(Error::new(ErrorKind::WrongProcess, message))
    }

    /// Makes a new link and hands its far end to the template.
    pub(super) fn connect(&self) -> Result<OwnedFd> {
        let (near, far) = socket::link_pair().map_err(|error| self.unreachable(error))?;
        let (octets, _) = Message::Connect.encode(0, 1);
        let root = self.core.root.lock().unwrap_or_else(PoisonError::into_inner);
        // Full only when 256 threads connect at once: then this waits for the template, not for the clock.
        loop {
            match socket::send(&*root, &octets, &[far.as_fd()]) {
                Ok(_) => return Ok(near),
                Err(rustix::io::Errno::AGAIN) => {
                    let mut room =
                        [rustix::event::PollFd::new(&*root, rustix::event::PollFlags::OUT)];
                    rustix::event::poll(&mut room, None)
                        .map_err(|error| self.unreachable(error))?;
                }
                Err(error) => return Err(self.unreachable(error)),
            }
        }
    }

    fn unreachable(&self, error: rustix::io::Errno) -> Error {
        Error::system(format_args!("reach template {}", self.pid()), error)
    }

    /// Sees to it that the template's process leaves no zombie, now that it has gone or is going.
    pub(super) fn reap(&self) {
        if let Some(pidfd) = self.core.pidfd.as_ref().and_then(|fd| fd.try_clone().ok()) {
            reaper::adopt(pidfd);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // The root link closes with the other fields; the template follows when its workers have ended.
        if rustix::process::getpid() == self.owner
            && let Some(pidfd) = self.pidfd.take()
        {
            reaper::adopt(pidfd);
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("pid", &self.pid()).finish_non_exhaustive()
    }
}
