//! E6, E11: idle watchers wait for an idle context, and starve nothing; a main loop inside a callback
//! sleeps although the queue has something to do.

use glib::thread_guard::ThreadGuard;
use glib::{ControlFlow, MainContext, Priority, Source};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::{Interest, Queue};
use tine_glib::Attachment;

const DEADLINE: Duration = Duration::from_secs(20);

/// A context of the test's own: the tests' threads share the default one.
fn with_context(test: impl FnOnce(&MainContext)) {
    let context = MainContext::new();
    context.with_thread_default(|| test(&context)).expect("the context is new");
}

/// Runs the main loop until `done`, which what is tested has to bring about.
#[track_caller]
fn iterate_until(context: &MainContext, done: impl Fn() -> bool) {
    let timeout = source_at(Priority::HIGH, Some(DEADLINE), || ());
    timeout.attach(Some(context));
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < DEADLINE, "nothing came of it");
        context.iteration(true);
    }
    timeout.destroy();
}

/// A source of GLib's that comes again and again: after `interval`, or whenever there is nothing else to do.
fn source_at(
    priority: Priority,
    interval: Option<Duration>,
    callback: impl Fn() + 'static,
) -> Source {
    let callback = ThreadGuard::new(callback);
    let call = move || {
        (callback.get_ref())();
        ControlFlow::Continue
    };
    match interval {
        Some(interval) => glib::timeout_source_new(interval, None, priority, call),
        None => glib::idle_source_new(None, priority, call),
    }
}

/// A closure that counts its calls, and the count.
fn counter() -> (Rc<Cell<u32>>, impl Fn() + Clone + 'static) {
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    (count, move || counted.set(counted.get() + 1))
}

#[test]
fn an_idle_watcher_takes_turns_with_idle_sources_and_lets_all_others_go_first() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let _attached = Attachment::builder(&queue).attach();
        let ((idles, idle), (peers, peer), (draws, draw)) = (counter(), counter(), counter());
        let watcher = queue.idle(idle);
        let peer = source_at(Priority::DEFAULT_IDLE, None, peer);
        peer.attach(Some(context));
        let seen = Rc::clone(&draws);
        iterate_until(context, || idles.get() >= 10 && peers.get() >= 10);
        assert!(idles.get().abs_diff(peers.get()) <= 2, "{} and {}", idles.get(), peers.get());

        let before = idles.get();
        let drawing = source_at(tine_glib::PRIORITY.into(), None, draw);
        drawing.attach(Some(context));
        iterate_until(context, || seen.get() >= 10);
        assert!(idles.get() <= before + 1, "idle watchers ran while there was drawing to do");
        drawing.destroy();
        iterate_until(context, || idles.get() > before + 1);
        peer.destroy();
        drop(watcher);
        while context.iteration(false) {}
        assert!(!context.pending(), "the context is awake without an idle watcher");
    });
}

#[test]
fn idle_watchers_have_the_priority_that_was_asked_for() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let low = Attachment::builder(&queue).idle_priority(Priority::LOW).attach();
        let ((idles, idle), (peers, peer)) = (counter(), counter());
        let _watcher = queue.idle(idle);
        let peer = source_at(Priority::DEFAULT_IDLE, None, peer);
        peer.attach(Some(context));
        iterate_until(context, || peers.get() >= 10);
        assert_eq!(idles.get(), 0);
        drop(low);
        let _high = Attachment::builder(&queue).idle_priority(Priority::HIGH_IDLE).attach();
        iterate_until(context, || idles.get() >= 10);
        assert!(peers.get() <= 11, "{} turns of a source of lower priority", peers.get());
    });
}

#[test]
fn idle_watchers_may_end_themselves_the_attachment_and_the_queue() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let attached = Rc::new(RefCell::new(Some(Attachment::builder(&queue).attach())));
        let own = Rc::new(RefCell::new(None));
        let (calls, call) = counter();
        let (all, slot) = ((Rc::clone(&attached), queue.clone()), Rc::clone(&own));
        let all = RefCell::new(Some(all));
        *own.borrow_mut() = Some(queue.idle(move || {
            call();
            drop(slot.take());
            if let Some((attached, queue)) = all.take() {
                drop(attached.take());
                drop(queue);
            }
        }));
        drop(queue);
        iterate_until(context, || attached.borrow().is_none());
        while context.iteration(false) {}
        assert_eq!(calls.get(), 1);
        assert!(!context.pending());
    });
}

/// Runs a main loop inside a callback for a moment and gives how often it woke up.
fn turns_inside(context: &MainContext) -> u32 {
    let (late, ring) = counter();
    let alarm = source_at(Priority::DEFAULT, Some(Duration::from_millis(50)), ring);
    alarm.attach(Some(context));
    let mut turns = 0;
    while late.get() == 0 {
        context.iteration(true);
        turns += 1;
    }
    alarm.destroy();
    turns
}

#[test]
fn a_main_loop_in_a_callback_sleeps() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let _attached = Attachment::builder(&queue).attach();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        // Always due: a descriptor, an idle watcher, and a timer.
        let _io = queue.io(ours, Interest::WRITABLE, |_, _| ()).unwrap();
        let (idles, idle) = counter();
        let _idle = queue.idle(idle);
        let _every = queue.every(Duration::ZERO, || ());
        let turns = Rc::new(Cell::new(None));
        let nested = |turns: &Rc<Cell<Option<u32>>>| {
            let (context, turns) = (context.clone(), Rc::clone(turns));
            move || turns.set(Some(turns_inside(&context)))
        };
        // In a turn that GLib has begun; in one that it does not know of; and in an idle watcher.
        queue.post(nested(&turns));
        iterate_until(context, || turns.get().is_some());
        let by_the_loop = turns.take();
        queue.post(nested(&turns));
        queue.run_until(|| turns.get().is_some()).unwrap();
        let by_hand = turns.take();
        drop((_io, _every));
        let inside = RefCell::new(Some(nested(&turns)));
        let once = queue.idle(move || {
            if let Some(nested) = inside.take() {
                nested();
            }
        });
        iterate_until(context, || turns.get().is_some());
        let in_idle = turns.take();
        drop(once);
        for turns in [by_the_loop, by_hand, in_idle] {
            assert!(turns.is_some_and(|turns| turns < 10), "{turns:?} turns in 50 ms");
        }
        // All goes on as before.
        let (before, (posts, post)) = (idles.get(), counter());
        queue.post(post);
        iterate_until(context, || posts.get() == 1 && idles.get() > before + 2);
        drop(theirs);
    });
}
