//! E1, E12: io watchers, several on a descriptor, cancelled anywhere, and descriptors closed or used
//! again underneath.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use tine::{Interest, Io, Queue};
use tine_tests::underneath::lent;
use tine_tests::{Log, readable};

fn pair() -> (UnixStream, Rc<UnixStream>) {
    let (ours, watched) = UnixStream::pair().expect("a pair");
    watched.set_nonblocking(true).expect("a flag set");
    (ours, Rc::new(watched))
}

#[test]
fn watchers_of_one_descriptor_run_in_the_order_of_their_making() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (mut ours, watched) = pair();
    let watch = |word, interest| {
        let say = log.saying(word);
        queue.io(Rc::clone(&watched), interest, move |_, _| say()).unwrap()
    };
    let _readers = [watch("r1", Interest::READABLE), watch("r2", Interest::READABLE)];
    assert_eq!(queue.dispatch().unwrap(), 0);
    let writer = watch("w", Interest::WRITABLE);
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "w");
    ours.write_all(b"x").unwrap();
    let _both = watch("b", Interest::BOTH);
    assert_eq!(queue.dispatch().unwrap(), 4);
    assert_eq!(log.take(), "r1 r2 w b");
    drop(writer);
    assert_eq!(queue.dispatch().unwrap(), 3);
    assert_eq!(log.take(), "r1 r2 b");
}

#[test]
fn an_interest_can_be_changed_and_rest() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (mut ours, watched) = pair();
    let say = log.saying("x");
    let io = queue.io(watched, Interest::READABLE, move |_, _| say()).unwrap();
    ours.write_all(b"x").unwrap();
    assert!(readable(&queue));
    io.set_interest(Interest::NONE).unwrap();
    drop(ours);
    assert!(!readable(&queue), "a resting watcher hears not even of the hang-up");
    io.set_interest(Interest::READABLE).unwrap();
    assert_eq!(queue.dispatch().unwrap(), 1);
}

#[test]
fn the_end_of_a_stream_is_told_with_what_came_before_it() {
    let queue = Queue::new().unwrap();
    let (mut ours, watched) = pair();
    let seen = Rc::new(RefCell::new(None));
    let into = Rc::clone(&seen);
    let _io = queue.io(watched, Interest::READABLE, move |fd: &Rc<UnixStream>, readiness| {
        let mut text = String::new();
        (&**fd).read_to_string(&mut text).unwrap();
        *into.borrow_mut() = Some((text, readiness.is_readable(), readiness.is_hangup()));
    });
    ours.write_all(b"last words").unwrap();
    drop(ours);
    queue.dispatch().unwrap();
    assert_eq!(seen.take(), Some(("last words".to_owned(), true, true)));
}

#[test]
fn a_watcher_owns_its_descriptor() {
    let queue = Queue::new().unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let io = queue.io(theirs, Interest::READABLE, |_, _| ()).unwrap();
    ours.write_all(b"x").unwrap();
    drop(io);
    assert_eq!(ours.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert!(!readable(&queue));
}

/// Each watcher drops all of them: only the first runs.
#[test]
fn a_callback_drops_itself_and_its_siblings() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let all: Rc<RefCell<Vec<Io>>> = Rc::default();
    let mut peers = Vec::new();
    for n in 0..6 {
        let (mut ours, watched) = pair();
        ours.write_all(b"x").unwrap();
        peers.push(ours);
        // Two on each descriptor.
        for half in ["a", "b"] {
            let (say, all_of_them) = (log.saying(format!("{n}{half}")), Rc::clone(&all));
            let io = queue.io(Rc::clone(&watched), Interest::READABLE, move |_, _| {
                say();
                let gone = all_of_them.take();
                drop(gone);
            });
            all.borrow_mut().push(io.unwrap());
        }
    }
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "0a");
    assert!(!readable(&queue));
}

/// The number of a watcher dropped in this turn is used again in it: what was reported of the old
/// descriptor must not reach the new watcher.
#[test]
fn a_watcher_made_in_a_turn_waits_for_the_next() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (mut ours_a, watched_a) = pair();
    let (mut ours_b, watched_b) = pair();
    ours_a.write_all(b"x").unwrap();
    ours_b.write_all(b"x").unwrap();
    let second: Rc<RefCell<Option<Io>>> = Rc::default();
    let (again, slot, late) = (queue.clone(), Rc::clone(&second), log.clone());
    let fresh = Rc::clone(&watched_a);
    let _first = queue.io(watched_a, Interest::READABLE, move |_, _| {
        drop(slot.take());
        let say = late.saying("new");
        let io = again.io(Rc::clone(&fresh), Interest::READABLE, move |_, _| say());
        *slot.borrow_mut() = Some(io.unwrap());
    });
    let say = log.saying("old");
    *second.borrow_mut() =
        Some(queue.io(watched_b, Interest::READABLE, move |_, _| say()).unwrap());
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "");
}

#[test]
fn a_descriptor_closed_underneath_is_silent() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (mut ours, watched) = UnixStream::pair().unwrap();
    let (say, number) = (log.saying("called"), lent(&watched));
    let io = queue.io(number, Interest::READABLE, move |_, _| say()).unwrap();
    drop(watched);
    let _gone = ours.write(b"x");
    assert!(!readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 0);
    let error = io.set_interest(Interest::BOTH).unwrap_err();
    assert_eq!(error.kind(), tine::ErrorKind::Misuse, "{error}");
}

