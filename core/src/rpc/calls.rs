//! Flow 2, typed, the app's side: calls whose answer has not come.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::{Error, Format};
use crate::{ErrorKind, Result};

/// A value that came, not yet decoded.
pub(super) struct Value<'a> {
    pub format: Format,
    pub octets: &'a [u8],
    pub fds: Vec<OwnedFd>,
    pub lost_fds: bool,
}

impl Value<'_> {
    /// # Errors
    /// [`ErrorKind::Protocol`]: it is no `T`. [`ErrorKind::System`]: descriptors or address space run out.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T> {
        if self.lost_fds {
            let lost = rustix::io::Errno::MFILE;
            return Err(crate::Error::system("take in the descriptors of a message", lost));
        }
        self.format.decode(self.octets, self.fds)
    }
}

/// Hears of a part, of an event. An error is the channel's end.
pub(super) type OnValue = Box<dyn FnMut(Value<'_>) -> Result<()>>;
/// Hears of the answer, or why there is none; once.
pub(super) type OnAnswer = Box<dyn FnOnce(Result<Value<'_>, Error>) -> Result<()>>;

/// Makes what hears of an answer of the program's callback.
pub(super) fn on_answer<T: DeserializeOwned>(
    callback: impl FnOnce(Result<T, Error>) + 'static,
) -> OnAnswer {
    Box::new(move |answer| {
        let error = match answer.map(Value::decode) {
            Ok(Ok(reply)) => {
                callback(Ok(reply));
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(error) => {
                callback(Err(error));
                return Ok(());
            }
        };
        // A worker that answers with something else is of no use; what this process lacks is not its fault.
        let lost = (error.kind() == ErrorKind::Protocol).then(|| crate::Error::again(&error));
        callback(Err(if lost.is_some() { Error::lost(error) } else { Error::refused(error) }));
        lost.map_or(Ok(()), Err)
    })
}

/// Makes what hears of events or parts of the program's callback.
pub(super) fn on_value<T: DeserializeOwned>(mut callback: impl FnMut(T) + 'static) -> OnValue {
    Box::new(move |value| value.decode().map(&mut callback))
}

pub(super) struct Pending {
    /// None once the call was cancelled: the worker answers all the same.
    pub on_answer: Option<OnAnswer>,
    pub on_part: Option<OnValue>,
}

/// All calls that the worker has not answered, by id.
#[derive(Default)]
pub(super) struct Calls {
    pending: RefCell<BTreeMap<u64, Pending>>,
}

impl Calls {
    pub fn len(&self) -> usize {
        self.pending.borrow().len()
    }

    pub fn insert(&self, id: u64, pending: Pending) {
        self.pending.borrow_mut().insert(id, pending);
    }

    /// Takes a call that is answered.
    pub fn remove(&self, id: u64) -> Option<Pending> {
        self.pending.borrow_mut().remove(&id)
    }

    /// Takes all, the oldest first.
    pub fn take(&self) -> impl Iterator<Item = Pending> + use<> {
        self.pending.take().into_values()
    }

    /// Takes what would hear of the answer; the call itself stays.
    pub fn cancel(&self, id: u64) -> Option<OnAnswer> {
        let mut pending = self.pending.borrow_mut();
        let pending = pending.get_mut(&id)?;
        // A part that is being heard of puts nothing back, for there is nobody to hear any more.
        let (on_answer, on_part) = (pending.on_answer.take(), pending.on_part.take());
        // What it has captured is dropped where no borrow is held.
        if let Some(on_part) = on_part {
            crate::queue().post(move || drop(on_part));
        }
        on_answer
    }

    pub fn is_pending(&self, id: u64) -> bool {
        self.pending.borrow().get(&id).is_some_and(|pending| pending.on_answer.is_some())
    }

    /// Tells a part to who wants to hear of it; tells also whether there is such a call.
    pub fn hear_part(&self, id: u64, part: Value<'_>) -> Option<Result<()>> {
        let mut on_part = self.pending.borrow_mut().get_mut(&id)?.on_part.take();
        let heard = on_part.as_mut().map_or(Ok(()), |on_part| on_part(part));
        if let Some(pending) = self.pending.borrow_mut().get_mut(&id)
            && pending.on_answer.is_some()
        {
            std::mem::swap(&mut pending.on_part, &mut on_part);
        }
        Some(heard)
    }
}

/// A call that was made. Dropping the handle changes nothing.
pub struct Call {
    pub(super) channel: Rc<super::channel::Channel>,
    pub(super) id: u64,
}

impl Call {
    /// Gives up the answer: the callback gets [`Error::Cancelled`] in a dispatch to come, and the worker is
    /// told, which can make its handler end early ([`Request::is_cancelled`](super::Caller::is_cancelled)).
    ///
    /// A call that is settled stays so.
    pub fn cancel(&self) {
        self.channel.cancel(self.id);
    }

    /// Asks the worker to end this call early, as [`cancel`](Call::cancel) does, and waits for what it answers.
    pub fn ask_to_end(&self) {
        self.channel.ask_to_end(self.id);
    }

    /// Tells whether the callback has still to run.
    pub fn is_pending(&self) -> bool {
        self.channel.calls.is_pending(self.id)
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("id", &self.id).field("pending", &self.is_pending()).finish()
    }
}
