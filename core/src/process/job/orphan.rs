//! Flow 2: what becomes of a process when its template dies.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

use super::super::link::is_shortage;
use super::super::{Template, reaper};
use super::{Exit, Job, Link, Stage};
use crate::wire::socket;
use crate::{Error, ErrorKind, Interest, Result};

thread_local! {
    /// Jobs of this thread of which something is not known yet.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// Those for which descriptors have run out meanwhile, and why they are asked for.
    static STRANDED: RefCell<Vec<(Rc<Job>, String)>> = const { RefCell::new(Vec::new()) };
}

/// That it is not known of a job whether its process has begun, or how it ended. Its descriptors come free when it is
/// known, and what waits for some is tried again.
pub(in super::super) struct Open(());

impl Open {
    fn new() -> Open {
        OPEN.set(OPEN.get() + 1);
        Open(())
    }

    pub fn any() -> bool {
        OPEN.get() > 0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.set(OPEN.get() - 1);
        // When who knows now has let go of the descriptors.
        if let Some(queue) = crate::queue::existing() {
            queue.post(|| {
                for (job, why) in STRANDED.take() {
                    job.ask_again(&why);
                }
                Link::all().iter().for_each(Link::pump);
            });
        }
    }
}

impl Job {
    /// The template is gone, and takes the process along, if there is one. Settles the job, or asks again.
    pub fn orphaned(self: &Rc<Self>, why: &str) {
        match self.stage.get() {
            Stage::Waiting => self.ask_again(why),
            Stage::Asked => self.maybe_begun(&format!("template died ({why})")),
            Stage::Started | Stage::Running => self.await_end(),
            Stage::Over => (),
        }
    }

    /// The template cannot be asked again, nor be killed. Gives up what it has not answered.
    pub fn unanswered(self: &Rc<Self>, why: &str) {
        if self.stage.get() == Stage::Asked {
            self.stage.set(Stage::Over);
            let message =
                format!("no answer of the template ({why}), which cannot be killed from here");
            self.fail_later(Error::new(ErrorKind::NoTemplate, message));
        }
    }

    /// Asks the template's successor.
    fn ask_again(self: &Rc<Self>, why: &str) {
        self.wait();
        let template = self.recipe.borrow().as_ref().map(|asking| asking.template.clone());
        let Some(template) = template else { return };
        if let Err(error) = self.ask_of(&template, why) {
            let message = format!("{error} (before it: {why})");
            self.fail_later(Error::new(ErrorKind::NoTemplate, message));
        }
    }

    /// Asks a template for it, as soon as there are descriptors for that, if some are about to come free.
    pub fn ask_first(self: &Rc<Self>, template: &Template) -> Result<()> {
        template.core().try_anew();
        self.ask_of(template, "descriptors had run out")
    }

    fn ask_of(self: &Rc<Self>, template: &Template, why: &str) -> Result<()> {
        match Link::of(template).and_then(|link| link.ask(self)) {
            Err(error) if Open::any() && is_shortage(&error) => {
                STRANDED.with_borrow_mut(|all| all.push((Rc::clone(self), why.to_owned())));
                Ok(())
            }
            asked => asked,
        }
    }

    /// The spare that was to be the process has ended before it said that it had its orders. Asks again.
    pub fn not_begun(self: &Rc<Self>) {
        self.maybe_begun("a spare was killed");
    }

    /// Finds out, from its socket, whether a process has read the orders.
    ///
    /// When the last copy of the far end is closed, the kernel says `ECONNRESET` here if octets were left
    /// unread in it (unix(7)): then no process has begun, because what says `Run` comes last.
    fn maybe_begun(self: &Rc<Self>, why: &str) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let mut open = Some((Rc::clone(self), why.to_owned(), Open::new()));
        let watching = crate::queue().io(socket, Interest::READABLE, move |socket, _| {
            let mut octet = [0];
            let got = socket::receive_octets(socket, &mut octet);
            if got != Err(Errno::AGAIN)
                && let Some((job, why, open)) = open.take()
            {
                drop(job.watcher.take());
                // When this callback does not share the socket any more, whose descriptor others may wait for.
                crate::queue().post(move || {
                    drop(open);
                    job.found_out(got == Err(Errno::CONNRESET), &why);
                });
            }
        });
        match watching {
            Ok(io) => drop(self.watcher.replace(Some(io))),
            Err(error) => self.fail_later(error),
        }
    }

    fn found_out(self: &Rc<Self>, unread: bool, why: &str) {
        if unread {
            return self.ask_again(why);
        }
        let message = format!("{why} while the process may have begun");
        self.fail(Error::new(ErrorKind::NoTemplate, message));
    }

    /// Waits until the process is gone, as it will be: then its end is told.
    fn await_end(self: &Rc<Self>) {
        let pidfd = self.pidfd.borrow().clone();
        let (job, open) = (Rc::clone(self), Open::new());
        // The job holds its own watcher until its end is told.
        let watching = pidfd.and_then(|pidfd| {
            let gone = move |_: &Rc<OwnedFd>, _| {
                let _open = &open;
                job.lost();
            };
            crate::queue().io(pidfd, Interest::READABLE, gone).ok()
        });
        match watching {
            Some(io) => drop(self.end.replace(Some(io))),
            None => {
                let job = Rc::clone(self);
                crate::queue().post(move || job.lost());
            }
        }
    }

    fn lost(self: &Rc<Self>) {
        let pid = self.pid.get().unwrap_or(0);
        // An app that adopts orphans (as process 1, or by PR_SET_CHILD_SUBREAPER) has it for a child by now.
        reaper::adopt_orphan(pid, self.pidfd.borrow().as_deref());
        // Before it was executed, it would have died.
        let outlived = self.outlives && self.stage.get() == Stage::Running;
        self.ended(pid, Exit::with_template(&self.entry, pid, outlived));
    }
}
