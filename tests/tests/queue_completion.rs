//! E7, E10: completions: sent, failed, counted, waited for in each way.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tine::{Completion, Error, ErrorKind, Queue, Result};
use tine_tests::{Log, readable};

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("an error").kind()
}

#[test]
fn a_value_that_nobody_waited_for_is_kept() {
    let queue = Queue::new().unwrap();
    let done = queue.completion();
    assert!(!done.is_ready());
    done.send("value");
    done.send("late");
    done.fail(Error::other("later"));
    assert!(done.is_ready());
    assert_eq!(done.recv().unwrap(), "value");
    assert_eq!(kind(done.recv()), ErrorKind::Misuse);
}

#[test]
fn recv_drives_the_queue() {
    let queue = Queue::new().unwrap();
    let done = queue.completion();
    let (sender, other) = (done.sender(), Rc::new(Cell::new(0)));
    let count = Rc::clone(&other);
    let _every = queue.every(Duration::from_millis(1), move || count.set(count.get() + 1));
    queue.after(Duration::from_millis(10), move || sender(Ok(7))).detach();
    assert_eq!(done.recv().unwrap(), 7);
    assert!(other.get() > 0);
}

#[test]
fn a_failure_is_told_as_it_was() {
    let queue = Queue::new().unwrap();
    let done = queue.completion::<()>();
    done.fail(Error::other("no luck"));
    assert_eq!(done.recv().unwrap_err().to_string(), "no luck");
}

#[test]
fn recv_inside_a_callback_is_an_error_unless_the_value_is_there() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (done, said) = (queue.completion::<i32>(), log.clone());
    let waits = done.clone();
    queue.post(move || {
        let error = waits.recv().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("recv"), "{error}");
        waits.send(1);
        said.say(waits.recv().unwrap());
    });
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "1");
}

#[test]
fn a_callback_runs_in_a_turn_whenever_it_was_set() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (early, late) = (queue.completion(), queue.completion());
    let say = |log: &Log| {
        let log = log.clone();
        move |result: Result<i32>| log.say(result.unwrap())
    };
    early.on_ready(say(&log));
    early.send(1);
    late.send(2);
    late.on_ready(say(&log));
    assert_eq!(log.take(), "", "never inside the call");
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 2);
    assert_eq!(log.take(), "1 2");
    let said = log.clone();
    early.on_ready(move |result| said.say(format!("{:?}", kind(result))));
    queue.dispatch().unwrap();
    assert_eq!(log.take(), "Misuse");
    assert_eq!(kind(early.recv()), ErrorKind::Misuse);
}

#[test]
fn the_end_of_the_last_part_runs_the_group() {
    let (queue, count) = (Queue::new().unwrap(), Rc::new(Cell::new(0)));
    let (done, sum) = (queue.completion(), Rc::clone(&count));
    done.begin_with(move |done| done.send(sum.get()));
    for n in 1..=4 {
        done.begin();
        let (done, count) = (done.clone(), Rc::clone(&count));
        let part = move || {
            count.set(count.get() + n);
            done.end().unwrap();
        };
        queue.after(Duration::from_micros(100 * (5 - n)), part).detach();
    }
    done.end().unwrap();
    assert_eq!(done.recv().unwrap(), 10);
    assert_eq!(kind(done.end()), ErrorKind::Misuse, "one end too many");
}

/// E7, and rule 2: the group's callback runs in a dispatch, so that `end` may be called with anything borrowed.
#[test]
fn the_group_runs_in_a_dispatch_only() {
    let (queue, log) = (Queue::new().unwrap(), Log::default());
    let (done, said, heard) = (queue.completion(), log.clone(), log.clone());
    done.begin_with(move |done| {
        said.say("group");
        done.send(1);
    });
    done.on_ready(move |result| heard.say(format!("{result:?}")));
    done.end().unwrap();
    assert_eq!(log.take(), "");
    assert!(readable(&queue));
    queue.dispatch().unwrap();
    queue.dispatch().unwrap();
    assert_eq!(log.take(), "group Ok(1)");
    // From a callback as well; what is begun meanwhile belongs to the next round.
    let (done, ended) = (queue.completion(), log.clone());
    let (of, said) = (done.clone(), log.clone());
    done.begin_with(move |done| {
        said.say("group");
        done.send(2);
    });
    queue.post(move || {
        of.end().unwrap();
        of.begin();
        ended.say("ended");
    });
    assert_eq!(done.recv().unwrap(), 2);
    assert_eq!(log.take(), "ended group");
}

#[test]
fn without_a_group_a_unit_is_sent_and_anything_else_is_missed() {
    let queue = Queue::new().unwrap();
    let units = queue.completion::<()>();
    units.begin();
    units.begin();
    units.end().unwrap();
    assert!(!units.is_ready());
    units.end().unwrap();
    units.recv().unwrap();
    let numbers = queue.completion::<i32>();
    numbers.begin();
    assert_eq!(kind(numbers.end()), ErrorKind::Misuse);
}

#[test]
fn a_sender_dropped_uncalled_fails_it() {
    let queue = Queue::new().unwrap();
    let done = queue.completion::<i32>();
    drop(done.sender());
    assert_eq!(kind(done.recv()), ErrorKind::Cancelled);
}

#[test]
fn nothing_comes_from_a_queue_that_is_gone() {
    let queue = Queue::new().unwrap();
    let done = queue.completion::<i32>();
    drop(queue);
    assert_eq!(kind(done.recv()), ErrorKind::Cancelled);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn it_is_a_future() {
    let queue = Queue::new().unwrap();
    let done: Completion<i32> = queue.completion();
    let sender = done.sender();
    queue.post(move || sender(Ok(3)));
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut task = pin!(async { done.await.map(|value| value * 2) });
    assert!(task.as_mut().poll(&mut context).is_pending());
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    queue.dispatch().unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(result) = task.poll(&mut context) else { panic!("woken, and not ready") };
    assert_eq!(result.unwrap(), 6);
}

#[test]
fn futures_that_wait_for_one_value_all_end() {
    let queue = Queue::new().unwrap();
    let done: Completion<i32> = queue.completion();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let (mut first, mut second, mut gone) =
        (Box::pin(done.clone()), Box::pin(done.clone()), Box::pin(done.clone()));
    for future in [&mut first, &mut second, &mut gone] {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    assert!(second.as_mut().poll(&mut context).is_pending());
    drop(gone);
    assert_eq!(Arc::strong_count(&count), 4, "two futures, the waker, and here");
    done.send(3);
    assert_eq!(count.0.load(Ordering::SeqCst), 2, "each is woken");
    let mut poll = |future: Pin<&mut Completion<i32>>| match future.poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("woken, and not ready"),
    };
    assert_eq!(poll(first.as_mut()).unwrap(), 3);
    assert_eq!(kind(poll(second.as_mut())), ErrorKind::Misuse);
}

#[test]
fn library_code_waits_on_the_threads_own_queue() {
    let done = tine::queue().completion();
    let sender = done.sender();
    tine::queue().post(move || sender(Ok("here")));
    assert_eq!(done.recv().unwrap(), "here");
}
