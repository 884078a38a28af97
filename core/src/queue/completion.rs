//! Flow 1: a value that is not there yet, for whoever waits for it: by callback, by blocking, or as a
//! future.

use super::{Core, Queue};
use crate::{Error, ErrorKind, Result};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

/// One value or one error that will come, once.
///
/// Clones share it. The first [`send`](Completion::send) or [`fail`](Completion::fail) counts; it is
/// kept until somebody takes it, by [`recv`](Completion::recv), [`on_ready`](Completion::on_ready) or
/// `.await`, and goes to who takes it first.
pub struct Completion<T> {
    core: Weak<Core>,
    cell: Rc<RefCell<State<T>>>,
    /// Under what number it waits as a future, if it does.
    waits: Option<u64>,
}

/// ```text
/// Open ── send, fail ──▶ Ready ── recv, on_ready, poll ──▶ Taken
///   └──── on_ready ──▶ Promised ── send, fail ──▶ Taken
/// ```
enum Stage<T> {
    Open,
    Promised(Box<dyn FnOnce(Result<T>)>),
    Ready(Result<T>),
    Taken,
}

type Group<T> = Box<dyn FnOnce(&Completion<T>)>;

struct State<T> {
    stage: Stage<T>,
    /// How many parts of the work were begun and have not ended.
    open: usize,
    /// What runs when the last of them ends.
    group: Option<Group<T>>,
    /// Who is to be woken, by number.
    wakers: BTreeMap<u64, Waker>,
}

impl Queue {
    /// Makes a completion that this queue's callbacks settle, and blocking waits drive.
    pub fn completion<T: 'static>(&self) -> Completion<T> {
        let state = State { stage: Stage::Open, open: 0, group: None, wakers: BTreeMap::new() };
        Completion {
            core: Rc::downgrade(&self.core),
            cell: Rc::new(RefCell::new(state)),
            waits: None,
        }
    }
}

impl<T: 'static> Completion<T> {
    /// Gives the value. If there is one, or an error, already, this one is dropped.
    pub fn send(&self, value: T) {
        self.settle(Ok(value));
    }

    /// Gives an error instead of a value.
    pub fn fail(&self, error: Error) {
        self.settle(Err(error));
    }

    /// Gives the function that settles this completion: for calls that take a callback.
    ///
    /// If it is dropped uncalled, the completion fails ([`Cancelled`](ErrorKind::Cancelled)).
    pub fn sender(&self) -> impl FnOnce(Result<T>) + use<T> {
        let sender = Sender(Some(self.clone()));
        move |result| sender.send(result)
    }

    /// Begins a part of the work: for each there is to be an [`end`](Completion::end).
    pub fn begin(&self) {
        self.cell.borrow_mut().open += 1;
    }

    /// As [`begin`](Completion::begin); `group` runs in a turn after the last part has ended, and sends
    /// what came of them all. The latest `group` counts.
    ///
    /// Begin before the first part and end after the last one was begun, and `group` runs also when
    /// there was nothing to do at all.
    pub fn begin_with(&self, group: impl FnOnce(&Completion<T>) + 'static) {
        let mut state = self.cell.borrow_mut();
        state.open += 1;
        let former = state.group.replace(Box::new(group));
        drop(state);
        drop(former);
    }

    /// Ends a part of the work. After the last one the group's callback runs, as all do: in a dispatch to
    /// come, never inside this call. Without one, a `Completion<()>` is sent its `()`.
    ///
    /// # Errors
    /// [`Misuse`](ErrorKind::Misuse): there were more ends than beginnings, or the last one came and
    /// no [`begin_with`](Completion::begin_with) says what to send.
    pub fn end(&self) -> Result<()> {
        let mut state = self.cell.borrow_mut();
        let misuse = |message: &str| Err(Error::new(ErrorKind::Misuse, message));
        state.open = match state.open.checked_sub(1) {
            Some(open) => open,
            None => return misuse("a completion's end came without its begin"),
        };
        if state.open > 0 {
            return Ok(());
        }
        let group = state.group.take();
        drop(state);
        match group {
            Some(group) => {
                let done = self.clone();
                self.post(move || group(&done));
            }
            None if self.is_settled() || self.send_unit() => {}
            None => return misuse("a completion's last part ended with nothing to send"),
        }
        Ok(())
    }

    /// Tells whether the value or the error is there, and nobody has taken it.
    pub fn is_ready(&self) -> bool {
        matches!(self.cell.borrow().stage, Stage::Ready(_))
    }

    /// Runs `callback` with the value or the error, in a turn after it came; never before this call
    /// returns. A second callback, or one that comes after the value was taken, gets an error
    /// ([`Misuse`](ErrorKind::Misuse)).
    pub fn on_ready(&self, callback: impl FnOnce(Result<T>) + 'static) {
        let mut state = self.cell.borrow_mut();
        if matches!(state.stage, Stage::Open) {
            state.stage = Stage::Promised(Box::new(callback));
            return;
        }
        let result = state.take();
        drop(state);
        self.post(move || callback(result));
    }

    /// Waits for the value, and runs the queue's callbacks meanwhile; takes the value if it is there.
    ///
    /// The thread waits: a host loop runs nothing of its own until then, and a window is not drawn. There
    /// [`on_ready`](Completion::on_ready) and `.await` are right.
    ///
    /// # Errors
    /// What was sent by [`fail`](Completion::fail), or:
    /// - [`Misuse`](ErrorKind::Misuse): called inside a callback of this queue before the value is
    ///   there, which it could never get to; or the value was taken, or promised to `on_ready`.
    /// - [`Cancelled`](ErrorKind::Cancelled): the queue is gone, so nothing more can come.
    /// - those of [`Queue::turn`].
    pub fn recv(&self) -> Result<T> {
        while matches!(self.cell.borrow().stage, Stage::Open) {
            let Some(core) = self.core.upgrade() else {
                let message = "the queue is gone that would have brought what is waited for";
                return Err(Error::new(ErrorKind::Cancelled, message));
            };
            if core.dispatching.get() {
                let message = "recv was called inside a callback of the same queue, \
                               which can bring nothing until that returns; use on_ready or await";
                return Err(Error::new(ErrorKind::Misuse, message));
            }
            Queue { core }.turn(None)?;
        }
        self.cell.borrow_mut().take()
    }

    /// Sends `()` if that is what is to be sent.
    fn send_unit(&self) -> bool {
        let mut unit = Some(());
        let unit: &mut dyn Any = &mut unit;
        let value = unit.downcast_mut::<Option<T>>().and_then(Option::take);
        value.map(|value| self.send(value)).is_some()
    }

    fn is_settled(&self) -> bool {
        matches!(self.cell.borrow().stage, Stage::Ready(_) | Stage::Taken)
    }

    fn settle(&self, result: Result<T>) {
        let mut state = self.cell.borrow_mut();
        let promised = match std::mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Open => {
                state.stage = Stage::Ready(result);
                None
            }
            Stage::Promised(callback) => Some((callback, result)),
            settled => {
                state.stage = settled;
                drop(state);
                return drop(result);
            }
        };
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        if let Some((callback, result)) = promised {
            self.post(move || callback(result));
        }
        wakers.into_values().for_each(Waker::wake);
    }

    fn post(&self, callback: impl FnOnce() + 'static) {
        if let Some(core) = self.core.upgrade() {
            Queue { core }.post(callback);
        }
    }
}