/// A copy of the closed descriptor keeps the file alive, and the kernel reporting it.
#[test]
fn a_file_that_outlives_its_watched_descriptor_does_not_spin() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (mut ours, watched) = UnixStream::pair().unwrap();
    let copy = watched.try_clone().unwrap();
    let (say, number) = (log.saying("called"), lent(&watched));
    let _io = queue.io(number, Interest::READABLE, move |_, _| say()).unwrap();
    let (mut others, other) = pair();
    let say = log.saying("other");
    let _other = queue.io(other, Interest::READABLE, move |_, _| say()).unwrap();
    let fd = queue.as_fd().as_raw_fd();
    drop(watched);
    ours.write_all(b"x").unwrap();
    let calls = (0..200).filter(|_| queue.dispatch().unwrap() > 0).count();
    assert!(calls <= 64, "called {calls} times for a descriptor that is closed");
    assert!(!readable(&queue), "it spins");
    log.take();
    // The queue works on, under the same descriptor.
    others.write_all(b"x").unwrap();
    assert_eq!(queue.as_fd().as_raw_fd(), fd);
    assert!(readable(&queue));
    queue.dispatch().unwrap();
    assert_eq!(log.take(), "other");
    drop(copy);
}

/// As above, but the number names another file by now, which is watched too.
#[test]
fn a_number_used_again_calls_the_new_watcher_only() {
    for copied in [false, true] {
        let (queue, log) = (Queue::new().unwrap(), Log::new());
        let (mut ours, watched) = UnixStream::pair().unwrap();
        let copy = copied.then(|| watched.try_clone().unwrap());
        let (say, number) = (log.saying("old"), lent(&watched));
        let _old = queue.io(number, Interest::READABLE, move |_, _| say()).unwrap();
        let (mut new_ours, new_watched) = UnixStream::pair().unwrap();
        let mut slot = OwnedFd::from(watched);
        rustix::io::dup2(&new_watched, &mut slot).unwrap();
        let say = log.saying("new");
        let _new = queue.io(slot, Interest::READABLE, move |_, _| say()).unwrap();
        let _gone = ours.write(b"x");
        for _ in 0..3 {
            queue.dispatch().unwrap();
        }
        assert_eq!(log.take(), "", "copied: {copied}");
        assert!(!readable(&queue), "it spins; copied: {copied}");
        new_ours.write_all(b"x").unwrap();
        queue.dispatch().unwrap();
        assert_eq!(log.take(), "new", "copied: {copied}");
        drop(copy);
    }
}

/// The watcher goes first, the registration stays: nothing is left to call, and nothing spins.
/// The kernel does not know of a watcher that rests.
#[test]
fn a_number_used_again_while_its_watcher_rests_is_not_taken_for_the_old_file() {
    for rests_from_the_start in [false, true] {
        let (queue, log) = (Queue::new().unwrap(), Log::new());
        let (mut ours, watched) = UnixStream::pair().unwrap();
        let (lent, heard) = (lent(&watched), log.saying("old"));
        let first = if rests_from_the_start { Interest::NONE } else { Interest::READABLE };
        let old = queue.io(lent, first, move |_, _| heard()).unwrap();
        old.set_interest(Interest::NONE).unwrap();
        old.set_interest(Interest::READABLE).unwrap();
        old.set_interest(Interest::NONE).unwrap();
        // The number is another file's now, which has something to tell.
        let (mut peer, other) = UnixStream::pair().unwrap();
        let mut slot = OwnedFd::from(watched);
        rustix::io::dup2(&other, &mut slot).unwrap();
        peer.write_all(b"x").unwrap();
        let _gone = ours.write_all(b"x");
        let heard = log.saying("new");
        let new = queue.io(slot, Interest::NONE, move |_, _| heard()).unwrap();
        assert_eq!(
            old.set_interest(Interest::READABLE).unwrap_err().kind(),
            tine::ErrorKind::Misuse
        );
        assert_eq!(queue.dispatch().unwrap(), 0);
        new.set_interest(Interest::READABLE).unwrap();
        assert_eq!(queue.dispatch().unwrap(), 1);
        assert_eq!(log.take(), "new");
    }
}

#[test]
fn a_registration_that_cannot_be_deleted_is_left_behind() {
    let queue = Queue::new().unwrap();
    let (mut ours, watched) = UnixStream::pair().unwrap();
    let copy = watched.try_clone().unwrap();
    let io = queue.io(lent(&watched), Interest::READABLE, |_, _| ()).unwrap();
    drop(watched);
    drop(io);
    ours.write_all(b"x").unwrap();
    queue.dispatch().unwrap();
    assert!(!readable(&queue));
    drop(copy);
}

/// As above, with all of it between two turns. The kernel is not asked about each watcher of a crowd.
#[test]
fn a_number_used_again_between_turns_calls_the_new_watchers_only() {
    for (host, old, new) in [(false, 3, 3), (true, 3, 3), (false, 1, 100), (true, 100, 100)] {
        let (queue, log) = (Queue::new().unwrap(), Log::new());
        assert!(!host || !readable(&queue));
        let (mut ours, watched) = UnixStream::pair().unwrap();
        let number = lent(&watched);
        let watch = |word| {
            let say = log.saying(word);
            queue.io(number, Interest::READABLE, move |_, _| say()).unwrap()
        };
        let _old: Vec<Io> = (0..old).map(|_| watch("old")).collect();
        let (mut new_ours, new_watched) = UnixStream::pair().unwrap();
        let mut slot = OwnedFd::from(watched);
        rustix::io::dup2(&new_watched, &mut slot).unwrap();
        let _gone = ours.write(b"x");
        let made: Vec<Io> = (0..new).map(|_| watch("new")).collect();
        new_ours.write_all(b"x").unwrap();
        assert!(!host || readable(&queue));
        assert_eq!(queue.dispatch().unwrap(), new);
        assert!(!log.take().contains("old"), "{host} {old} {new}");
        drop(made);
        assert_eq!(queue.dispatch().unwrap(), 0);
        drop(slot);
    }
}
