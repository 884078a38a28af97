//! The parked thread, without a display: a channel stands for the loop. The conformance suite has the
//! same on real loops.

use super::Attachment;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;
use tine::{ErrorKind, Queue};

const LONG: Duration = Duration::from_secs(30);

fn setup() -> (Queue, Attachment, Receiver<()>) {
    let queue = Queue::new().expect("a queue");
    let (sender, woken) = channel();
    let attachment = Attachment::new(&queue, move || sender.send(()).is_ok());
    (queue, attachment.expect("a thread"), woken)
}

#[test]
fn it_wakes_once_for_what_is_due_and_again_for_what_comes_later() {
    let (queue, attachment, woken) = setup();
    assert_eq!(queue.attached(), Some("winit"));
    for _ in 0..3 {
        queue.post(|| ());
        woken.recv_timeout(LONG).unwrap();
        // It waits to be told, however much there is to do.
        queue.post(|| ());
        assert!(woken.recv_timeout(Duration::from_millis(5)).is_err());
        assert_eq!(attachment.dispatch().unwrap(), 2);
    }
    assert!(woken.recv_timeout(Duration::from_millis(5)).is_err());
}

#[test]
fn what_a_budget_leaves_wakes_it_again() {
    let (queue, attachment, woken) = setup();
    for _ in 0..3 {
        queue.post(|| ());
    }
    for _ in 0..3 {
        woken.recv_timeout(LONG).unwrap();
        assert_eq!(attachment.dispatch_for(Duration::ZERO).unwrap(), 1);
    }
}

#[test]
fn a_dispatch_that_nobody_asked_for_does_no_harm() {
    let (queue, attachment, woken) = setup();
    assert_eq!(attachment.dispatch().unwrap(), 0);
    queue.post(|| ());
    attachment.dispatch().unwrap();
    while woken.recv_timeout(Duration::from_millis(5)).is_ok() {
        attachment.dispatch().unwrap();
    }
    queue.post(|| ());
    woken.recv_timeout(LONG).unwrap();
    assert_eq!(attachment.dispatch().unwrap(), 1);
}

#[test]
fn an_error_of_dispatch_is_the_callers_and_the_thread_goes_on() {
    let (queue, attachment, woken) = setup();
    let attachment = Rc::new(attachment);
    let refused = Rc::new(Cell::new(None));
    let (inside, tell) = (Rc::clone(&attachment), Rc::clone(&refused));
    queue.post(move || tell.set(inside.dispatch().err().map(|error| error.kind())));
    woken.recv_timeout(LONG).unwrap();
    assert_eq!(attachment.dispatch().unwrap(), 1);
    assert_eq!(refused.get(), Some(ErrorKind::Misuse));
    queue.post(|| ());
    // The refused call has let the thread go on while the turn was not over: that may be one event
    // too many, never one too few.
    woken.recv_timeout(LONG).unwrap();
    attachment.dispatch().unwrap();
}

#[test]
fn a_panic_lets_the_thread_go_on() {
    let (queue, attachment, woken) = setup();
    queue.post(|| resume_unwind(Box::new("as it should")));
    woken.recv_timeout(LONG).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| attachment.dispatch())).is_err());
    queue.post(|| ());
    woken.recv_timeout(LONG).unwrap();
    assert_eq!(attachment.dispatch().unwrap(), 1);
}

#[test]
fn dropping_it_ends_the_thread_in_either_state() {
    // Parked on the queue.
    let (queue, attachment, woken) = setup();
    drop(attachment);
    // The thread had the sender, so that it is over when the channel is.
    assert_eq!(woken.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(queue.attached(), None);
    // Waiting for a dispatch.
    let (queue, attachment, woken) = setup();
    queue.post(|| ());
    woken.recv_timeout(LONG).unwrap();
    drop(attachment);
    assert_eq!(woken.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(queue.dispatch().unwrap(), 1, "what is due stays due");
}
