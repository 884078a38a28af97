//! Flow 1: callbacks that no event asks for: from this thread, and from any other.

use super::Queue;
use super::due::{Due, take_over};
use super::own::Own;
use crate::sys::stamp::stamp;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{error, fmt};

/// The part of a queue that other threads know: an eventfd, and what they posted.
pub(super) struct Bell {
    eventfd: Own<OwnedFd>,
    sent: Mutex<Sent>,
    stamp: u32,
}

#[derive(Default)]
struct Sent {
    posts: VecDeque<Box<dyn FnOnce() + Send>>,
    /// The bell was rung for these posts; one ring is enough for all.
    rung: bool,
    closed: bool,
}

impl Bell {
    pub(super) fn new() -> rustix::io::Result<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { eventfd: Own::new(eventfd), sent: Mutex::default(), stamp: stamp() })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    fn ring(&self) {
        // It can fail only when 2^64 - 2 rings were never heard.
        let _full = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
    }

    /// Takes a ring back that was for nothing but a signal which nobody watches any more. `needed` tells
    /// whether there are others.
    pub(super) fn hush(&self, needed: impl FnOnce() -> bool) {
        let sent = self.sent();
        // It is never read otherwise, so the count may be of rings that were heard long ago.
        let _none = rustix::io::read(&self.eventfd, &mut [0; 8]);
        // Whoever rings from now on is heard; whoever did before has left a mark.
        if sent.rung || needed() {
            self.ring();
        }
    }

    /// Moves what other threads posted to `due`.
    pub(super) fn collect(&self, due: &mut Due) {
        let mut sent = self.sent();
        sent.rung = false;
        take_over(&mut due.sent, &mut sent.posts);
    }

    /// Refuses posts from now on. Those that came too late are the caller's to drop.
    pub(super) fn close(&self) -> VecDeque<Box<dyn FnOnce() + Send>> {
        let mut sent = self.sent();
        sent.closed = true;
        std::mem::take(&mut sent.posts)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Posts callbacks to a queue from any thread.
#[derive(Clone)]
pub struct Poster(Arc<Bell>);

impl Poster {
    /// Runs `callback` in a later turn of the queue, on the queue's thread.
    ///
    /// Callbacks posted by one thread run in that order.
    ///
    /// # Errors
    /// [`Closed`] gives the callback back: the queue is gone, or belongs to a process that this one
    /// was forked from.
    pub fn post<F: FnOnce() + Send + 'static>(&self, callback: F) -> Result<(), Closed<F>> {
        let mut sent = self.0.sent();
        if sent.closed || self.0.stamp != stamp() {
            return Err(Closed(callback));
        }
        sent.posts.push_back(Box::new(callback));
        let rung = std::mem::replace(&mut sent.rung, true);
        drop(sent);
        if !rung {
            self.0.ring();
        }
        Ok(())
    }
}

/// All threads' own queues, for what any of them can do.
static ALL: Mutex<All> = Mutex::new(All { bells: Vec::new(), next: None });

struct All {
    bells: Vec<Weak<Bell>>,
    /// What the queue that is made next is to run, and the process that it is for ([`stamp`]): those that there are may
    /// be gone before they come to it.
    next: Option<(u32, fn())>,
}

fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has [`post_to_all`] reach a thread's own queue, while that lives.
pub(super) fn note(queue: &Queue) {
    let mut all = all();
    all.bells.retain(|bell| bell.strong_count() > 0);
    all.bells.push(Arc::downgrade(&queue.core.bell));
    let next = all.next.take();
    drop(all);
    if let Some((_, callback)) = next.filter(|(of, _)| *of == stamp()) {
        queue.post(callback);
    }
}

/// Runs `callback` in a turn of each thread's own queue, and of the one that is made next.
pub(crate) fn post_to_all(callback: fn()) {
    let mut all = all();
    all.next = Some((stamp(), callback));
    let posters: Vec<_> = all.bells.iter().filter_map(Weak::upgrade).map(Poster).collect();
    drop(all);
    for poster in posters {
        // One that is closed by now had to be asked in vain.
        let _ = poster.post(callback);
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster").finish_non_exhaustive()
    }
}

/// A callback that was refused because its queue is gone.
pub struct Closed<F>(pub F);

impl<F> fmt::Debug for Closed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<F> fmt::Display for Closed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot post: the queue is gone")
    }
}

impl<F> error::Error for Closed<F> {}

impl Queue {
    /// Runs `callback` in the next turn, never before this call returns.
    ///
    /// Callbacks run in the order in which they were posted. Those posted while a turn runs wait for
    /// the next.
    pub fn post(&self, callback: impl FnOnce() + 'static) {
        self.core.posts.borrow_mut().push_back(Box::new(callback));
        self.core.changed();
    }

    /// Gives a handle through which any thread can post to this queue.
    pub fn poster(&self) -> Poster {
        Poster(Arc::clone(&self.core.bell))
    }
}
