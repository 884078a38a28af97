//! Flow 2, typed, the app's side: what comes from a worker, one message after another.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use rustix::net::RecvFlags;

use super::{Channel, OnPanic, Stage};
use crate::rpc::Error;
use crate::rpc::calls::{Pending, Value};
use crate::rpc::frame::{Header, Hello, Kind, protocol};
use crate::rpc::inbox::{Found, Frame, Inbox};
use crate::{Readiness, Result};

impl Channel {
    pub(super) fn ready(self: &Rc<Self>, ready: Readiness) {
        if ready.is_writable() && !self.outbox.borrow().is_empty() {
            self.flush();
        }
        if ready.is_readable() {
            self.read();
        }
    }

    /// Reads once, and hears what came; tells whether there may be more.
    pub(super) fn read(self: &Rc<Self>) -> bool {
        let Some(socket) = self.socket.borrow().clone() else { return false };
        let Some(mut inbox) = self.inbox.take() else { return false };
        match inbox.receive(&*socket, RecvFlags::DONTWAIT) {
            Ok(Found::Octets) => {
                self.hear_all(inbox);
                return self.stage.get() == Stage::Open;
            }
            Ok(Found::Nothing) => self.inbox.set(Some(inbox)),
            Ok(Found::End) => self.ended(),
            Err(error) => self.lose(crate::Error::system("read from a worker", error)),
        }
        false
    }

    /// Hears every message that is whole. If one's callback panics, a later turn goes on behind it.
    fn hear_all(self: &Rc<Self>, inbox: Inbox) {
        struct Taken<'a>(&'a Rc<Channel>, Option<Inbox>);
        impl Drop for Taken<'_> {
            fn drop(&mut self) {
                self.0.inbox.set(self.1.take());
            }
        }
        let again = Rc::clone(self);
        let _again = OnPanic(Some(move || crate::queue().post(move || again.hear_rest())));
        let mut taken = Taken(self, Some(inbox));
        while self.stage.get() == Stage::Open
            && let Some(inbox) = &mut taken.1
        {
            let heard = match inbox.next() {
                Ok(Some(frame)) => self.hear(frame),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = heard {
                return self.lose(error);
            }
        }
    }

    fn hear_rest(self: &Rc<Self>) {
        if let Some(inbox) = self.inbox.take() {
            self.hear_all(inbox);
        }
    }

    fn hear(self: &Rc<Self>, frame: Frame<'_>) -> Result<()> {
        let Frame { header, body, fds, lost_fds } = frame;
        if !self.greeted.replace(true) {
            let theirs = Hello::decode(header, body)?;
            self.settings.hello.meets(&theirs)?;
            if let Some(on_ready) = self.hooks.ready.take() {
                on_ready();
            }
            return Ok(());
        }
        let value = Value { format: self.format(), octets: body, fds, lost_fds };
        match header.kind {
            Kind::Reply => self.answered(header.id, Ok(value)),
            Kind::Failed => self.answered(header.id, Err(Error::Failed(text(body)))),
            Kind::Panicked => {
                let text = text(body);
                let (place, message) = text.split_once('\0').unwrap_or(("", &text));
                let (message, place) = (message.into(), place.into());
                self.answered(header.id, Err(Error::Panicked { message, place }))
            }
            Kind::Part => {
                self.calls.hear_part(header.id, value).unwrap_or_else(|| Err(unasked(header)))
            }
            Kind::Event => self.hear_event(value),
            Kind::Retire => {
                self.retiring.set(true);
                if let Some(on_retire) = self.hooks.retire.take() {
                    on_retire();
                }
                Ok(())
            }
            Kind::Hello | Kind::Request | Kind::Cancel => {
                Err(protocol(format!("a worker does not send {:?}", header.kind)))
            }
        }
    }

    fn answered(&self, id: u64, answer: Result<Value<'_>, Error>) -> Result<()> {
        let Some(Pending { on_answer, .. }) = self.calls.remove(id) else {
            return Err(protocol(format!("call {id} was answered, which waits for no answer")));
        };
        on_answer.map_or(Ok(()), |on_answer| on_answer(answer))
    }

    fn hear_event(&self, value: Value<'_>) -> Result<()> {
        let Some(mut on_event) = self.hooks.event.take() else { return Ok(()) };
        let heard = catch_unwind(AssertUnwindSafe(|| on_event(value)));
        // Also one that panicked hears the next.
        if self.stage.get() == Stage::Open {
            self.hooks.event.replace(Some(on_event));
        }
        heard.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn unasked(header: Header) -> crate::Error {
    protocol(format!("{:?} came for call {}, which waits for nothing", header.kind, header.id))
}
