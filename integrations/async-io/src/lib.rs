//! tine's queue on [async-io](async_io): under smol, and under any executor that lets tasks stay on
//! their thread.
//!
//! [`run`] dispatches for as long as it is polled; [`turns`] does the same as a stream, with a word
//! after each turn. The queue belongs to its thread, so these futures are not `Send`: `block_on`
//! them, or spawn them on a local executor.
//!
//! ```
//! use async_executor::LocalExecutor;
//!
//! let queue = tine::queue();
//! let executor = LocalExecutor::new();
//! executor.spawn(tine_async_io::run(&queue)).detach();
//!
//! let (sender, receiver) = async_channel::bounded(1);
//! queue.post(move || drop(sender.try_send("hello from the queue")));
//! let word = async_io::block_on(executor.run(receiver.recv()));
//! assert_eq!(word, Ok("hello from the queue"));
//! ```
//!
//! # Who polls
//! async-io has one reactor for the process. A thread in `async_io::block_on` (which is
//! `smol::block_on`) waits in it itself; for all other executors a hidden thread named `async-io`
//! does, and wakes the task. Nobody wakes up while the queue has nothing to do.
//!
//! # Errors and panics
//! An error of [`Queue::dispatch`] means that the queue itself is broken: [`run`] returns it, the
//! stream gives it and ends.
//!
//! A panic in a callback of the queue unwinds out of the `poll` of the future, after the other
//! callbacks of the turn have run. `block_on` hands it to its caller; what an executor does with a
//! task that panics is its own affair (async-executor gives the panic to whoever awaits the task).
//! The queue can be used as before, by a new [`run`].

#![forbid(unsafe_code)]

use async_io::Async;
use futures_core::Stream;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tine::{Attachment, Queue, Result};

/// Dispatches whenever there is something to do, for as long as the future is polled.
///
/// Dropping the future lets go of the queue; what is due stays due.
///
/// # Errors
/// What [`turns`] and [`Queue::dispatch`] refuse; there is no other end.
pub fn run(queue: &Queue) -> impl Future<Output = Result<Infallible>> + use<> {
    let watched = watch(queue);
    async move {
        let (watched, _attachment) = watched?;
        loop {
            watched.readable().await?;
            watched.get_ref().dispatch()?;
        }
    }
}

/// Gives a stream that dispatches whenever there is something to do, for as long as it is polled.
///
/// # Errors
/// [`System`](tine::ErrorKind::System): the reactor will watch no more descriptors, or watches this
/// queue already.
pub fn turns(queue: &Queue) -> Result<Turns> {
    Ok(Turns { watched: Some(watch(queue)?), budget: None })
}

type Watched = (Async<Queue>, Attachment);

fn watch(queue: &Queue) -> Result<Watched> {
    // The descriptor is polled and never read, so it need not be non-blocking.
    let watched = Async::new_nonblocking(queue.clone())?;
    Ok((watched, queue.attach("async-io")))
}

/// A stream of turns: the number of callbacks that ran in each.
///
/// It ends after an error, and has no other end.
#[derive(Debug)]
#[must_use = "a stream does nothing unless polled"]
pub struct Turns {
    /// Gone when an error was told.
    watched: Option<Watched>,
    budget: Option<Duration>,
}

impl Turns {
    /// Lets one turn take no longer than `budget` (see [`Queue::dispatch_for`]). The executor's
    /// other tasks have their turn before the rest is run.
    pub fn with_budget(self, budget: Duration) -> Self {
        Turns { budget: Some(budget), ..self }
    }

    fn turn(&self, watched: &Async<Queue>, context: &mut Context<'_>) -> Poll<Result<usize>> {
        ready!(watched.poll_readable(context))?;
        let queue = watched.get_ref();
        Poll::Ready(match self.budget {
            Some(budget) => queue.dispatch_for(budget),
            None => queue.dispatch(),
        })
    }
}

impl Stream for Turns {
    type Item = Result<usize>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<usize>>> {
        let turns = self.get_mut();
        let Some((watched, _)) = &turns.watched else { return Poll::Ready(None) };
        let turn = ready!(turns.turn(watched, context));
        if turn.is_err() {
            turns.watched = None;
        }
        Poll::Ready(Some(turn))
    }
}
