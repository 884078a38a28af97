//! E1, E15: descriptors.

use super::trial::Log;
use super::{Trial, behaviours};
use crate::underneath::lent;
use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tine::{Interest, Readiness};

behaviours!("E1":
    what_is_left_unread_is_told_again,
    several_watchers_share_a_descriptor,
    both_directions_of_a_descriptor_are_told,
    a_watcher_without_interest_rests,
    the_end_of_the_peer_is_told,
    a_descriptor_closed_under_its_watcher_is_forgotten,
    a_number_used_again_is_another_descriptor,
);

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("a socket");
    theirs.set_nonblocking(true).expect("a socket");
    (ours, theirs)
}

fn what_is_left_unread_is_told_again(trial: &mut Trial<'_>) {
    let (queue, read) = (trial.queue(), Rc::new(RefCell::new(Vec::new())));
    let (mut ours, theirs) = pair();
    let into = Rc::clone(&read);
    let _io = queue
        .io(theirs, Interest::READABLE, move |mut socket: &UnixStream, readiness| {
            assert!(readiness.is_readable());
            let mut octet = [0];
            if socket.read(&mut octet).is_ok() {
                into.borrow_mut().push(octet[0]);
            }
        })
        .expect("a watcher");
    ours.write_all(b"level").expect("room");
    trial.until("five octets, one at a time", || read.borrow().len() == 5);
    assert_eq!(*read.borrow(), b"level");
}

fn several_watchers_share_a_descriptor(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (mut ours, theirs) = pair();
    let theirs = Rc::new(theirs);
    let watch = |word, interest| {
        let say = log.say(word);
        let heard = move |mut socket: &UnixStream, _| {
            say();
            let _taken_by_another = socket.read(&mut [0]);
        };
        let socket = Rc::clone(&theirs);
        queue.io(socket, interest, move |socket, readiness| heard(socket, readiness))
    };
    let first = watch("first", Interest::READABLE).expect("a watcher");
    let _second = watch("second", Interest::READABLE).expect("a watcher");
    let _third = watch("third", Interest::READABLE).expect("a watcher");
    ours.write_all(b"1").expect("room");
    trial.until("three callbacks of one event", || log.len() == 3);
    assert_eq!(log.said(), ["first", "second", "third"]);
    drop(first);
    ours.write_all(b"1").expect("room");
    trial.until("two more", || log.len() == 5);
    assert_eq!(log.said()[3..], ["second", "third"]);
}

fn both_directions_of_a_descriptor_are_told(trial: &mut Trial<'_>) {
    let (queue, seen) = (trial.queue(), Rc::new(RefCell::new(Vec::<Readiness>::new())));
    let (mut ours, theirs) = pair();
    let into = Rc::clone(&seen);
    let told = move |_: &UnixStream, readiness| into.borrow_mut().push(readiness);
    let io = queue.io(theirs, Interest::WRITABLE, told).expect("a watcher");
    let last = || seen.borrow().last().copied();
    trial.until("room to write", || last().is_some_and(Readiness::is_writable));
    io.set_interest(Interest::BOTH).expect("an open socket");
    ours.write_all(b"1").expect("room");
    let both = |seen: Readiness| seen.is_readable() && seen.is_writable();
    trial.until("both directions", || last().is_some_and(both));
}

fn a_watcher_without_interest_rests(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (mut ours, theirs) = pair();
    let say = log.say("readable");
    let io = queue.io(theirs, Interest::NONE, move |_, _| say()).expect("a watcher");
    ours.write_all(b"1").expect("room");
    let turns = trial.turns_in(Duration::from_millis(20));
    assert_eq!(log.len(), 0);
    assert!(turns < 5, "the loop turned {turns} times for a watcher that rests");
    io.set_interest(Interest::READABLE).expect("an open socket");
    trial.until("what was there all the time", || log.len() > 0);
}

fn the_end_of_the_peer_is_told(trial: &mut Trial<'_>) {
    let (queue, seen) = (trial.queue(), Rc::new(Cell::new(None)));
    let (ours, theirs) = pair();
    let tell = Rc::clone(&seen);
    let told = move |_: &UnixStream, readiness| tell.set(Some(readiness));
    let _io = queue.io(theirs, Interest::READABLE, told).expect("a watcher");
    drop(ours);
    trial.until("the end of the stream", || seen.get().is_some_and(Readiness::is_hangup));
    assert!(seen.get().is_some_and(Readiness::is_readable), "the end of file is there to be read");
}

fn a_descriptor_closed_under_its_watcher_is_forgotten(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (mut ours, theirs) = pair();
    // The file lives on, as it does in a child that inherited it, and has something to tell.
    let _copy = theirs.try_clone().expect("a descriptor");
    let (say, lent) = (log.say("told"), lent(&theirs));
    let _io = queue.io(lent, Interest::READABLE, move |_, _| say()).expect("a watcher");
    drop(theirs);
    ours.write_all(b"1").expect("room");
    // The queue may be told of it many times before it finds out, and then never more.
    loop {
        let calls = log.len();
        let turns = trial.turns_in(Duration::from_millis(40));
        if turns <= 4 && log.len() == calls {
            break;
        }
        assert!(log.len() < 500, "the loop spins on a descriptor that is closed");
    }
}

fn a_number_used_again_is_another_descriptor(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (mut closed_peer, closed) = pair();
    let _copy = closed.try_clone().expect("a descriptor");
    let (say, number) = (log.say("the closed one"), lent(&closed));
    let _stale = queue.io(number, Interest::READABLE, move |_, _| say()).expect("a watcher");
    let (mut peer, open) = pair();
    let mut slot = OwnedFd::from(closed);
    rustix::io::dup2(&open, &mut slot).expect("the number");
    let (say, open) = (log.say("the open one"), UnixStream::from(slot));
    let heard = move |mut socket: &UnixStream, _| {
        say();
        let _none_left = socket.read(&mut [0]);
    };
    let _io = queue.io(open, Interest::READABLE, heard).expect("a watcher");
    closed_peer.write_all(b"1").expect("room");
    peer.write_all(b"1").expect("room");
    trial.until("the descriptor that is open", || log.len() > 0);
    trial.turns_in(Duration::from_millis(20));
    assert_eq!(log.said(), ["the open one"]);
}
