//! Flow 2, at its end: templates are the app's own children, and leave no zombies.
//!
//! No SIGCHLD handler and no `waitpid(-1)`: each template is asked for itself, by a thread's queue when its pidfd
//! becomes readable, and whenever another template or a worker comes or goes. The thread that has seen to a template's
//! end may be gone before that comes, or have no queue: then that of another thread waits for it.

use std::cell::RefCell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open};

use super::orphans;
use crate::{Interest, Queue};

/// Templates that have been told to end, or seen to, and are not reaped yet.
static ENDING: Mutex<Vec<Arc<Ending>>> = Mutex::new(Vec::new());
/// Processes whose template is gone, in an app that adopts them: its links end before its children are another's.
static ORPHANED: Mutex<Vec<Known>> = Mutex::new(Vec::new());
/// The process groups of templates that were made here, as long as anybody of them may be this process's child.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// By what the app knows a process.
pub(super) enum Known {
    Pidfd(Arc<OwnedFd>),
    /// A child of the app's for which no pidfd is to be had (`EMFILE`; a filter of seccomp(2)): its id is its own until
    /// it is reaped.
    Child(Pid),
}

/// A template that ends, or what one has left.
struct Ending {
    process: Known,
    orphan: Option<Pid>,
    watch: Mutex<Weak<Watch>>,
}

impl Known {
    /// A child that is not reaped yet, so that its id is its own.
    pub fn of_child(pid: Pid) -> Known {
        pidfd_open(pid, PidfdFlags::empty()).map_or(Known::Child(pid), Known::of_pidfd)
    }

    pub fn of_pidfd(pidfd: OwnedFd) -> Known {
        Known::Pidfd(Arc::new(pidfd))
    }

    /// Kills it, unless it is gone already; tells whether the kernel lets this process do so.
    pub fn kill(&self) -> bool {
        let killed = match self {
            Known::Pidfd(pidfd) => rustix::process::pidfd_send_signal(&**pidfd, Signal::KILL),
            Known::Child(pid) if self.wait(WaitIdOptions::NOWAIT) == Ok(false) => {
                rustix::process::kill_process(*pid, Signal::KILL)
            }
            Known::Child(_) => Ok(()),
        };
        matches!(killed, Ok(()) | Err(Errno::SRCH))
    }

    /// Tells whether nothing is left to reap. ECHILD: the app has done it, or it is no child of the app's.
    pub fn reap(&self) -> bool {
        self.wait(WaitIdOptions::empty()) != Ok(false)
    }

    /// Tells whether it has ended.
    ///
    /// # Errors
    /// ECHILD: it is no child of the app's, or not any more.
    fn wait(&self, options: WaitIdOptions) -> rustix::io::Result<bool> {
        match self {
            Known::Pidfd(pidfd) => wait(WaitId::PidFd(pidfd.as_fd()), options),
            Known::Child(pid) => wait(WaitId::Pid(*pid), options),
        }
    }

    /// Tells whether it lives, whosever child it is.
    fn lives(&self) -> bool {
        let Known::Pidfd(pidfd) = self else { return false };
        let mut ended = [PollFd::new(&**pidfd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut ended, Some(&at_once)) == Ok(0)
    }
}

fn wait(id: WaitId<'_>, options: WaitIdOptions) -> rustix::io::Result<bool> {
    let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    rustix::process::waitid(id, options).map(|ended| ended.is_some())
}

impl Ending {
    fn new(process: Known, orphan: Option<Pid>) -> Ending {
        Ending { process, orphan, watch: Mutex::default() }
    }

    fn watching(&self) -> MutexGuard<'_, Weak<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a queue could wait for it and none does. Without a pidfd it is left to the next sweep.
    fn is_unwatched(&self) -> bool {
        matches!(self.process, Known::Pidfd(_)) && self.watching().strong_count() == 0
    }

    fn watch(self: &Arc<Self>, queue: &Queue) {
        let Known::Pidfd(pidfd) = &self.process else { return };
        let watch = Arc::new(Watch(Arc::downgrade(self)));
        *self.watching() = Arc::downgrade(&watch);
        let watcher = Rc::new(RefCell::new(None));
        let own = Rc::clone(&watcher);
        let io = queue.io(Arc::clone(pidfd), Interest::READABLE, move |_, _| {
            sweep();
            own.take();
        });
        match io {
            Ok(io) => *watcher.borrow_mut() = Some((io, watch)),
            // A queue that can watch no more leaves it to the next sweep.
            Err(_) => drop(Arc::into_inner(watch).map(|mut watch| std::mem::take(&mut watch.0))),
        }
    }

