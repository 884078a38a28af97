//! Flow 2: what becomes of a process when its template dies.

use std::rc::Rc;

use rustix::io::Errno;

use super::{Exit, Job, Link, Stage};
use crate::wire::socket;
use crate::{Error, ErrorKind, Interest};

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
            let message = format!("no answer of the template ({why}), which is another process's");
            self.fail_later(Error::new(ErrorKind::NoTemplate, message));
        }
    }

    /// Asks the template's successor.
    fn ask_again(self: &Rc<Self>, why: &str) {
        self.wait();
        let template = self.recipe.borrow().as_ref().map(|asking| asking.template.clone());
        let Some(template) = template else { return };
        if let Err(error) = Link::of(&template).and_then(|link| link.ask(self)) {
            let message = format!("{error} (before it: {why})");
            self.fail_later(Error::new(ErrorKind::NoTemplate, message));
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
        let (job, why) = (Rc::clone(self), why.to_owned());
        let watching = crate::queue().io(socket, Interest::READABLE, move |socket, _| {
            let mut octet = [0];
            let got = socket::receive_octets(socket, &mut octet);
            match got {
                Err(Errno::AGAIN) => (),
                Err(Errno::CONNRESET) => job.ask_again(&why),
                _ => {
                    let message = format!("{why} while the process may have begun");
                    job.fail(Error::new(ErrorKind::NoTemplate, message));
                }
            }
        });
        match watching {
            Ok(io) => drop(self.watcher.replace(Some(io))),
            Err(error) => self.fail_later(error),
        }
    }

    /// Waits until the process is gone, as it will be: then its end is told.
    fn await_end(self: &Rc<Self>) {
        let pidfd = self.pidfd.borrow().clone();
        let job = Rc::clone(self);
        // The job holds its own watcher until its end is told.
        let watching = pidfd.and_then(|pidfd| {
            crate::queue().io(pidfd, Interest::READABLE, move |_, _| job.lost()).ok()
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
        self.ended(pid, Exit::with_template(&self.entry, pid));
    }
}
