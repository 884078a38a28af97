//! E15: wrong use is an error that says what is wrong. One test, for it forks and counts descriptors.
#![expect(clippy::unwrap_used, reason = "a test, which clippy cannot see without the harness")]

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tine::{ErrorKind, Interest, Queue, Result};
use tine_tests::underneath::{in_fork, lent};
use tine_tests::{LONG, Leaks, readable};

fn main() {
    let leaks = Leaks::begin();
    what_cannot_be_watched_is_named();
    dispatch_inside_a_callback_is_refused();
    a_loop_inside_a_callback_sleeps();
    the_wrong_side_of_a_fork_is_told();
    // A thread keeps its queue to the end; the test wants to see it closed.
    std::thread::spawn(a_forked_process_has_a_queue_of_its_own).join().unwrap();
    an_inherited_queue_is_dropped_without_harm();
    everything_is_closed_with_the_queue();
    leaks.end();
    out_of_descriptors();
}

fn message<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

fn what_cannot_be_watched_is_named() {
    let queue = Queue::new().unwrap();
    let watch = |fd| queue.io(fd, Interest::READABLE, |_, _| ());
    let file = File::open("/proc/self/exe").unwrap();
    let said = message(watch(lent(&file)), ErrorKind::Misuse);
    assert!(said.contains("file"), "{said}");
    let number = lent(&file);
    drop(file);
    let said = message(watch(number), ErrorKind::Misuse);
    assert!(said.contains("closed"), "{said}");
    let directory = File::open("/").unwrap();
    message(watch(lent(&directory)), ErrorKind::Misuse);
    // What standard input is in a service.
    let null = File::open("/dev/null").unwrap();
    let said = message(watch(lent(&null)), ErrorKind::Misuse);
    assert!(said.contains("/dev/null"), "{said}");
    assert!(!readable(&queue));
}

fn dispatch_inside_a_callback_is_refused() {
    let queue = Queue::new().unwrap();
    let inside = queue.clone();
    queue.post(move || {
        let said = message(inside.dispatch(), ErrorKind::Misuse);
        assert!(said.contains("callback"), "{said}");
        message(inside.dispatch_for(Duration::ZERO), ErrorKind::Misuse);
        message(inside.turn(None), ErrorKind::Misuse);
        message(inside.run_until(|| false), ErrorKind::Misuse);
    });
    assert_eq!(queue.dispatch().unwrap(), 1);
    // Another queue of the same thread is another matter.
    let other = Queue::new().unwrap();
    queue.post(move || assert_eq!(other.dispatch().unwrap(), 0));
    assert_eq!(queue.dispatch().unwrap(), 1);
}

/// However much there is to do, it is not for that loop: once refused, it is not woken again.
fn a_loop_inside_a_callback_sleeps() {
    let queue = Queue::new().unwrap();
    let _idle = queue.idle(|| ());
    let _every = queue.every(Duration::ZERO, || ());
    let _io = queue.io(UnixStream::pair().unwrap().0, Interest::WRITABLE, |_, _| ()).unwrap();
    assert!(readable(&queue));
    for _ in 0..2 {
        let inside = queue.clone();
        queue.post(move || {
            inside.post(|| ());
            message(inside.dispatch(), ErrorKind::Misuse);
            assert!(!readable(&inside));
            drop(inside.after(Duration::ZERO, || ()));
            inside.poster().post(|| ()).unwrap();
            assert!(!readable(&inside));
        });
        assert_eq!(queue.dispatch().unwrap(), 3);
        assert!(readable(&queue));
        assert_eq!(queue.dispatch().unwrap(), 4);
    }
}

fn the_wrong_side_of_a_fork_is_told() {
    let queue = Queue::new().unwrap();
    let poster = queue.poster();
    let io = queue.io(UnixStream::pair().unwrap().0, Interest::WRITABLE, |_, _| ()).unwrap();
    let code = in_fork(|| {
        let said = message(queue.dispatch(), ErrorKind::WrongProcess);
        let (child, parent) = (std::process::id(), std::os::unix::process::parent_id());
        assert!(said.contains(&child.to_string()) && said.contains(&parent.to_string()), "{said}");
        message(queue.turn(None), ErrorKind::WrongProcess);
        message(queue.signal(libc::SIGUSR1, || ()), ErrorKind::WrongProcess);
        message(queue.child(parent, |_| ()), ErrorKind::WrongProcess);
        message(io.set_interest(Interest::NONE), ErrorKind::WrongProcess);
        let (ours, _theirs) = UnixStream::pair().unwrap();
        message(queue.io(ours, Interest::READABLE, |_, _| ()), ErrorKind::WrongProcess);
        assert!(poster.post(|| ()).is_err());
        // What has no error to give has no effect either.
        queue.post(|| ());
        drop(queue.after(Duration::ZERO, || ()));
        0
    });
    assert_eq!(code, 0);
    assert!(readable(&queue), "the watcher is still there");
    assert_eq!(queue.dispatch().unwrap(), 1);
    drop(io);
    assert!(!readable(&queue), "nothing of the child's came here");
}

fn a_forked_process_has_a_queue_of_its_own() {
    let ours = tine::queue();
    let code = in_fork(|| {
        let done = tine::queue().completion();
        let sender = done.sender();
        tine::queue().after(Duration::from_millis(1), move || sender(Ok(5))).detach();
        done.recv().unwrap()
    });
    assert_eq!(code, 5);
    assert_eq!(ours.dispatch().unwrap(), 0);
}

/// A child that drops what it inherited closes and unregisters nothing of its parent's.
fn an_inherited_queue_is_dropped_without_harm() {
    let queue = Rc::new(Queue::new().unwrap());
    let (ours, watched) = UnixStream::pair().unwrap();
    let watched = Rc::new(watched);
    let io = queue.io(Rc::clone(&watched), Interest::READABLE, |_, _| ()).unwrap();
    let mut inherited = Some((Rc::try_unwrap(queue).unwrap(), io));
    let code = in_fork(|| {
        drop(inherited.take());
        0
    });
    assert_eq!(code, 0);
    let (queue, io) = inherited.take().unwrap();
    drop(ours);
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    drop(io);
}

fn everything_is_closed_with_the_queue() {
    let queue = Queue::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    queue.io(ours, Interest::READABLE, |_, _| ()).unwrap().detach();
    queue.after(LONG, move || drop(theirs)).detach();
    queue.signal(libc::SIGUSR2, || ()).unwrap().detach();
    queue.idle(|| ()).detach();
    queue.child(1, |_| ()).unwrap().detach();
    queue.on_attached(|| ());
    let poster = queue.poster();
    poster.post(|| ()).unwrap();
    queue.post(|| ());
}

fn out_of_descriptors() {
    let (soft, hard) = (Some(3), Some(3));
    let limit = rustix::process::Rlimit { current: soft, maximum: hard };
    let code = in_fork(|| {
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let error = Queue::new().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System);
        assert!(error.io().is_some(), "{error}");
        0
    });
    assert_eq!(code, 0);
}