    /// Tells whether nothing is left to do.
    fn is_over(&self) -> bool {
        // What it leaves is left when it is gone, and not when it has said so.
        self.process.reap() && !(orphans::are_adopted() && self.process.lives())
    }
}

/// Notes that a template has made a process group of its own.
pub(super) fn has_group(template: Pid) {
    groups().push(template);
}

/// Takes over the duty to reap a template, which ends, and what it leaves.
pub(super) fn adopt(process: Known) {
    sweep();
    take_over(Ending::new(process, None));
}

/// To be called when a template has ended that is not known.
pub(super) fn missed() {
    sweep();
    adopt_orphans();
}

/// In an app that adopts what others leave: has a process reaped whose template is gone. One that was to become another
/// program is in the app's group, and so not found by [`orphans::of`].
pub(super) fn adopt_orphan(pid: u32, pidfd: Option<&OwnedFd>) {
    let Some(pid) = Pid::from_raw(pid.cast_signed()).filter(|_| orphans::are_adopted()) else {
        return;
    };
    // Where descriptors had run out, its id is its own until it is reaped, as a template's that is gone.
    let pidfd = pidfd.and_then(|pidfd| pidfd.try_clone().ok());
    orphaned().push(pidfd.map_or_else(|| Known::of_child(pid), Known::of_pidfd));
    reap_orphaned();
}

/// Reaps those that have ended and are the app's by now, and takes over those that live.
fn reap_orphaned() {
    let mut orphaned = orphaned();
    let (mut living, mut still) = (Vec::new(), Vec::new());
    for process in orphaned.drain(..) {
        match process.wait(WaitIdOptions::empty()) {
            Ok(true) => (),
            Ok(false) => living.push(process),
            // Reaped, by its template or by the app.
            Err(_) if ending_now().is_empty() => (),
            // Perhaps the child of a template that ends.
            Err(_) => still.push(process),
        }
    }
    orphaned.extend(still);
    drop(orphaned);
    living.into_iter().for_each(|process| take_over(Ending::new(process, None)));
}

fn take_over(ending: Ending) {
    if ending.is_over() {
        return adopt_orphans();
    }
    ending_now().push(Arc::new(ending));
    watch_all();
}

/// In an app that adopts what others leave: has that reaped, and what it leaves in its turn.
fn adopt_orphans() {
    if !orphans::are_adopted() {
        return;
    }
    reap_orphaned();
    loop {
        let found = orphans::of(&groups().clone());
        let is_new =
            |orphan: &Pid| !ending_now().iter().any(|ending| ending.orphan == Some(*orphan));
        let new = found
            .into_iter()
            .filter(is_new)
            .map(|orphan| Arc::new(Ending::new(Known::of_child(orphan), Some(orphan))));
        let (over, still): (Vec<_>, Vec<_>) = new.partition(|ending| ending.is_over());
        ending_now().extend(still);
        if over.is_empty() {
            break;
        }
    }
    watch_all();
}

/// Reaps all of them that have ended by now, seen or not, and forgets groups of which nobody is left.
fn reap_groups() {
    let reap = |group: &Pid| loop {
        match wait(WaitId::Pgid(Some(*group)), WaitIdOptions::empty()) {
            Ok(true) => (),
            Ok(false) => return true,
            // One that was just forked has not made it yet.
            Err(_) => return wait(WaitId::Pid(*group), WaitIdOptions::NOWAIT).is_ok(),
        }
    };
    groups().retain(reap);
}

/// Reaps whatever has ended by now.
pub(super) fn sweep() {
    let mut over = Vec::new();
    ending_now().retain(|ending| {
        let is_over = ending.is_over();
        over.extend(is_over.then(|| Arc::clone(ending)));
        !is_over
    });
    if !over.is_empty() || orphans::are_adopted() {
        reap_groups();
    }
    if !over.is_empty() {
        adopt_orphans();
    }
    watch_all();
}

/// Has this thread's queue wait for those that no queue waits for; if it has none, asks all others to.
fn watch_all() {
    let unwatched: Vec<_> =
        ending_now().iter().filter(|ending| ending.is_unwatched()).map(Arc::clone).collect();
    match crate::queue::existing() {
        _ if unwatched.is_empty() => (),
        Some(queue) => unwatched.iter().for_each(|ending| ending.watch(&queue)),
        None => ask_others(),
    }
}

fn ask_others() {
    crate::queue::post_to_all(sweep);
}

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn orphaned() -> MutexGuard<'static, Vec<Known>> {
    ORPHANED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ending_now() -> MutexGuard<'static, Vec<Arc<Ending>>> {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That a queue waits for an end. If that queue is gone before, others have to.
struct Watch(Weak<Ending>);

impl Drop for Watch {
    fn drop(&mut self) {
        if self.0.upgrade().is_some() {
            ask_others();
        }
    }
}
