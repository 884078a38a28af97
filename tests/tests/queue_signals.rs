//! E4, E19: signals as events. One test, for signal actions belong to the whole process.
#![expect(clippy::unwrap_used, reason = "a test, which clippy cannot see without the harness")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tine::{ErrorKind, Queue, Signal};
use tine_tests::underneath::{
    action, in_fork, is_blocked, set_full_handler, set_handler, whole_action,
};
use tine_tests::{LONG, Leaks, Log, poll_readable, readable};

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn own_handler(_: i32) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

fn kill(signal: i32) {
    let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
}

fn main() {
    let leaks = Leaks::begin();
    // The first thread makes the C library set up signals of its own.
    std::thread::spawn(|| ()).join().unwrap();
    let masks = tine_tests::signal_masks();
    several_watchers_of_one_signal_run_in_turns();
    every_signal_of_every_thread_arrives();
    the_former_action_is_called_and_comes_back();
    a_former_handler_keeps_its_mask_and_flags();
    a_signal_that_nobody_watches_any_more_is_nothing_to_do();
    a_default_action_is_off_while_watched_only();
    two_queues_hear_of_one_signal();
    a_watcher_can_be_dropped_by_another();
    what_cannot_be_watched_is_refused();
    a_forked_process_hears_its_own_signals();
    assert_eq!(masks, tine_tests::signal_masks());
    leaks.end();
}

fn several_watchers_of_one_signal_run_in_turns() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _a = queue.signal(libc::SIGUSR1, log.saying("a")).unwrap();
    let _b = queue.signal(libc::SIGUSR1, log.saying("b")).unwrap();
    let _c = queue.signal(libc::SIGUSR2, log.saying("c")).unwrap();
    kill(libc::SIGUSR1);
    kill(libc::SIGUSR1);
    assert_eq!(log.take(), "", "never inside the handler");
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 2, "coalesced");
    assert_eq!(log.take(), "a b");
    assert!(!readable(&queue));
    kill(libc::SIGUSR2);
    kill(libc::SIGUSR1);
    assert_eq!(queue.turn(Some(LONG)).unwrap(), 3);
    assert_eq!(log.take(), "a b c");
}

fn every_signal_of_every_thread_arrives() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _io = queue.signal(libc::SIGUSR1, log.saying("x")).unwrap();
    for _ in 0..200 {
        std::thread::spawn(|| {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
                .unwrap()
        });
        assert!(poll_readable(&queue, LONG), "a signal was lost");
        assert_eq!(queue.dispatch().unwrap(), 1);
    }
}

fn the_former_action_is_called_and_comes_back() {
    let queue = Queue::new().unwrap();
    set_handler(libc::SIGUSR1, own_handler);
    let before = action(libc::SIGUSR1);
    for round in 1..=2 {
        let log = Log::new();
        let watcher = queue.signal(libc::SIGUSR1, log.saying("x")).unwrap();
        let second = queue.signal(libc::SIGUSR1, log.saying("y")).unwrap();
        drop(second);
        assert_ne!(action(libc::SIGUSR1), before);
        kill(libc::SIGUSR1);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 2 * round - 1);
        queue.dispatch().unwrap();
        assert_eq!(log.take(), "x");
        drop(watcher);
        assert_eq!(action(libc::SIGUSR1), before);
        kill(libc::SIGUSR1);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 2 * round);
        assert!(!readable(&queue));
    }
}

