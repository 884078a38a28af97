//! E2, E3: timers and the clock that they go by.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::{Queue, Timer};
use tine_tests::{LONG, Log, poll_readable, readable, turn_until};

const MS: Duration = Duration::from_millis(1);

/// Passes the time without a turn, as a long callback does.
fn work(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn deadlines_come_in_order_and_equal_ones_as_they_were_made() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (again, said) = (queue.clone(), log.clone());
    let timers: Rc<RefCell<Vec<Timer>>> = Rc::default();
    let kept = Rc::clone(&timers);
    // Made in one callback, so that they have one `now`.
    queue.post(move || {
        let delays = [3, 1, 2, 1, 3, 2, 1];
        let made = delays.iter().enumerate();
        kept.borrow_mut()
            .extend(made.map(|(n, ms)| again.after(MS * *ms, said.saying(format!("{ms}.{n}")))));
    });
    queue.dispatch().unwrap();
    work(5 * MS);
    assert_eq!(queue.dispatch().unwrap(), 7);
    assert_eq!(log.take(), "1.1 1.3 1.6 2.2 2.5 3.0 3.4");
}

#[test]
fn a_delay_of_zero_ends_in_the_next_turn() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (again, said) = (queue.clone(), log.clone());
    queue
        .after(Duration::ZERO, move || {
            said.say("first");
            again.after(Duration::ZERO, said.saying("second")).detach();
        })
        .detach();
    assert_eq!(log.take(), "", "never at once");
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "first");
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "second");
}

#[test]
fn no_timer_is_early() {
    let queue = Queue::new().unwrap();
    for micros in [0, 1, 150, 999, 1000, 2345] {
        let delay = Duration::from_micros(micros);
        let (start, early) = (queue.time(), Rc::new(Cell::new(None)));
        let (clock, into) = (queue.clone(), Rc::clone(&early));
        let _timer = queue.after(delay, move || into.set(Some(clock.time() - start)));
        assert!(poll_readable(&queue, LONG));
        queue.dispatch().unwrap();
        assert!(early.get().is_some_and(|took| took >= delay), "{early:?} for {delay:?}");
    }
}

#[test]
fn a_late_interval_makes_good_at_most_once() {
    let (queue, count) = (Queue::new().unwrap(), Rc::new(Cell::new(0)));
    let counted = Rc::clone(&count);
    let _timer = queue.every(100 * MS, move || counted.set(counted.get() + 1));
    work(220 * MS);
    while queue.dispatch().unwrap() > 0 {}
    assert_eq!(count.get(), 1);
    // The next one is on the grid of the first: less than an interval away.
    let start = queue.time();
    turn_until(&queue, &Log::new(), || count.get() == 2);
    assert!(queue.time() - start >= MS, "it ran at once: it made good twice");
}

#[test]
fn an_interval_of_zero_runs_once_a_turn_and_lets_all_others_run() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _zero = queue.every(Duration::ZERO, log.saying("z"));
    for _ in 0..3 {
        queue.post(log.saying("p"));
        assert!(readable(&queue));
        assert_eq!(queue.dispatch().unwrap(), 2);
    }
    assert_eq!(log.take(), "z p z p z p");
}

#[test]
fn a_reset_counts_from_now_and_keeps_an_interval() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let timer = queue.every(LONG, log.saying("tick"));
    assert!(!readable(&queue));
    assert!(timer.reset(Duration::ZERO));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert!(!readable(&queue), "the next tick is {LONG:?} away");
    assert!(timer.reset(LONG));
    assert!(timer.reset(MS));
    assert!(poll_readable(&queue, LONG));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "tick tick");
}

/// E12: dropped and reset by another timer of the same turn.
#[test]
fn a_due_timer_can_be_dropped_and_put_off() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let others: Rc<RefCell<Vec<Timer>>> = Rc::default();
    let (taken, say) = (Rc::clone(&others), log.saying("first"));
    let _first = queue.after(Duration::ZERO, move || {
        say();
        let mut others = taken.borrow_mut();
        drop(others.remove(0));
        assert!(others[0].reset(LONG));
    });
    for word in ["dropped", "put off", "last"] {
        others.borrow_mut().push(queue.after(Duration::ZERO, log.saying(word)));
    }
    assert_eq!(queue.dispatch().unwrap(), 2);
    assert_eq!(log.take(), "first last");
    assert!(!readable(&queue));
}

/// An interval timer that drops itself, and one that resets itself.
#[test]
fn a_timer_can_end_and_reset_itself() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let slot: Rc<RefCell<Option<Timer>>> = Rc::default();
    let (own, say) = (Rc::clone(&slot), log.saying("once"));
    let timer = queue.every(Duration::ZERO, move || {
        say();
        drop(own.take());
    });
    *slot.borrow_mut() = Some(timer);
    while queue.dispatch().unwrap() > 0 {}
    assert_eq!(log.take(), "once");
    let (own, say) = (Rc::clone(&slot), log.saying("put off"));
    let timer = queue.every(Duration::ZERO, move || {
        say();
        assert!(own.borrow().as_ref().is_some_and(|timer| timer.reset(LONG)));
    });
    *slot.borrow_mut() = Some(timer);
    while queue.dispatch().unwrap() > 0 {}
    assert_eq!(log.take(), "put off");
    slot.take();
}

#[test]
fn many_timers_made_reset_and_dropped_leave_the_rest_in_order() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let (made, said) = (Rc::new(RefCell::new(Vec::new())), log.clone());
    let (again, into) = (queue.clone(), Rc::clone(&made));
    // In a callback, so that they have one `now`.
    queue.post(move || {
        let timer = |n: u32| again.after(LONG + MS * (n * 7919 % 1000), || ());
        let mut timers: Vec<Timer> = (0..1000).map(timer).collect();
        for n in (0..1000usize).rev().step_by(3) {
            let delay = Duration::from_micros(n as u64);
            assert!(timers[n].reset(delay));
            timers[n] = again.after(delay, said.saying(n));
        }
        into.borrow_mut().extend(timers.into_iter().step_by(3));
    });
    queue.dispatch().unwrap();
    work(2 * MS);
    queue.dispatch().unwrap();
    let expected: Vec<_> = (0..1000).filter(|n| n % 3 == 0).map(|n| n.to_string()).collect();
    assert_eq!(log.take(), expected.join(" "));
    made.take();
    assert!(!readable(&queue));
}

#[test]
fn now_stands_still_in_a_callback_until_it_is_updated() {
    let queue = Queue::new().unwrap();
    let clock = queue.clone();
    queue.post(move || {
        let (now, time) = (clock.now(), clock.time());
        work(2 * MS);
        assert_eq!(clock.now(), now);
        assert!(clock.time() >= time + 2 * MS);
        clock.update_now();
        assert!(clock.now() >= now + 2 * MS);
    });
    assert_eq!(queue.dispatch().unwrap(), 1);
    let now = queue.now();
    work(MS);
    assert!(queue.now() >= now + MS, "outside of callbacks it is the clock");
    assert!(queue.time() <= Instant::now());
}

#[test]
fn delays_beyond_all_time_are_kept() {
    let queue = Queue::new().unwrap();
    let timer = queue.after(Duration::MAX, || ());
    let _every = queue.every(Duration::MAX, || ());
    assert!(!readable(&queue));
    assert_eq!(queue.turn(Some(MS)).unwrap(), 0);
    assert!(timer.reset(Duration::MAX));
    assert!(!readable(&queue));
}
