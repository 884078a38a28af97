//! Flow 1: watchers of signals. Handlers only ring the bell; callbacks run in `dispatch`.

use super::account::{Watching, What};
use super::calls::Calls;
use super::due::Due;
use super::slab::Key;
use super::{Core, Queue};
use crate::sys::handler::Listener;
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::rc::{Rc, Weak};

/// The signal watchers of a queue.
pub(super) struct Signals {
    /// Made for the first watcher, gone with the last.
    listener: Option<Listener>,
    /// Which watchers wait for a signal, oldest first; a signal without watchers is not in it.
    watched: BTreeMap<i32, Vec<Key>>,
    pub(super) calls: Calls,
}

impl Signals {
    pub(super) fn new() -> Self {
        Signals { listener: None, watched: BTreeMap::new(), calls: Calls::new() }
    }

    /// Listens to a signal for a watcher to come.
    fn listen(&mut self, signal: i32, bell: BorrowedFd<'_>) -> std::io::Result<()> {
        if self.watched.contains_key(&signal) {
            return Ok(());
        }
        let listener = self.listener.get_or_insert_with(|| Listener::new(bell));
        listener.listen(signal).inspect_err(|_| self.rest())
    }

    fn insert(&mut self, signal: i32, key: Key) {
        self.watched.entry(signal).or_default().push(key);
    }

    fn remove(&mut self, signal: i32, key: Key) -> Option<Box<dyn FnMut()>> {
        if let Some(keys) = self.watched.get_mut(&signal) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.watched.remove(&signal);
                if let Some(listener) = &self.listener {
                    listener.leave(signal);
                }
            }
        }
        self.rest();
        self.calls.remove(key)
    }

    fn rest(&mut self) {
        if self.watched.is_empty() {
            self.listener = None;
        }
    }

    /// Tells whether a signal came whose watchers are not yet due.
    fn is_pending(&self) -> bool {
        self.listener.as_ref().is_some_and(Listener::is_pending)
    }

    pub(super) fn watching(&self) -> impl Iterator<Item = Watching> {
        let keys = |(signal, keys): (&i32, &'_ Vec<Key>)| {
            let (what, calls) = (What::Signal(*signal), &self.calls);
            keys.iter().filter_map(|key| calls.watching(*key, what)).collect::<Vec<_>>()
        };
        self.watched.iter().flat_map(keys)
    }

    /// Puts the watchers of signals that came in `due`.
    pub(super) fn collect(&self, due: &mut Due) {
        let came = self.listener.iter().flat_map(Listener::take);
        for keys in came.filter_map(|signal| self.watched.get(&signal)) {
            due.signals.extend(keys);
        }
    }
}

/// A watcher of a signal; dropping it ends it at once.
#[must_use = "dropping a watcher ends it"]
pub struct Signal {
    core: Weak<Core>,
    /// The signal, unless the watcher was detached.
    watched: Option<(i32, Key)>,
}

impl Queue {
    /// Calls back when the process gets `signal` (a number such as `libc::SIGHUP`), in whatever
    /// thread.
    ///
    /// Signals that come faster than turns count as one, as they do in the kernel. While a signal is
    /// watched its default action is off; a handler that the program had before is still called.
    /// The former action returns when the last watcher goes. No signal mask is touched.
    ///
    /// # Errors
    /// - [`Misuse`](ErrorKind::Misuse): no such signal; or one that cannot be caught (SIGKILL,
    ///   SIGSTOP) or that stands for a fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE).
    /// - [`WrongProcess`](ErrorKind::WrongProcess): the queue was inherited through a fork.
    #[track_caller]
    pub fn signal(&self, signal: i32, callback: impl FnMut() + 'static) -> Result<Signal> {
        self.core.check()?;
        let place = Location::caller();
        let call = Box::new(callback);
        let mut signals = self.core.signals.borrow_mut();
        if signals.listen(signal, self.core.bell.as_fd()).is_err() {
            drop(signals);
            let why = "there is none of that number, it cannot be caught, or it stands for a fault";
            let what = format!("cannot watch signal {signal}: {why}");
            return Err(Error::new(ErrorKind::Misuse, what));
        }
        let key = signals.calls.insert(place, call);
        signals.insert(signal, key);
        Ok(Signal { core: Rc::downgrade(&self.core), watched: Some((signal, key)) })
    }
}

impl Signal {
    /// Lets the watcher live as long as the queue.
    pub fn detach(mut self) {
        self.watched = None;
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        let (Some(core), Some((signal, key))) = (self.core.upgrade(), self.watched) else { return };
        if core.check().is_ok() {
            let call = core.signals.borrow_mut().remove(signal, key);
            core.bell.hush(|| core.signals.borrow().is_pending());
            core.changed();
            drop(call);
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}
