//! E8, E12, E13, B5: what a turn runs, what it leaves, and what a panic does to it.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::{Interest, Queue};
use tine_tests::{Log, native, readable};

/// A descriptor that is always readable, and a watcher of it.
fn always(queue: &Queue, callback: impl FnMut() + 'static) -> (UnixStream, tine::Io) {
    let (mut ours, watched) = UnixStream::pair().expect("a pair");
    ours.write_all(b"x").expect("room for a byte");
    let mut callback = callback;
    let io = queue.io(watched, Interest::READABLE, move |_, _| callback());
    (ours, io.expect("a watcher"))
}

fn post_for_ever(queue: &Queue, count: Rc<Cell<usize>>) {
    let again = queue.clone();
    queue.post(move || {
        count.set(count.get() + 1);
        post_for_ever(&again, count);
    });
}

#[test]
fn timers_run_before_posts_and_those_before_descriptors() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _io = always(&queue, log.saying("io"));
    queue.post(log.saying("post"));
    let _timer = queue.after(Duration::ZERO, log.saying("timer"));
    assert_eq!(queue.dispatch().unwrap(), 3);
    assert_eq!(log.take(), "timer post io");
}

/// Whatever the budget, an endless chain of posts, a timer of zero and a ready descriptor each get
/// their share.
#[test]
fn nothing_starves() {
    for budget in [None, Some(Duration::ZERO)] {
        let queue = Queue::new().unwrap();
        let counts: [Rc<Cell<usize>>; 3] = Default::default();
        let [posts, timers, io] = counts.clone();
        post_for_ever(&queue, posts);
        let _timer = queue.every(Duration::ZERO, move || timers.set(timers.get() + 1));
        let _io = always(&queue, move || io.set(io.get() + 1));
        for _ in 0..60 {
            assert!(readable(&queue));
            match budget {
                None => queue.dispatch().unwrap(),
                Some(budget) => queue.dispatch_for(budget).unwrap(),
            };
        }
        let share = if budget.is_some() { 20 } else { 60 };
        assert_eq!(counts.map(|count| count.get()), [share; 3], "budget {budget:?}");
    }
}

#[test]
fn a_budget_lets_at_least_one_callback_run_and_no_more_after_its_end() {
    let (queue, ran) = (Queue::new().unwrap(), Rc::new(Cell::new(0)));
    for _ in 0..10 {
        let (clock, ran) = (queue.clone(), Rc::clone(&ran));
        queue.post(move || {
            let end = clock.time() + Duration::from_millis(2);
            while clock.time() < end {}
            ran.set(ran.get() + 1);
        });
    }
    let count = queue.dispatch_for(Duration::from_millis(3)).unwrap();
    assert!((1..=2).contains(&count), "{count}");
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 10 - count);
    assert!(!readable(&queue));
}

/// B5: however many callbacks were posted, by this thread and another, what a turn begins with does not take longer.
#[test]
fn a_flood_of_posts_is_within_the_budget() {
    const POSTS: usize = 500_000;
    let queue = Queue::new().unwrap();
    let poster = queue.poster();
    let flood = move || (0..POSTS).for_each(|_| poster.post(|| ()).expect("a queue"));
    std::thread::spawn(flood).join().expect("no panic");
    (0..POSTS).for_each(|_| queue.post(|| ()));
    assert_first_is_quick(&queue, 2 * POSTS);
}

/// B5: as many timers are due in one instant.
#[test]
fn a_flood_of_timers_is_within_the_budget() {
    const TIMERS: usize = 500_000;
    let queue = Queue::new().unwrap();
    let _timers: Vec<_> = (0..TIMERS).map(|_| queue.after(Duration::ZERO, || ())).collect();
    assert_first_is_quick(&queue, TIMERS);
}

/// Runs all that is due, and looks how long the first of it takes.
fn assert_first_is_quick(queue: &Queue, all: usize) {
    let timed = |count: usize, run: &dyn Fn() -> tine::Result<usize>| {
        let begun = Instant::now();
        assert_eq!(run().expect("a turn"), count);
        begun.elapsed()
    };
    let first = timed(1, &|| queue.dispatch_for(Duration::ZERO));
    let rest = timed(all - 1, &|| queue.dispatch());
    assert!(first * 10 < rest, "{first:?} for the first of many, {rest:?} for the others");
    assert!(!readable(queue));
}

/// What a budget left due can still be cancelled.
#[test]
fn what_is_left_due_can_be_dropped() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    queue.post(log.saying("post"));
    let (_peer, io) = always(&queue, log.saying("io"));
    assert_eq!(queue.dispatch_for(Duration::ZERO).unwrap(), 1);
    drop(io);
    assert_eq!(queue.dispatch().unwrap(), 0);
    assert_eq!(log.take(), "post");
    assert!(!readable(&queue));
}

