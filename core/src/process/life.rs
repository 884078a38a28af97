//! Flow 2: the process behind a template's handles, which may die and be made anew.
//!
//! ```text
//! Alive ──its link ends──▶ Dead ──revive──▶ Alive (next generation)
//!                           └── too many deaths in a row, or its preparation failed ──▶ Broken
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::image::Image;
use super::link::is;
use super::recipe::Given;
use super::{Template, reaper};
use crate::log::note;
use crate::wire::{Inbox, Message, socket};
use crate::{Error, ErrorKind, Result};

/// Deaths in a row, without one process made between, after which a template is given up.
const DEATHS_MAX: u32 = 5;
/// How long a template may leave a request without an answer before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(10);

/// What all handles of a template share.
pub(super) struct Core {
    origin: Origin,
    /// The process that the handles belong to.
    owner: Pid,
    life: Mutex<Life>,
    /// Milliseconds.
    deadline: AtomicU64,
    spares: AtomicU32,
    pub counts: Counts,
}

/// How the template came to be, and comes to be again.
pub(super) enum Origin {
    /// Forked from the app: cannot be repeated, so the next is the program's image executed.
    Forked,
    Executed(Image),
    /// A process of another template that was prepared.
    Prepared {
        parent: Template,
        given: Vec<Given>,
        fresh: bool,
    },
    /// It came as a descriptor from another process.
    Foreign,
}

/// Events since the template was made.
#[derive(Default)]
pub(super) struct Counts {
    pub processes: AtomicU64,
    pub from_spares: AtomicU64,
    pub deaths: AtomicU64,
}

/// One process behind the handles.
struct Life {
    generation: u64,
    state: State,
    /// Deaths since a process was made last.
    deaths: u32,
}

enum State {
    Alive(Body),
    Dead,
    Broken(String),
}

/// What a living template's process is known by.
pub(super) struct Body {
    /// The link that lives as long as the handles do; new links are sent over it.
    pub root: OwnedFd,
    pub pid: Option<u32>,
    pub pidfd: Option<OwnedFd>,
}

impl Core {
    pub fn new(origin: Origin, body: Body) -> Core {
        Core {
            origin,
            owner: rustix::process::getpid(),
            life: Mutex::new(Life {
                generation: next_generation(),
                state: State::Alive(body),
                deaths: 0,
            }),
            deadline: AtomicU64::new(DEADLINE.as_millis() as u64),
            spares: AtomicU32::new(0),
            counts: Counts::default(),
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // Nothing is done under the lock that leaves it half done when it panics.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pid(&self) -> Option<u32> {
        match &mut self.life().state {
            State::Alive(body) => {
                // What went wrong, if it did, is told to whoever next wants something of it.
                let _ = body.listen();
                body.pid
            }
            _ => None,
        }
    }

    /// Which of the processes behind the handles lives, or lived last; tells links apart.
    pub fn generation(&self) -> u64 {
        self.life().generation
    }

    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline.load(Ordering::Relaxed))
    }

    pub fn set_deadline(&self, deadline: Duration) {
        let millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.deadline.store(millis, Ordering::Relaxed);
    }

    /// Refuses a handle that came here through a fork.
    pub fn check(&self) -> Result<()> {
        let here = rustix::process::getpid();
        if here == self.owner {
            return Ok(());
        }
        let message = format!(
            "a template of process {} cannot be used in process {}",
            self.owner.as_raw_nonzero(),
            here.as_raw_nonzero()
        );
        Err(Error::new(ErrorKind::WrongProcess, message))
    }

    /// Makes a new link and hands its far end to the template, which is made anew if it is dead.
    pub fn connect(&self) -> Result<(OwnedFd, u64)> {
        loop {
            let (near, far) =
                socket::link_pair().map_err(|error| Error::system("make a link", error))?;
            let life = self.life();
            let generation = life.generation;
            let sent = match &life.state {
                State::Alive(body) => send(&body.root, &Message::Connect, Some(&far)),
                State::Dead => Err(Errno::PIPE),
                State::Broken(why) => return Err(broken(why)),
            };
            drop(life);
            match sent {
                Ok(()) => return Ok((near, generation)),
                Err(Errno::PIPE | Errno::CONNRESET) => self.revive(generation)?,
                Err(error) => return Err(Error::system("reach the template", error)),
            }
        }
    }

    /// Sees to it that the process of `generation`, which is gone, has a successor.
    ///
    /// # Errors
    /// Why it can have none.
    pub fn revive(&self, generation: u64) -> Result<()> {
        let revived = self.bear_again(generation);
        match &revived {
            Ok(false) => (),
            Ok(true) => {
                note!(WARN "template died and was made anew", pid = self.pid().unwrap_or(0));
            }
            Err(error) => note!(ERROR "template cannot be made anew", error = error),
        }
        revived.map(drop)
    }

    /// The same; tells whether it was this call that made the successor.
    fn bear_again(&self, generation: u64) -> Result<bool> {
        let mut life = self.life();
        if life.generation != generation {
            return Ok(false);
        }
        match std::mem::replace(&mut life.state, State::Dead) {
            State::Alive(mut body) => {
                self.counts.deaths.fetch_add(1, Ordering::Relaxed);
                life.deaths += 1;
                let told = body.listen();
                bury(body);
                if let Err(why) = told {
                    // Its preparation would fail again.
                    life.state = State::Broken(why.clone());
                    return Err(broken(&why));
                }
            }
            State::Dead => (),
            State::Broken(why) => {
                let error = broken(&why);
                life.state = State::Broken(why);
                return Err(error);
            }
        }
        if life.deaths >= DEATHS_MAX {
            let why = format!("it died {DEATHS_MAX} times in a row");
            life.state = State::Broken(why.clone());
            return Err(broken(&why));
        }
        let body = self.origin.rebirth(self.spares.load(Ordering::Relaxed))?;
        life.generation = next_generation();
        life.state = State::Alive(body);
        Ok(true)
    }

    /// A process was made: what died before died for another reason.
    pub fn proved(&self, generation: u64, spare: bool) {
        self.counts.processes.fetch_add(1, Ordering::Relaxed);
        self.counts.from_spares.fetch_add(spare.into(), Ordering::Relaxed);
        let mut life = self.life();
        if life.generation == generation {
            life.deaths = 0;
        }
    }

    /// Kills a process that does not answer; then its links end.
    pub fn kill_stuck(&self, generation: u64) {
        note!(WARN "template does not answer and is killed");
        let mut life = self.life();
        if life.generation == generation
            && let State::Alive(body) = &mut life.state
        {
            // What it has said of itself, and perhaps its pidfd, may lie in the link still.
            let _ = body.listen();
            if let Some(pidfd) = &body.pidfd {
                // It may be gone already.
                let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
            }
        }
    }

    pub fn set_spares(&self, count: u32) -> Result<()> {
        self.spares.store(count, Ordering::Relaxed);
        match &self.life().state {
            State::Alive(body) => match send(&body.root, &Message::Spares { count }, None) {
                // Whoever uses the dead template next makes one with these spares.
                Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
                Err(error) => Err(Error::system("reach the template", error)),
            },
            State::Dead => Ok(()),
            State::Broken(why) => Err(broken(why)),
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // A handle that was inherited through a fork leaves everything alone.
        if rustix::process::getpid() == self.owner
            && let State::Alive(body) = std::mem::replace(&mut self.life().state, State::Dead)
        {
            // Its root link closes: the template ends when the last of its workers has.
            bury(body);
        }
    }
}

