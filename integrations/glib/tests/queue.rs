//! A queue on a main context: callbacks run, take turns with other sources, and end with the guard.

use glib::{ControlFlow, MainContext, Priority};
use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::Queue;
use tine_glib::{Attachment, PRIORITY};

const DEADLINE: Duration = Duration::from_secs(20);

/// A context of the test's own: the tests' threads share the default one.
fn with_context(test: impl FnOnce(&MainContext)) {
    let context = MainContext::new();
    context.with_thread_default(|| test(&context)).expect("the context is new");
}

/// Runs the main loop until `done`, which what is tested has to bring about.
#[track_caller]
fn iterate_until(context: &MainContext, done: impl Fn() -> bool) {
    let timeout = glib::timeout_source_new(DEADLINE, None, Priority::HIGH, || ControlFlow::Break);
    timeout.attach(Some(context));
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < DEADLINE, "nothing came of it");
        context.iteration(true);
    }
    timeout.destroy();
}

/// A closure that counts its calls, and the count.
fn counter() -> (Rc<Cell<u32>>, impl Fn() + Clone + 'static) {
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    (count, move || counted.set(counted.get() + 1))
}

fn spin(duration: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        std::hint::spin_loop();
    }
}

#[test]
fn posts_and_timers_run_in_the_main_loop() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        tine_glib::attach(&queue);
        assert_eq!(queue.attached(), Some("glib"));
        let (count, call) = counter();
        let poster = queue.poster();
        queue.post(call.clone());
        queue.after(Duration::from_millis(5), call.clone()).detach();
        assert_eq!(count.get(), 0);
        iterate_until(context, || count.get() == 2);

        let thread = std::thread::spawn(move || poster.post(|| spin(Duration::ZERO)).is_ok());
        assert!(thread.join().unwrap());
        queue.post(call);
        iterate_until(context, || count.get() == 3);
    });
}

#[test]
fn an_idle_queue_does_not_wake_the_loop() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        tine_glib::attach(&queue);
        let _far = queue.after(Duration::from_secs(3600), || ());
        while context.iteration(false) {}
        assert!(!context.pending());
    });
}

#[test]
fn dropping_the_attachment_detaches() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let (count, call) = counter();
        let attachment = Attachment::builder(&queue).attach();
        queue.post(call.clone());
        drop(attachment);
        assert!(!context.iteration(false));
        assert_eq!(count.get(), 0);

        let _again = Attachment::builder(&queue).attach();
        iterate_until(context, || count.get() == 1);
    });
}

#[test]
fn a_callback_may_detach() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let attachment = Rc::new(RefCell::new(Some(Attachment::builder(&queue).attach())));
        let (count, call) = counter();
        let (held, later) = (Rc::clone(&attachment), queue.clone());
        queue.post(move || {
            drop(held.take());
            later.post(call);
        });
        iterate_until(context, || attachment.borrow().is_none());
        assert!(!context.iteration(false));
        assert_eq!(count.get(), 0);
    });
}

#[test]
fn attaching_again_moves_the_queue() {
    with_context(|first| {
        let queue = Queue::new().unwrap();
        tine_glib::attach(&queue);
        with_context(|second| {
            tine_glib::attach(&queue);
            let (count, call) = counter();
            queue.post(call);
            assert!(!first.iteration(false));
            iterate_until(second, || count.get() == 1);
        });
    });
}

#[test]
fn the_source_ends_with_the_queue() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let witness = Rc::new(());
        let held = Rc::clone(&witness);
        tine_glib::attach(&queue);
        let fd = rustix::fd::AsRawFd::as_raw_fd(&queue.as_fd());
        let _outlives = Attachment::builder(&queue).on_error(move |_| drop(held)).attach();
        drop(queue);
        // The number is another file's now, and a readable one.
        let files: Vec<_> =
            std::iter::repeat_with(|| std::fs::File::open("/dev/zero").unwrap()).take(8).collect();
        assert!(files.iter().any(|file| rustix::fd::AsRawFd::as_raw_fd(file) == fd));
        while context.iteration(false) {}
        assert_eq!(Rc::strong_count(&witness), 1, "the source is still there");
    });
}

#[test]
fn a_burst_takes_turns_with_drawing() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        let _attachment = Attachment::builder(&queue).budget(Duration::from_millis(4)).attach();
        let (frames, frame) = counter();
        let drawing = ThreadBound::new(frame);
        let draw = glib::idle_source_new(None, Priority::from(PRIORITY), move || {
            drawing.call();
            ControlFlow::Continue
        });
        draw.attach(Some(context));
        let (count, call) = counter();
        let most = Rc::new(Cell::new((0, 0, 0)));
        for _ in 0..20 {
            let (most, frames, call) = (Rc::clone(&most), Rc::clone(&frames), call.clone());
            queue.post(move || {
                let (frame, in_frame, longest) = most.get();
                let in_frame = if frame == frames.get() { in_frame + 1 } else { 1 };
                most.set((frames.get(), in_frame, longest.max(in_frame)));
                spin(Duration::from_millis(3));
                call();
            });
        }
        iterate_until(context, || count.get() == 20);
        draw.destroy();
        let (.., longest) = most.get();
        assert!(longest <= 2, "{longest} callbacks of 3 ms between two frames");
        assert!(frames.get() >= 9, "{} frames", frames.get());
    });
}

#[test]
fn input_goes_first() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        tine_glib::attach(&queue);
        let order = Rc::new(RefCell::new(Vec::new()));
        let (posted, input) = (Rc::clone(&order), Rc::clone(&order));
        queue.post(move || posted.borrow_mut().push("callback"));
        let input = ThreadBound::new(move || input.borrow_mut().push("input"));
        let source = glib::idle_source_new(None, Priority::DEFAULT, move || {
            input.call();
            ControlFlow::Break
        });
        source.attach(Some(context));
        iterate_until(context, || order.borrow().len() == 2);
        assert_eq!(*order.borrow(), ["input", "callback"]);
    });
}

#[test]
fn a_main_loop_in_a_callback_waits_for_the_turn() {
    with_context(|context| {
        let queue = Queue::new().unwrap();
        tine_glib::attach(&queue);
        let (count, call) = counter();
        let (inner, outer_count) = (context.clone(), Rc::clone(&count));
        queue.post(call.clone());
        let nested = move || {
            inner.iteration(false);
            assert_eq!(outer_count.get(), 1, "nothing runs nested");
        };
        queue.post(nested.clone());
        queue.post(call.clone());
        iterate_until(context, || count.get() == 2);

        // The same when GLib does not know of the turn.
        count.set(0);
        queue.post(call.clone());
        queue.post(nested);
        queue.post(call.clone());
        queue.dispatch().unwrap();
        assert_eq!(count.get(), 2);
        queue.post(call);
        iterate_until(context, || count.get() == 3);
    });
}

/// A closure for one of GLib's sources, which want theirs to be `Send`.
struct ThreadBound<F>(glib::thread_guard::ThreadGuard<F>);

impl<F: Fn()> ThreadBound<F> {
    fn new(closure: F) -> Self {
        Self(glib::thread_guard::ThreadGuard::new(closure))
    }

    fn call(&self) {
        (self.0.get_ref())();
    }
}