impl<T> State<T> {
    /// Takes the value if it is there.
    fn take(&mut self) -> Result<T> {
        match std::mem::replace(&mut self.stage, Stage::Taken) {
            Stage::Ready(result) => result,
            other => {
                self.stage = other;
                let message = "the value of this completion was taken, or promised, already";
                Err(Error::new(ErrorKind::Misuse, message))
            }
        }
    }
}

impl<T: 'static> Future for Completion<T> {
    type Output = Result<T>;

    /// The queue has to be driven meanwhile, by a host loop or by turns of the program's own.
    ///
    /// Where several wait for one value, one gets it and the others an error
    /// ([`Misuse`](ErrorKind::Misuse)).
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let (cell, waits) = (Rc::clone(&self.cell), self.waits);
        let mut state = cell.borrow_mut();
        if matches!(state.stage, Stage::Open) {
            let next = state.wakers.last_key_value().map_or(0, |(last, _)| last + 1);
            let number = *self.waits.insert(waits.unwrap_or(next));
            let former = state.wakers.insert(number, context.waker().clone());
            drop(state);
            drop(former);
            return Poll::Pending;
        }
        Poll::Ready(state.take())
    }
}

impl<T> Clone for Completion<T> {
    fn clone(&self) -> Self {
        Completion { core: Weak::clone(&self.core), cell: Rc::clone(&self.cell), waits: None }
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        let Some(number) = self.waits else { return };
        let waker = self.cell.borrow_mut().wakers.remove(&number);
        drop(waker);
    }
}

impl<T> fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.cell.borrow().stage {
            Stage::Open => "open",
            Stage::Promised(_) => "promised",
            Stage::Ready(_) => "ready",
            Stage::Taken => "taken",
        };
        write!(f, "Completion({stage})")
    }
}

/// Settles a completion, or fails it when it is dropped.
struct Sender<T: 'static>(Option<Completion<T>>);

impl<T> Sender<T> {
    fn send(mut self, result: Result<T>) {
        if let Some(completion) = self.0.take() {
            completion.settle(result);
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(completion) = self.0.take() {
            let message = "the callback that was waited for was dropped uncalled";
            completion.fail(Error::new(ErrorKind::Cancelled, message));
        }
    }
}