/// SIGUSR2 was blocked while it ran.
static MASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn masking_handler(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    MASKED.store(is_blocked(libc::SIGUSR2), Ordering::SeqCst);
    assert!(signal == libc::SIGUSR1 && !info.is_null());
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

fn a_former_handler_keeps_its_mask_and_flags() {
    for flags in [0, libc::SA_RESTART, libc::SA_NODEFER | libc::SA_ONSTACK] {
        set_full_handler(libc::SIGUSR1, masking_handler, flags, libc::SIGUSR2);
        let before = whole_action(libc::SIGUSR1);
        let queue = Queue::new().unwrap();
        let watcher = queue.signal(libc::SIGUSR1, || ()).unwrap();
        let watched = whole_action(libc::SIGUSR1);
        let kept = libc::SA_RESTART | libc::SA_NODEFER;
        assert_eq!(watched.flags & kept, before.flags & kept);
        HANDLED.store(0, Ordering::SeqCst);
        MASKED.store(false, Ordering::SeqCst);
        kill(libc::SIGUSR1);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
        assert!(MASKED.load(Ordering::SeqCst), "its mask is its own");
        assert_eq!(queue.dispatch().unwrap(), 1);
        drop(watcher);
        assert_eq!(whole_action(libc::SIGUSR1), before);
    }
}

fn a_signal_that_nobody_watches_any_more_is_nothing_to_do() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    assert!(!readable(&queue));
    let (usr1, usr2) = (libc::SIGUSR1, libc::SIGUSR2);
    let first = queue.signal(usr1, log.saying("first")).unwrap();
    let second = queue.signal(usr2, log.saying("second")).unwrap();
    kill(usr1);
    drop(first);
    assert!(!readable(&queue));
    let first = queue.signal(usr1, log.saying("first")).unwrap();
    kill(usr1);
    kill(usr2);
    drop(first);
    assert!(readable(&queue), "the other signal came too");
    assert_eq!(queue.dispatch().unwrap(), 1);
    kill(usr2);
    queue.poster().post(|| ()).unwrap();
    drop(second);
    assert!(readable(&queue), "there is a post");
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert!(!readable(&queue));
    assert_eq!(log.take(), "second");
}

fn a_default_action_is_off_while_watched_only() {
    let before = action(libc::SIGTERM);
    let code = in_fork(|| {
        let queue = Queue::new().unwrap();
        let watcher = queue.signal(libc::SIGTERM, || ()).unwrap();
        kill(libc::SIGTERM);
        let ran = queue.dispatch().unwrap();
        drop(watcher);
        if ran == 1 {
            kill(libc::SIGTERM)
        }
        1
    });
    assert_eq!(code, -libc::SIGTERM, "the second one ends it");
    let queue = Queue::new().unwrap();
    let watcher = queue.signal(libc::SIGTERM, || ()).unwrap();
    // The queue goes first; the watcher has nothing left to end.
    drop(queue);
    assert_eq!(action(libc::SIGTERM), before);
    drop(watcher);
    assert_eq!(action(libc::SIGTERM), before);
}

fn two_queues_hear_of_one_signal() {
    let queues = [Queue::new().unwrap(), Queue::new().unwrap()];
    let log = Log::new();
    let _watchers = queues.each_ref().map(|queue| queue.signal(libc::SIGUSR2, log.saying("x")));
    kill(libc::SIGUSR2);
    for queue in &queues {
        assert_eq!(queue.dispatch().unwrap(), 1);
    }
    assert_eq!(log.take(), "x x");
}

fn a_watcher_can_be_dropped_by_another() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let both: Rc<RefCell<Vec<Signal>>> = Rc::default();
    for word in ["a", "b"] {
        let (say, all) = (log.saying(word), Rc::clone(&both));
        let watcher = queue.signal(libc::SIGUSR2, move || {
            say();
            let gone = all.take();
            drop(gone);
        });
        both.borrow_mut().push(watcher.unwrap());
    }
    kill(libc::SIGUSR2);
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "a");
}

fn what_cannot_be_watched_is_refused() {
    let queue = Queue::new().unwrap();
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 0, -1, 65, 1000] {
        let error = queue.signal(signal, || ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(&signal.to_string()), "{error}");
        assert!(error.to_string().contains("cannot be caught"), "{error}");
    }
}

fn a_forked_process_hears_its_own_signals() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _watcher = queue.signal(libc::SIGUSR1, log.saying("parent")).unwrap();
    let code = in_fork(|| {
        // Inherited handlers must not tell the parent's queue.
        kill(libc::SIGUSR1);
        let (queue, log) = (Queue::new().unwrap(), Log::new());
        let _watcher = queue.signal(libc::SIGUSR1, log.saying("child")).unwrap();
        kill(libc::SIGUSR1);
        let ran = queue.dispatch().unwrap();
        i32::from(ran != 1 || log.take() != "child")
    });
    assert_eq!(code, 0);
    assert!(!readable(&queue));
    kill(libc::SIGUSR1);
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "parent");
}
