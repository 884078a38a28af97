//! The queue under several executors: what drives it, how it ends, errors and panics.

use async_executor::LocalExecutor;
use futures_executor::LocalPool;
use futures_lite::future::{block_on as plain_block_on, or, yield_now};
use futures_lite::{Stream as _, StreamExt as _};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tine::{ErrorKind, Queue, Result};
use tine_async_io::{run, turns};

/// A queue, and a future that ends when a timer and a post of another thread have run.
fn work(queue: &Queue) -> impl Future<Output = Result<()>> + use<> {
    let (sender, receiver) = async_channel::bounded(2);
    let timer = sender.clone();
    queue.after(Duration::from_millis(3), move || timer.try_send(()).expect("room")).detach();
    let poster = queue.poster();
    let post = move || poster.post(move || sender.try_send(()).expect("room")).expect("a queue");
    std::thread::spawn(post).join().expect("a thread that posts");
    async move {
        receiver.recv().await.map_err(tine::Error::other)?;
        receiver.recv().await.map_err(tine::Error::other)
    }
}

fn driven(queue: &Queue) -> impl Future<Output = Result<()>> + use<> {
    let (driver, work) = (run(queue), work(queue));
    or(work, async { driver.await.map(|never| match never {}) })
}

#[test]
fn smols_block_on() {
    let queue = Queue::new().unwrap();
    async_io::block_on(driven(&queue)).unwrap();
    // Let go of, the queue can be driven again.
    async_io::block_on(driven(&queue)).unwrap();
}

#[test]
fn a_block_on_that_knows_nothing_of_the_reactor() {
    let queue = Queue::new().unwrap();
    plain_block_on(driven(&queue)).unwrap();
}

#[test]
fn smols_local_executor() {
    let queue = Queue::new().unwrap();
    let executor = LocalExecutor::new();
    executor.spawn(run(&queue)).detach();
    async_io::block_on(executor.run(work(&queue))).unwrap();
}

#[test]
fn futures_local_pool() {
    let queue = Queue::new().unwrap();
    LocalPool::new().run_until(driven(&queue)).unwrap();
}

#[test]
fn a_turn_tells_how_many_callbacks_ran() {
    let queue = Queue::new().unwrap();
    for _ in 0..3 {
        queue.post(|| ());
    }
    let mut turns = turns(&queue).unwrap();
    assert_eq!(async_io::block_on(turns.next()).unwrap().unwrap(), 3);
    queue.post(|| ());
    assert_eq!(async_io::block_on(turns.next()).unwrap().unwrap(), 1);
}

#[test]
fn a_budget_lets_other_tasks_have_their_turn() {
    let queue = Queue::new().unwrap();
    let mut turns = turns(&queue).unwrap().with_budget(Duration::ZERO);
    for _ in 0..3 {
        queue.post(|| ());
    }
    let ran = Cell::new(0);
    let driver = async {
        while let Some(turn) = turns.next().await {
            ran.set(ran.get() + turn.unwrap());
        }
        unreachable!("the stream ended")
    };
    let other = async {
        let mut seen = Vec::new();
        while ran.get() < 3 {
            seen.push(ran.get());
            yield_now().await;
        }
        seen.dedup();
        seen
    };
    assert_eq!(async_io::block_on(or(other, driver)), [0, 1, 2]);
}

#[test]
fn a_queue_is_watched_once() {
    let queue = Queue::new().unwrap();
    let first = turns(&queue).unwrap();
    assert_eq!(turns(&queue).unwrap_err().kind(), ErrorKind::System);
    drop(first);
    assert!(turns(&queue).is_ok());
}

#[test]
fn an_error_of_dispatch_is_told_and_ends_the_stream() {
    let queue = Queue::new().unwrap();
    let told = Rc::new(RefCell::new(Vec::new()));
    let (tell, mut within) = (Rc::clone(&told), turns(&queue).unwrap());
    let poster = queue.poster();
    queue.post(move || {
        // A loop inside a callback of the queue that it drives.
        poster.post(|| ()).unwrap();
        let (first, then) =
            async_io::block_on(async { (within.next().await, within.next().await) });
        tell.borrow_mut().push(first.expect("a turn").expect_err("a nested one").kind());
        assert!(then.is_none());
    });
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(*told.borrow(), [ErrorKind::Misuse]);
}

#[test]
fn run_ends_with_an_error_of_dispatch() {
    let queue = Queue::new().unwrap();
    let (told, again) = (Rc::new(Cell::new(None)), queue.clone());
    let tell = Rc::clone(&told);
    queue.post(move || {
        again.poster().post(|| ()).unwrap();
        let Err(error) = async_io::block_on(run(&again));
        tell.set(Some(error.kind()));
    });
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(told.get(), Some(ErrorKind::Misuse));
}

#[test]
fn a_panic_comes_out_of_block_on_and_the_queue_goes_on() {
    let queue = Queue::new().unwrap();
    queue.post(|| panic!("as it should"));
    let caught = catch_unwind(AssertUnwindSafe(|| async_io::block_on(run(&queue))));
    let panic = caught.expect_err("the panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as it should"));
    async_io::block_on(driven(&queue)).unwrap();
}

#[test]
fn a_panic_in_a_task_is_given_to_whoever_awaits_it() {
    let queue = Queue::new().unwrap();
    let executor = LocalExecutor::new();
    let driver = executor.spawn(run(&queue));
    queue.post(|| panic!("as it should"));
    let caught = catch_unwind(AssertUnwindSafe(|| async_io::block_on(executor.run(driver))));
    assert_eq!(caught.expect_err("the panic").downcast_ref::<&str>(), Some(&"as it should"));
    executor.spawn(run(&queue)).detach();
    async_io::block_on(executor.run(work(&queue))).unwrap();
}

#[test]
fn nothing_is_ready_while_nothing_is_to_be_done() {
    let queue = Queue::new().unwrap();
    let mut turns = pin!(turns(&queue).unwrap());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(matches!(turns.as_mut().poll_next(&mut context), Poll::Pending));
    }
}
