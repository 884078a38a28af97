//! Flow 2: the process behind a template's handles, which may die and be made anew.
//!
//! ```text
//! Alive ──its link ends──▶ Dead ──revive──▶ Alive (next generation)
//!                           ├── too many deaths in a row, or its preparation failed ──▶ Broken
//!                           └── refused as often by its own template ──▶ Lacking ──a new request──▶ Dead
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::Shutdown;
use rustix::process::Pid;

use super::body::{Birth, Body};
use super::image::Image;
use super::recipe::Given;
use super::{Template, reaper};
use crate::log::note;
use crate::wire::{Message, socket};
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
    /// The template has not been told yet how many spares are wanted: its link was full.
    spares_untold: AtomicBool,
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
    /// One of them has served, be it nobody.
    served: bool,
    /// Of those that were another template's processes.
    births: Vec<Arc<Birth>>,
}

enum State {
    Alive(Body),
    Dead,
    /// Nothing is wrong with it: what it lacks to be made may come free. Whoever waits now is told.
    Lacking(String),
    Broken(String),
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
                served: false,
                births: Vec::new(),
            }),
            deadline: AtomicU64::new(DEADLINE.as_millis() as u64),
            spares: AtomicU32::new(0),
            spares_untold: AtomicBool::new(false),
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
                // A process that was forked from this one would take from it what the template says once.
                if self.check().is_ok() {
                    // What went wrong, if it did, is told to whoever next wants something of it.
                    let _ = body.listen();
                }
                body.pid
            }
            _ => None,
        }
    }

    pub fn is_child(&self) -> bool {
        matches!(self.origin, Origin::Forked | Origin::Executed(_))
    }

    /// Which of the processes behind the handles lives, or lived last; tells links apart.
    pub fn generation(&self) -> u64 {
        self.life().generation
    }

    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline.load(Ordering::Relaxed))
    }

    pub fn set_deadline(&self, deadline: Duration) {
        // One that has passed when it begins could not be told from one that passed while nobody looked.
        let millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX).max(1);
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

    /// Something new is asked for: what was lacking may have come free.
    pub fn try_anew(&self) {
        let mut life = self.life();
        if let State::Lacking(_) = life.state {
            life.state = State::Dead;
            life.deaths = 0;
            life.births.clear();
        }
    }

    /// Makes a new link and hands its far end to the template, which is made anew if it is dead.
    pub fn connect(&self) -> Result<(OwnedFd, u64)> {
        loop {
            let (near, far) =
                socket::link_pair().map_err(|error| Error::system("make a link", error))?;
            let life = self.life();
            let generation = life.generation;
            let sent = match &life.state {
                State::Alive(body) => {
                    self.check_root(&body.root)?;
                    self.hand_over(&body.root, &far)
                }
                State::Dead => Err(Errno::PIPE),
                State::Lacking(why) => return Err(lacking(why)),
                State::Broken(why) => return Err(broken(why)),
            };
            drop(life);
            match sent {
                Ok(()) => return Ok((near, generation)),
                Err(Errno::TIMEDOUT) => {
                    self.kill_stuck(generation);
                    self.revive(generation)?;
                }
                Err(Errno::PIPE | Errno::CONNRESET) => self.revive(generation)?,
                Err(error) => return Err(Error::system("reach the template", error)),
            }
        }
    }

    /// Refuses what came as a descriptor and is no link: what is not a template's is not written to.
    fn check_root(&self, root: &OwnedFd) -> Result<()> {
        if !matches!(self.origin, Origin::Foreign) || socket::is_link(root) {
            return Ok(());
        }
        let message =
            "the descriptor of which a handle was made is none that Process::into_fd gave";
        Err(Error::new(ErrorKind::Misuse, message))
    }

    /// Sends the far end of a link over the root link.
    ///
    /// That is full only when hundreds of threads connect at once, or few of them to a template that is stuck: this
    /// waits for as long as a template may take to answer.
    fn hand_over(&self, root: &OwnedFd, far: &OwnedFd) -> rustix::io::Result<()> {
        let begun = Instant::now();
        loop {
            match send(root, &Message::Connect, Some(far)) {
                Err(Errno::AGAIN) => (),
                sent => return sent,
            }
            let left = self.deadline().saturating_sub(begun.elapsed());
            // One that no clock reaches is none.
            let left = Timespec::try_from(left).ok();
            let mut room = [PollFd::new(root, PollFlags::OUT)];
            let ready =
                rustix::io::retry_on_intr(|| rustix::event::poll(&mut room, left.as_ref()))?;
            if ready == 0 {
                return Err(Errno::TIMEDOUT);
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
                life.served |= body.serves;
                let refusal = body.refusal();
                life.births.extend(body.birth());
                bury(body);
                if let Err(why) = told {
                    let why = match &self.origin {
                        Origin::Executed(Image::Own(_)) => why,
                        Origin::Executed(image) => format!("{image}: {why}"),
                        _ => why,
                    };
                    // Its preparation would fail again.
                    life.state = State::Broken(why.clone());
                    return Err(broken(&why));
                }
                if let Some(why) = refusal.filter(|_| life.deaths >= DEATHS_MAX) {
                    life.state = State::Lacking(why.clone());
                    return Err(lacking(&why));
                }
            }
            State::Dead => (),
            State::Lacking(why) => {
                let error = lacking(&why);
                life.state = State::Lacking(why);
                return Err(error);
            }
            State::Broken(why) => {
                let error = broken(&why);
                life.state = State::Broken(why);
                return Err(error);
            }
        }
        if life.deaths >= DEATHS_MAX {
            let mut why = format!("it died {DEATHS_MAX} times in a row");
            // How the last one did may not be told yet.
            if let Some(end) = life.births.iter().rev().find_map(|birth| birth.end()) {
                why += &format!(" ({end})");
            }
            if !life.served
                && let Origin::Executed(image) = &self.origin
                && !matches!(image, Image::Own(_))
            {
                why += &format!(" before it could serve; is {image} a program that links tine?");
            }
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
            life.births.clear();
            if self.spares_untold.load(Ordering::Relaxed) {
                // It is asked again when it is used again.
                let _ = self.tell_spares(&life.state);
            }
        }
    }

    /// Kills a process that does not answer; then its links end. False: it lives on, being another app's, or another
    /// user's, or because the kernel gives out no pidfd.
    pub fn kill_stuck(&self, generation: u64) -> bool {
        note!(WARN "template does not answer and is killed");
        let mut life = self.life();
        if life.generation == generation
            && let State::Alive(body) = &mut life.state
        {
            return body.give_up();
        }
        !matches!(self.origin, Origin::Foreign)
    }

    pub fn set_spares(&self, count: u32) -> Result<()> {
        self.spares.store(count, Ordering::Relaxed);
        self.tell_spares(&self.life().state)
    }

    fn tell_spares(&self, state: &State) -> Result<()> {
        let count = self.spares.load(Ordering::Relaxed);
        let body = match state {
            State::Alive(body) => body,
            State::Dead | State::Lacking(_) => return Ok(()),
            State::Broken(why) => return Err(broken(why)),
        };
        self.check_root(&body.root)?;
        let told = send(&body.root, &Message::Spares { count }, None);
        // One that is busy has room again when it has answered something.
        self.spares_untold.store(told == Err(Errno::AGAIN), Ordering::Relaxed);
        match told {
            // Whoever uses the dead template next makes one with these spares.
            Ok(()) | Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(error) => Err(Error::system("reach the template", error)),
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
            Origin::Forked => Image::own()?.execute()?,
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
            match send(&body.root, &Message::Spares { count: spares }, None) {
                // One that has ended already is seen, and counted, by who wants something of it.
                Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => (),
                Err(error) => return Err(Error::system("reach the template", error)),
            }
        }
        Ok(body)
    }
}

/// Closes the root link; the process is reaped when it has ended.
fn bury(body: Body) {
    if body.own {
        // Also for those that the app has forked without tine's knowing, which have it too. That of another app's
        // template may be used by others.
        let _ = rustix::net::shutdown(&body.root, Shutdown::Both);
    }
    if let Some(birth) = body.birth() {
        birth.is_over();
    }
    drop(body.root);
    match body.process {
        Some(process) => reaper::adopt(process),
        // Its parent reaps it; but it may have had processes of its own.
        None => reaper::missed(),
    }
}

fn lacking(why: &str) -> Error {
    Error::new(ErrorKind::NoTemplate, why)
}

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::NoTemplate, format!("the template is given up: {why}"))
}

fn next_generation() -> u64 {
    static GENERATIONS: AtomicU64 = AtomicU64::new(1);
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

/// Sends a message over a root link, if there is room.
fn send(root: &OwnedFd, message: &Message<'_>, fd: Option<&OwnedFd>) -> rustix::io::Result<()> {
    let (octets, _) = message.encode(0, fd.iter().len());
    let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
    socket::send(root, &octets, &fds).map(drop)
}
