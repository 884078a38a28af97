//! E6, E9: idle watchers, and the host loop that may serve them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tine::{Idle, Queue};
use tine_tests::{Log, readable};

#[test]
fn it_runs_when_nothing_else_does() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let idle = queue.idle(log.saying("idle"));
    queue.post(log.saying("post"));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "post");
    for _ in 0..2 {
        assert!(readable(&queue), "there is something to do");
        assert_eq!(queue.dispatch().unwrap(), 1);
    }
    assert_eq!(queue.turn(None).unwrap(), 1, "an embedded loop does not wait either");
    assert_eq!(log.take(), "idle idle idle");
    drop(idle);
    assert!(!readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 0);
}

#[test]
fn a_budget_gets_to_all_of_them_in_time() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _idles = ["a", "b", "c"].map(|word| queue.idle(log.saying(word)));
    for _ in 0..6 {
        assert_eq!(queue.dispatch_for(Duration::ZERO).unwrap(), 1);
    }
    assert_eq!(log.take(), "a b c a b c");
}

#[test]
fn one_drops_itself_and_its_sibling() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let both: Rc<RefCell<Vec<Idle>>> = Rc::default();
    for word in ["a", "b"] {
        let (say, all) = (log.saying(word), Rc::clone(&both));
        let idle = queue.idle(move || {
            say();
            let gone = all.take();
            drop(gone);
        });
        both.borrow_mut().push(idle);
    }
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "a");
    assert!(!readable(&queue));
}

#[test]
fn a_host_loop_can_serve_them() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let wanted = Rc::new(Cell::new(None));
    let attachment = queue.attach("test");
    let told = Rc::clone(&wanted);
    attachment.serve_idle(move |want| told.set(Some(want)));
    assert_eq!(wanted.take(), None);
    let idle = queue.idle(log.saying("idle"));
    let second = queue.idle(log.saying("second"));
    assert_eq!(wanted.take(), Some(true));
    assert!(!readable(&queue), "dispatch has nothing to do");
    assert_eq!(queue.dispatch().unwrap(), 0);
    assert_eq!(queue.dispatch_idle().unwrap(), 2);
    assert_eq!(log.take(), "idle second");
    drop(second);
    assert_eq!(wanted.take(), None);
    drop(idle);
    assert_eq!(wanted.take(), Some(false));
    let _idle = queue.idle(log.saying("idle"));
    assert_eq!(wanted.take(), Some(true));
    drop(attachment);
    assert!(readable(&queue), "nobody else serves them");
    assert_eq!(queue.dispatch().unwrap(), 1);
}

#[test]
fn which_loop_is_attached_can_be_asked_and_waited_for() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    assert_eq!(queue.attached(), None);
    queue.on_attached(log.saying("first"));
    assert_eq!(queue.dispatch().unwrap(), 0);
    let one = queue.attach("one");
    assert_eq!(queue.attached(), Some("one"));
    assert_eq!(log.take(), "", "never inside the call");
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    let two = queue.attach("two");
    queue.on_attached(log.saying("second"));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "first second");
    assert_eq!(queue.attached(), Some("two"));
    drop(two);
    assert_eq!(queue.attached(), Some("one"));
    drop(one);
    assert_eq!(queue.attached(), None);
}
