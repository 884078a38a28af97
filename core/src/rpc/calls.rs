//! Flow 2, typed, the app's side: calls whose answer has not come.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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
        let value = match answer {
            Ok(value) => value,
            Err(error) => {
                callback(Err(error));
                return Ok(());
            }
        };
        // What decodes a value is the program's, and may panic: the call is settled, the panic is the turn's.
        let error = match catch_unwind(AssertUnwindSafe(|| value.decode())) {
            Ok(Ok(reply)) => {
                callback(Ok(reply));
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(panic) => {
                let message = format!("what decodes {} panicked", std::any::type_name::<T>());
                let refused = Error::refused(crate::Error::new(ErrorKind::Misuse, message));
                crate::queue().post(move || callback(Err(refused)));
                resume_unwind(panic);
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

/// All calls that the worker has not answered.
#[derive(Default)]
pub(super) struct Calls {
    /// By id, which ascend; None where the answer came before those of older calls. The first is never None,
    /// and no more than half of them are.
    pending: RefCell<VecDeque<(u64, Option<Pending>)>>,
    count: Cell<usize>,
}

impl Calls {
    pub fn len(&self) -> usize {
        self.count.get()
    }

    /// Adds a call, whose id is greater than any before.
    pub fn insert(&self, id: u64, call: Pending) {
        self.pending.borrow_mut().push_back((id, Some(call)));
        self.count.set(self.count.get() + 1);
    }

    /// Takes a call that is answered.
    pub fn remove(&self, id: u64) -> Option<Pending> {
        let mut pending = self.pending.borrow_mut();
        let call = place(&mut pending, id)?.take()?;
        self.count.set(self.count.get() - 1);
        while pending.front().is_some_and(|(_, call)| call.is_none()) {
            pending.pop_front();
        }
        if pending.len() > 2 * self.count.get() {
            pending.retain(|(_, call)| call.is_some());
        }
        Some(call)
    }

    /// Takes all, the oldest first.
    pub fn take(&self) -> impl Iterator<Item = Pending> + use<> {
        self.count.set(0);
        self.pending.take().into_iter().filter_map(|(_, call)| call)
    }

    /// Takes what would hear of the answer; the call itself stays.
    pub fn cancel(&self, id: u64) -> Option<OnAnswer> {
        // A part that is being heard of puts nothing back, for there is nobody to hear any more.
        let taken = self.with(id, |call| (call.on_answer.take(), call.on_part.take()));
        let (on_answer, on_part) = taken?;
        // What it has captured is dropped where no borrow is held.
        if let Some(on_part) = on_part {
            crate::queue().post(move || drop(on_part));
        }
        on_answer
    }

    pub fn is_pending(&self, id: u64) -> bool {
        self.with(id, |call| call.on_answer.is_some()).unwrap_or(false)
    }

    /// Tells a part to who wants to hear of it; tells also whether there is such a call.
    pub fn hear_part(&self, id: u64, part: Value<'_>) -> Option<Result<()>> {
        let mut on_part = self.with(id, |call| call.on_part.take())?;
        let heard = on_part
            .as_mut()
            .map_or(Ok(Ok(())), |on_part| catch_unwind(AssertUnwindSafe(|| on_part(part))));
        // Also one that panicked hears the next.
        self.with(id, |call| {
            if call.on_answer.is_some() {
                call.on_part = on_part.take();
            }
        });
        Some(heard.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn with<T>(&self, id: u64, what: impl FnOnce(&mut Pending) -> T) -> Option<T> {
        let mut pending = self.pending.borrow_mut();
        place(&mut pending, id)?.as_mut().map(what)
    }
}

fn place(calls: &mut VecDeque<(u64, Option<Pending>)>, id: u64) -> Option<&mut Option<Pending>> {
    let index = calls.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    calls.get_mut(index).map(|(_, call)| call)
}

/// A call that was made. Dropping the handle changes nothing.
pub struct Call {
    pub(super) channel: Rc<super::channel::Channel>,
    pub(super) id: u64,
}

impl Call {
    /// Gives up the answer: the callback gets [`Error::Cancelled`] in a dispatch to come, and the worker is
    /// told, which can make its handler end early ([`Caller::is_cancelled`](super::Caller::is_cancelled)).
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

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Pending {
        Pending { on_answer: Some(Box::new(|_| Ok(()))), on_part: None }
    }

    /// In whatever order they are answered, each is found once, and little is kept of those that were.
    #[test]
    fn answered_in_any_order() {
        let calls = Calls::default();
        (1..=1000).for_each(|id| calls.insert(id, call()));
        // All but the first, the last one first.
        for id in (2..=1000).rev() {
            assert!(calls.is_pending(id) && calls.remove(id).is_some());
            assert!(calls.remove(id).is_none() && !calls.is_pending(id));
            assert!(calls.pending.borrow().len() <= 2 * calls.len());
        }
        assert_eq!(calls.len(), 1);
        calls.insert(1001, call());
        assert!(calls.cancel(1001).is_some() && calls.cancel(1001).is_none());
        assert_eq!((calls.len(), calls.is_pending(1001)), (2, false));
        assert!(calls.remove(1).is_some() && calls.remove(1001).is_some());
        assert!(calls.pending.borrow().is_empty() && calls.len() == 0);
    }
}
