//! K1, E1, E2, E8: the descriptor is readable exactly while dispatch has something to do.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tine::{Interest, Queue};
use tine_tests::{poll_readable, readable};

const LONG: Duration = Duration::from_secs(30);

fn log() -> (Rc<RefCell<Vec<&'static str>>>, impl Fn(&'static str) + Clone) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&log);
    (log, move |word| into.borrow_mut().push(word))
}

#[test]
fn nothing_to_do_is_not_readable() {
    let queue = Queue::new().unwrap();
    assert!(!readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 0);
    let _timer = queue.after(LONG, || ());
    assert!(!readable(&queue));
}

#[test]
fn a_byte_makes_it_readable_until_it_is_read() {
    let queue = Queue::new().unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let _io = queue.io(theirs, Interest::READABLE, |mut fd, readiness| {
        assert!(readiness.is_readable());
        assert_eq!(fd.read(&mut [0; 1]).unwrap(), 1);
    });
    assert!(!readable(&queue));
    ours.write_all(b"ab").unwrap();
    for _ in 0..2 {
        assert!(readable(&queue));
        assert_eq!(queue.dispatch().unwrap(), 1);
    }
    assert!(!readable(&queue));
}

#[test]
fn a_post_runs_once_and_later() {
    let queue = Queue::new().unwrap();
    let (log, say) = log();
    let again = queue.clone();
    queue.post(move || {
        say("first");
        again.post(move || say("second"));
    });
    assert!(log.borrow().is_empty());
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(*log.borrow(), ["first"]);
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(*log.borrow(), ["first", "second"]);
    assert!(!readable(&queue));
}

#[test]
fn a_post_of_another_thread_wakes_and_runs_here() {
    let queue = Queue::new().unwrap();
    assert!(!readable(&queue));
    let poster = queue.poster();
    let here = std::thread::current().id();
    let thread = std::thread::spawn(move || {
        poster.post(move || assert_eq!(std::thread::current().id(), here)).unwrap();
    });
    assert!(poll_readable(&queue, LONG));
    thread.join().unwrap();
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert!(!readable(&queue));
}

#[test]
fn a_timer_wakes_a_host_loop() {
    let queue = Queue::new().unwrap();
    let fired = Rc::new(Cell::new(0));
    let count = Rc::clone(&fired);
    let start = queue.time();
    let timer = queue.after(Duration::from_millis(5), move || count.set(count.get() + 1));
    assert!(poll_readable(&queue, LONG));
    assert!(queue.time() - start >= Duration::from_millis(5));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(fired.get(), 1);
    assert!(!readable(&queue));
    assert!(!timer.reset(Duration::ZERO));
    assert!(!readable(&queue));
}

#[test]
fn a_postponed_timer_causes_no_wake_up_at_its_old_deadline() {
    let queue = Queue::new().unwrap();
    let timer = queue.after(Duration::from_millis(5), || ());
    assert!(timer.reset(LONG));
    assert!(!poll_readable(&queue, Duration::from_millis(20)));
    assert!(timer.reset(Duration::ZERO));
    assert!(readable(&queue));
    drop(timer);
    assert!(!readable(&queue));
}

#[test]
fn a_budget_leaves_the_rest_due() {
    let queue = Queue::new().unwrap();
    let (log, say) = log();
    for word in ["a", "b", "c"] {
        let say = say.clone();
        queue.post(move || say(word));
    }
    for count in 1..=3 {
        assert!(readable(&queue));
        assert_eq!(queue.dispatch_for(Duration::ZERO).unwrap(), 1);
        assert_eq!(log.borrow().len(), count);
    }
    assert_eq!(*log.borrow(), ["a", "b", "c"]);
    assert!(!readable(&queue));
}

#[test]
fn the_embedded_loop_waits_for_what_comes_first() {
    let queue = Queue::new().unwrap();
    let (log, say) = log();
    let (late, soon) = (say.clone(), say);
    let _late = queue.after(LONG, move || late("late"));
    let _soon = queue.after(Duration::from_micros(300), move || soon("soon"));
    assert_eq!(queue.turn(Some(LONG)).unwrap(), 1);
    assert_eq!(*log.borrow(), ["soon"]);
    assert_eq!(queue.turn(Some(Duration::ZERO)).unwrap(), 0);
}
