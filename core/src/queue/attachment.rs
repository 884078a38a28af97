//! Flow 1: which host loop polls the queue, and who runs idle watchers for it.

use super::{Core, Queue};
use crate::log::note;
use std::any::Any;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

type WantIdle = Rc<dyn Fn(bool)>;

struct Host {
    id: u64,
    name: &'static str,
    want_idle: Option<WantIdle>,
}

/// The host loops of a queue.
#[derive(Default)]
pub(super) struct Hosts {
    /// The latest is last.
    hosts: Vec<Host>,
    next: u64,
    /// What is to last as long as the queue.
    kept: Option<Box<dyn Any>>,
    /// Who waits for a host loop.
    waiting: Vec<Box<dyn FnOnce()>>,
}

impl Hosts {
    /// Whom to tell that there are idle watchers, or that there are none.
    pub(super) fn want_idle(&self) -> Option<WantIdle> {
        self.hosts.iter().rev().find_map(|host| host.want_idle.clone())
    }

    pub(super) fn serve_idle(&self) -> bool {
        self.hosts.iter().any(|host| host.want_idle.is_some())
    }
}

/// The sign that a host loop polls a queue. Integrations hold it as long as they do.
#[must_use = "dropping it tells that the loop polls the queue no more"]
pub struct Attachment {
    core: Weak<Core>,
    id: u64,
}

impl Queue {
    /// Tells the queue that the loop named `host` polls it from now on: for integrations.
    pub fn attach(&self, host: &'static str) -> Attachment {
        let mut hosts = self.core.hosts.borrow_mut();
        let id = hosts.next;
        hosts.next += 1;
        hosts.hosts.push(Host { id, name: host, want_idle: None });
        let waiting = std::mem::take(&mut hosts.waiting);
        drop(hosts);
        self.core.posts.borrow_mut().extend(waiting);
        self.core.changed();
        note!(DEBUG "queue attached", host = host);
        Attachment { core: Rc::downgrade(&self.core), id }
    }

    /// Keeps an integration's attachment until the queue ends or another is to be kept: for those that
    /// attach once and for all.
    pub fn keep_attachment(&self, attachment: impl Any) {
        let former = self.core.hosts.borrow_mut().kept.replace(Box::new(attachment));
        drop(former);
    }

    /// The name of the loop that polls this queue, such as `"glib"`; the latest, if there are
    /// several. `None` as long as only blocking waits and the program's own calls drive it.
    pub fn attached(&self) -> Option<&'static str> {
        self.core.hosts.borrow().hosts.last().map(|host| host.name)
    }

    /// Runs `callback` in a turn after a host loop was attached; the next one, if one is already.
    pub fn on_attached(&self, callback: impl FnOnce() + 'static) {
        if self.attached().is_some() {
            self.post(callback);
        } else {
            self.core.hosts.borrow_mut().waiting.push(Box::new(callback));
        }
    }

    /// Runs each idle watcher once; for host loops that serve idleness ([`Attachment::serve_idle`]).
    ///
    /// # Errors
    /// As [`dispatch`](Queue::dispatch).
    ///
    /// # Panics
    /// As [`dispatch`](Queue::dispatch).
    pub fn dispatch_idle(&self) -> crate::Result<usize> {
        self.core.idle_turn(None)
    }

    /// As [`dispatch_idle`](Queue::dispatch_idle), until `budget` is used up: the next call begins with
    /// those that had no turn.
    ///
    /// # Errors
    /// As [`dispatch`](Queue::dispatch).
    ///
    /// # Panics
    /// As [`dispatch`](Queue::dispatch).
    pub fn dispatch_idle_for(&self, budget: Duration) -> crate::Result<usize> {
        self.core.idle_turn(Some(budget))
    }
}

impl Attachment {
    /// Takes over the idle watchers: they make the queue's descriptor readable no more.
    ///
    /// From now on `wanted(true)` asks the host loop to call [`Queue::dispatch_idle`] whenever it has nothing
    /// else to do, `wanted(false)` to leave off. It must not dispatch itself.
    pub fn serve_idle(&self, wanted: impl Fn(bool) + 'static) {
        let Some(core) = self.core.upgrade() else { return };
        let wanted: WantIdle = Rc::new(wanted);
        let mut hosts = core.hosts.borrow_mut();
        let host = hosts.hosts.iter_mut().find(|host| host.id == self.id);
        let former = host.and_then(|host| host.want_idle.replace(Rc::clone(&wanted)));
        drop(hosts);
        drop(former);
        // Whatever the last host was told, this one was told nothing yet.
        core.idle_told.set(false);
        core.changed();
        core.idle_changed();
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let Some(core) = self.core.upgrade() else { return };
        let mut hosts = core.hosts.borrow_mut();
        let found = hosts.hosts.iter().position(|host| host.id == self.id);
        let host = found.map(|found| hosts.hosts.remove(found));
        drop(hosts);
        core.idle_told.set(false);
        core.changed();
        core.idle_changed();
        drop(host);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").finish_non_exhaustive()
    }
}