impl Origin {
    fn rebirth(&self, spares: u32) -> Result<Body> {
        let body = match self {
            Origin::Forked => Image::Own.execute()?,
            Origin::Executed(image) => image.execute()?,
            Origin::Prepared { parent, given, fresh } => {
                super::prepared::bear(parent, given.clone(), *fresh)?
            }
            Origin::Foreign => {
                let message =
                    "the template is gone; it came from another process, which can make a new one";
                return Err(Error::new(ErrorKind::NoTemplate, message));
            }
        };
        if spares > 0 {
            send(&body.root, &Message::Spares { count: spares }, None)
                .map_err(|error| Error::system("reach the template", error))?;
        }
        Ok(body)
    }
}

/// Closes the root link; the process is reaped when it has ended.
fn bury(body: Body) {
    drop(body.root);
    if let Some(pidfd) = body.pidfd {
        reaper::adopt(pidfd);
    }
}

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::NoTemplate, format!("the template is given up: {why}"))
}

fn next_generation() -> u64 {
    static GENERATIONS: AtomicU64 = AtomicU64::new(1);
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

/// Sends a message over a root link.
fn send(root: &OwnedFd, message: &Message<'_>, fd: Option<&OwnedFd>) -> rustix::io::Result<()> {
    let (octets, _) = message.encode(0, fd.iter().len());
    let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
    loop {
        match socket::send(root, &octets, &fds) {
            Ok(_) => return Ok(()),
            // Full only when hundreds of threads connect at once: this waits for the template, not the clock.
            Err(Errno::AGAIN) => {
                rustix::event::poll(&mut [PollFd::new(root, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
}

impl Body {
    /// A body whose process is the app's child, if `pid` is known.
    pub fn of_child(root: OwnedFd, pid: Pid) -> Body {
        // The child is not reaped yet, so its id is its own. Without a pidfd (EMFILE) it is served all the
        // same, and left to whoever waits for the app's children.
        let flags = PidfdFlags::empty();
        Body {
            root,
            pid: Some(pid.as_raw_nonzero().get() as u32),
            pidfd: rustix::process::pidfd_open(pid, flags).ok(),
        }
    }

    /// Hears what a process that is not the app's child says of itself: its id, or why it cannot serve.
    fn listen(&mut self) -> Result<(), String> {
        let mut inbox = Inbox::default();
        loop {
            match inbox.receive(&self.root) {
                Ok(Some((header, body, _))) => match Message::decode(header, body) {
                    Ok(Message::Started { pid, .. }) => self.meet(pid),
                    Ok(Message::Refused { what, .. }) => {
                        return Err(String::from_utf8_lossy(what).into_owned());
                    }
                    // Nothing else is told over a root link.
                    _ => (),
                },
                // It left something of ours unread, which is said before what it had to say itself.
                Err(error) if is(&error, Errno::CONNRESET) => (),
                _ => return Ok(()),
            }
        }
    }

    /// Notes the id that the process behind the link gives itself, and a pidfd, which is surely its own if
    /// the link is open still: the process holds the far end.
    fn meet(&mut self, pid: u32) {
        self.pid = Some(pid);
        if self.pidfd.is_none()
            && let Some(pid) =
                i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)
            && let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        {
            let mut link = [PollFd::new(&self.root, PollFlags::empty())];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            if rustix::event::poll(&mut link, Some(&at_once)) == Ok(0) {
                self.pidfd = Some(pidfd);
            }
        }
    }

    /// A body that another process is the parent of.
    pub fn foreign(root: OwnedFd) -> Body {
        Body { root, pid: None, pidfd: None }
    }
}