/// Then there is nothing to do, and the descriptor says so.
#[test]
fn what_was_left_due_and_cancelled_is_nothing_to_do() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    assert!(!readable(&queue));
    let timer = queue.after(Duration::ZERO, log.saying("timer"));
    let reset = queue.after(Duration::ZERO, log.saying("reset"));
    let signal = queue.signal(libc::SIGURG, log.saying("signal")).unwrap();
    native::raise(libc::SIGURG);
    let (_peer, io) = always(&queue, log.saying("io"));
    let (_other_peer, resting) = always(&queue, log.saying("resting"));
    let _first = queue.after(Duration::ZERO, || ());
    drop(timer);
    let timer = queue.after(Duration::ZERO, log.saying("timer"));
    assert_eq!(queue.dispatch_for(Duration::ZERO).unwrap(), 1);
    assert_eq!(log.take(), "reset");
    assert!(!reset.reset(Duration::from_secs(60)), "it has run");
    assert!(readable(&queue));
    drop(timer);
    assert_eq!(queue.dispatch_for(Duration::ZERO).unwrap(), 1);
    assert!(readable(&queue));
    drop(signal);
    drop(io);
    assert!(readable(&queue), "one is left");
    resting.set_interest(Interest::NONE).unwrap();
    assert!(!readable(&queue));
    let turn = queue.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!((turn, log.take()), (0, String::new()));
}

#[test]
fn after_a_panic_the_others_run_and_the_queue_goes_on() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let _timer = queue.after(Duration::ZERO, || panic!("the first"));
    queue.post(|| panic!("the second"));
    queue.post(log.saying("post"));
    let says = log.saying("io");
    let (_peer, io) = always(&queue, move || {
        says();
        panic!("the third")
    });
    let caught = catch_unwind(AssertUnwindSafe(|| queue.dispatch())).unwrap_err();
    assert_eq!(caught.downcast_ref(), Some(&"the first"));
    assert_eq!(log.take(), "post io");
    let caught = catch_unwind(AssertUnwindSafe(|| queue.dispatch())).unwrap_err();
    assert_eq!(caught.downcast_ref(), Some(&"the third"), "it is still watched");
    drop(io);
    assert_eq!(queue.dispatch().unwrap(), 0);
    assert!(!readable(&queue));
}

#[test]
fn a_panic_under_a_budget_leaves_the_rest_due() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    queue.post(|| panic!("first"));
    queue.post(log.saying("second"));
    let run = || queue.dispatch_for(Duration::ZERO);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert!(readable(&queue));
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(log.take(), "second");
}

/// Says so when it is dropped.
struct Drops(Log);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

#[test]
fn the_last_handle_can_be_dropped_in_a_callback() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let poster = queue.poster();
    let handle = Rc::new(RefCell::new(Some(queue)));
    let (own, drops) = (Rc::clone(&handle), Drops(log.clone()));
    let timer = handle.borrow().as_ref().map(|queue| {
        queue.every(Duration::ZERO, move || {
            let _held = &drops;
            *own.borrow_mut() = None;
        })
    });
    // A host loop that looks its queue up holds it for the dispatch only, if at all.
    let dispatch = || {
        let queue = handle.borrow().clone();
        queue.map(|queue| queue.dispatch().unwrap())
    };
    assert_eq!(dispatch(), Some(1));
    assert_eq!(dispatch(), None);
    assert_eq!(log.take(), "dropped");
    assert!(poster.post(|| ()).is_err());
    assert!(timer.is_some_and(|timer| !timer.reset(Duration::ZERO)));
}

/// Destructors of callbacks run with no borrow held: they use the queue like anyone.
#[test]
fn a_destructor_can_use_the_queue() {
    struct Again(Queue, Log);
    impl Drop for Again {
        fn drop(&mut self) {
            self.0.post(self.1.saying("from a destructor"));
            drop(self.0.after(Duration::ZERO, || ()));
            drop(self.0.idle(|| ()));
            let (_ours, watched) = UnixStream::pair().unwrap();
            drop(self.0.io(watched, Interest::READABLE, |_, _| ()));
        }
    }
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let held = || Again(queue.clone(), log.clone());
    let (timer_holds, idle_holds, io_holds) = (held(), held(), held());
    let timer = queue.every(Duration::ZERO, move || {
        let _held = &timer_holds;
    });
    let idle = queue.idle(move || {
        let _held = &idle_holds;
    });
    let (_peer, io) = always(&queue, move || {
        let _held = &io_holds;
    });
    let once_holds = held();
    queue.post(move || drop(once_holds));
    drop((timer, idle, io));
    while queue.dispatch().unwrap() > 0 {}
    assert_eq!(log.take(), ["from a destructor"; 4].join(" "));
}

#[test]
fn a_callback_refused_comes_back() {
    let queue = Queue::new().unwrap();
    let poster = queue.poster();
    drop(queue);
    let refused = std::thread::spawn(move || poster.post(|| ()).map_err(|closed| closed.0));
    let callback = refused.join().unwrap().unwrap_err();
    callback();
}

#[test]
fn posts_of_many_threads_all_run_in_each_ones_order() {
    let queue = Queue::new().unwrap();
    let (seen, poster) = (std::sync::Arc::new(std::sync::Mutex::new(vec![0; 4])), queue.poster());
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (seen, poster) = (seen.clone(), poster.clone());
            std::thread::spawn(move || {
                for n in 0..1000 {
                    let seen = seen.clone();
                    poster
                        .post(move || {
                            let mut seen = seen.lock().unwrap();
                            assert_eq!(seen[thread], n);
                            seen[thread] += 1;
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    let done = || *seen.lock().unwrap() == [1000; 4];
    tine_tests::turn_until(&queue, &Log::new(), done);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!readable(&queue));
}
