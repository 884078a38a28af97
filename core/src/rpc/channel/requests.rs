//! Flow 2, typed, the app's side: requests on their way to a worker, and when there is room for more.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::net::{SendFlags, Shutdown};

use super::{Channel, Stage, tell};
use crate::rpc::calls::{Call, OnAnswer, OnValue, Pending};
use crate::rpc::frame::{HEADER, Header, Kind};
use crate::rpc::outbox::KEPT;
use crate::rpc::{Error, Format};
use crate::wire::PAUSE;
use crate::{ErrorKind, Interest, Result, Timer};

impl Channel {
    /// As many octets wait as may.
    pub(in crate::rpc) fn is_full(&self) -> bool {
        self.outbox.borrow().len() >= self.settings.backlog
    }

    pub(in crate::rpc) fn on_drain(&self, callback: Box<dyn FnOnce()>) {
        let former = self.hooks.drain.replace(Some(callback));
        drop(former);
        self.drained();
    }

    /// Encodes a request and sends it, or has it wait. What is wrong with it is told in a later dispatch.
    pub(in crate::rpc) fn call(
        self: &Rc<Self>,
        encode: impl FnOnce(Format, &mut Vec<u8>) -> Result<Vec<Arc<OwnedFd>>>,
        on_part: Option<OnValue>,
        on_answer: OnAnswer,
    ) -> Call {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let mut octets = self.scratch.take();
        octets.resize(HEADER, 0);
        let encoded = self.may_call().and_then(|()| {
            let fds = encode(self.format(), &mut octets).map_err(Error::refused)?;
            self.finish(&mut octets, id, fds.len()).map_err(Error::refused)?;
            Ok(fds)
        });
        match encoded {
            Ok(fds) => {
                let idle = self.calls.len() == 0;
                self.calls.insert(id, Pending { on_answer: Some(on_answer), on_part });
                self.send(&octets, fds, idle);
                if self.stage.get() == Stage::Closed {
                    self.give_grace();
                }
            }
            Err(error) => tell(on_answer, error),
        }
        octets.clear();
        octets.shrink_to(KEPT);
        self.scratch.set(octets);
        Call { channel: Rc::clone(self), id }
    }

    fn may_call(&self) -> Result<(), Error> {
        let misuse = |kind, message: String| Err(Error::refused(crate::Error::new(kind, message)));
        let entry = &self.settings.hello.entry;
        if !self.is_own() {
            let message = format!("the worker for {entry} is one of another process");
            return misuse(ErrorKind::WrongProcess, message);
        }
        if let Some(why) = &*self.why.borrow() {
            return Err(why.clone());
        }
        if self.closing.get() {
            let message = format!("the client of the worker for {entry} was closed");
            return misuse(ErrorKind::Misuse, message);
        }
        if self.is_full() {
            let waiting = self.outbox.borrow().len();
            let message = format!("{waiting} octets wait to be sent to the worker for {entry}");
            return misuse(ErrorKind::Misuse, message);
        }
        Ok(())
    }

    /// Fills in the header of a request.
    fn finish(&self, octets: &mut [u8], id: u64, fds: usize) -> Result<()> {
        let header = Header { kind: Kind::Request, fds, len: octets.len() - HEADER, id };
        header.may_travel(self.settings.limit)?;
        octets[..HEADER].copy_from_slice(&header.encode());
        Ok(())
    }

    /// Sends at once if the worker may be waiting for it. If not, what one turn brings goes out together.
    fn send(self: &Rc<Self>, octets: &[u8], fds: Vec<Arc<OwnedFd>>, at_once: bool) {
        let socket = self.socket.borrow().clone();
        match socket.filter(|_| at_once && self.stage.get() == Stage::Open) {
            Some(socket) => {
                let sent = self.outbox.borrow_mut().send(socket, octets, fds, SendFlags::DONTWAIT);
                self.sent(sent);
            }
            None if self.stage.get() > Stage::Open => (),
            None => {
                self.outbox.borrow_mut().push(octets, fds);
                if self.outbox.borrow().len() > KEPT {
                    self.flush();
                } else if !self.flush_posted.replace(true) {
                    let channel = Rc::clone(self);
                    crate::queue().post(move || {
                        channel.flush_posted.set(false);
                        channel.flush();
                    });
                }
            }
        }
    }

    pub(super) fn flush(self: &Rc<Self>) {
        let socket = self.socket.borrow().clone();
        if let Some(socket) = socket.filter(|_| self.stage.get() == Stage::Open) {
            let flushed = self.outbox.borrow_mut().flush(&*socket, SendFlags::DONTWAIT);
            self.sent(flushed);
        }
    }

    /// Waits for room if any is needed.
    fn sent(self: &Rc<Self>, sent: rustix::io::Result<()>) {
        if sent.is_err() {
            // The worker has closed its end, which is read from it.
            drop(self.outbox.take());
        }
        let is_crowded = self.outbox.borrow().is_crowded();
        self.crowd.replace(is_crowded.then(|| self.try_later()));
        let unsent = !self.outbox.borrow().is_empty();
        let waiting = unsent && !is_crowded;
        if let Some(watcher) = &*self.watcher.borrow()
            && self.waiting.replace(waiting) != waiting
        {
            let interest = if waiting { Interest::BOTH } else { Interest::READABLE };
            // The descriptor is open and watched, so there is nothing to refuse.
            let _ = watcher.set_interest(interest);
        }
        self.drained();
        if !unsent && self.closing.get() {
            self.shut_down();
        }
    }

    fn try_later(self: &Rc<Self>) -> Timer {
        let channel = Rc::downgrade(self);
        crate::queue().after(PAUSE, move || {
            if let Some(channel) = channel.upgrade() {
                channel.flush();
            }
        })
    }

    /// Tells who waits for it that there is room for more.
    fn drained(&self) {
        if self.outbox.borrow().len() > self.settings.backlog / 2 {
            return;
        }
        if let Some(on_drain) = self.hooks.drain.take() {
            crate::queue().post(on_drain);
        }
    }

    pub(in crate::rpc) fn cancel(self: &Rc<Self>, id: u64) {
        if !self.is_own() {
            return;
        }
        if let Some(on_answer) = self.calls.cancel(id) {
            self.send_cancel(id);
            tell(on_answer, Error::Cancelled);
        }
    }

    /// Tells the worker that an answer is not wanted any more; it is heard all the same.
    pub(in crate::rpc) fn ask_to_end(self: &Rc<Self>, id: u64) {
        if self.is_own() && self.calls.is_pending(id) {
            self.send_cancel(id);
        }
    }

    fn send_cancel(self: &Rc<Self>, id: u64) {
        let header = Header { kind: Kind::Cancel, fds: 0, len: 0, id };
        self.send(&header.encode(), Vec::new(), true);
    }

    pub(super) fn shut_down(&self) {
        if let Some(socket) = &*self.socket.borrow() {
            // The worker may have gone before; then there is nobody to be told.
            let _ = rustix::net::shutdown(socket, Shutdown::Write);
        }
    }
}
