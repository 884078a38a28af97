//! What a queue does on calloop beyond the conformance suite: calloop's own verbs, errors, panics.

use calloop::{EventLoop, RegistrationToken};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use tine::{ErrorKind, Queue};
use tine_calloop::QueueSource;

const NOW: Duration = Duration::ZERO;

fn setup() -> (EventLoop<'static, usize>, Queue, RegistrationToken) {
    let event_loop = EventLoop::try_new().expect("a loop");
    let queue = Queue::new().expect("a queue");
    let token = insert(&event_loop, &queue);
    (event_loop, queue, token)
}

/// The loop's data counts the queue's callbacks.
fn insert(event_loop: &EventLoop<'static, usize>, queue: &Queue) -> RegistrationToken {
    let source = QueueSource::new(queue.clone());
    event_loop.handle().insert_source(source, |ran, (), count| *count += ran).expect("room for it")
}

#[test]
fn a_removed_queue_keeps_what_is_due_for_its_next_loop() {
    let (mut event_loop, queue, token) = setup();
    let mut count = 0;
    queue.post(|| ());
    event_loop.handle().remove(token);
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 0);
    insert(&event_loop, &queue);
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_disabled_queue_rests_until_it_is_enabled() {
    let (mut event_loop, queue, token) = setup();
    let (handle, mut count) = (event_loop.handle(), 0);
    handle.disable(&token).unwrap();
    queue.post(|| ());
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 0);
    handle.enable(&token).unwrap();
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_callback_may_disable_and_remove_its_own_queue() {
    let (mut event_loop, queue, token) = setup();
    let (handle, mut count) = (event_loop.handle(), 0);
    let from_within = handle.clone();
    queue.post(move || from_within.disable(&token).unwrap());
    event_loop.dispatch(NOW, &mut count).unwrap();
    queue.post(|| ());
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 1);

    handle.enable(&token).unwrap();
    let from_within = handle.clone();
    queue.post(move || from_within.remove(token));
    event_loop.dispatch(NOW, &mut count).unwrap();
    queue.post(|| ());
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 3);
}

#[test]
fn several_queues_share_a_loop() {
    let (mut event_loop, first, token) = setup();
    let second = Queue::new().unwrap();
    insert(&event_loop, &second);
    let mut count = 0;
    first.post(|| ());
    second.post(|| ());
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 2);
    event_loop.handle().remove(token);
    first.post(|| ());
    second.post(|| ());
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 3);
}

#[test]
fn a_queue_is_on_one_loop_once() {
    let (event_loop, queue, _token) = setup();
    let twice = event_loop.handle().insert_source(QueueSource::new(queue.clone()), |_, (), _| ());
    let refused = twice.expect_err("a descriptor is in a poller once");
    assert_eq!(format!("{:?}", refused.inserted.queue()), format!("{queue:?}"));
}

#[test]
fn the_loop_keeps_the_queue_alive_and_lets_go_of_it() {
    let (mut event_loop, queue, _token) = setup();
    let (ran, alive) = (Rc::new(Cell::new(false)), Rc::new(()));
    let (mark, held) = (Rc::clone(&ran), Rc::clone(&alive));
    queue.post(move || mark.set(true));
    let forever = queue.every(Duration::from_secs(3600), move || drop(Rc::clone(&held)));
    forever.detach();
    drop(queue);
    event_loop.dispatch(NOW, &mut 0).unwrap();
    assert!(ran.get());
    assert_eq!(Rc::strong_count(&alive), 2);
    drop(event_loop);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn a_budget_lets_other_sources_have_their_turn() {
    let mut event_loop = EventLoop::<Vec<&str>>::try_new().unwrap();
    let (queue, other) = (Queue::new().unwrap(), Queue::new().unwrap());
    let handle = event_loop.handle();
    let source = QueueSource::new(queue.clone()).with_budget(Duration::ZERO);
    handle.insert_source(source, |_, (), log| log.push("budget")).unwrap();
    handle.insert_source(QueueSource::new(other.clone()), |_, (), log| log.push("other")).unwrap();
    for _ in 0..3 {
        queue.post(|| ());
    }
    other.post(|| ());
    let mut log = Vec::new();
    event_loop.dispatch(NOW, &mut log).unwrap();
    log.sort_unstable();
    assert_eq!(log, ["budget", "other"]);
    event_loop.dispatch(NOW, &mut log).unwrap();
    event_loop.dispatch(NOW, &mut log).unwrap();
    event_loop.dispatch(NOW, &mut log).unwrap();
    assert_eq!(log.iter().filter(|word| **word == "budget").count(), 3);
}

#[test]
fn idle_watchers_run_when_all_sources_have_had_their_turn() {
    let mut event_loop = EventLoop::<Vec<&str>>::try_new().unwrap();
    let (queue, other, handle) =
        (Queue::new().unwrap(), Queue::new().unwrap(), event_loop.handle());
    let source = QueueSource::new(queue.clone()).with_idle(&handle).unwrap();
    let token = handle.insert_source(source, |_, (), log| log.push("queue")).unwrap();
    handle.insert_source(QueueSource::new(other.clone()), |_, (), log| log.push("other")).unwrap();
    let idled = Rc::new(Cell::new(0));
    let (count, busy) = (Rc::clone(&idled), other.clone());
    let idle = queue.idle(move || {
        count.set(count.get() + 1);
        busy.post(|| ());
    });
    let mut log = Vec::new();
    // Each turn ends with an idle one, which gives the next turn something to do.
    for turn in 1..=5 {
        event_loop.dispatch(None, &mut log).unwrap();
        assert_eq!(idled.get(), turn);
    }
    assert_eq!(log, ["other"; 4]);
    // Disabled, the queue idles no more; enabled, it does again.
    handle.disable(&token).unwrap();
    event_loop.dispatch(NOW, &mut log).unwrap();
    assert_eq!(idled.get(), 5);
    handle.enable(&token).unwrap();
    event_loop.dispatch(None, &mut log).unwrap();
    assert_eq!(idled.get(), 6);
    drop(idle);
    for _ in 0..3 {
        event_loop.dispatch(NOW, &mut log).unwrap();
    }
    assert_eq!(idled.get(), 6);
    assert!(!log.contains(&"queue"), "idle watchers are no turns of the queue");
}

/// The documented way of an error: a loop that runs inside a callback of the queue that it hosts.
#[test]
fn an_error_of_dispatch_is_the_loops_error() {
    let (mut event_loop, queue, token) = setup();
    let mut within = EventLoop::<usize>::try_new().unwrap();
    let error = Rc::new(RefCell::new(None));
    let (told, again) = (Rc::clone(&error), queue.clone());
    queue.post(move || {
        let inner = insert(&within, &again);
        again.poster().post(|| ()).unwrap();
        told.replace(within.dispatch(NOW, &mut 0).err());
        within.handle().remove(inner);
    });
    let mut count = 0;
    event_loop.dispatch(NOW, &mut count).unwrap();
    let told = error.take().expect("dispatch inside a callback");
    let calloop::Error::OtherError(told) = told else { panic!("{told}") };
    assert_eq!(told.downcast::<tine::Error>().unwrap().kind(), ErrorKind::Misuse);
    // The outer loop is as it was.
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 2);
    event_loop.handle().remove(token);
}

#[test]
fn a_panic_unwinds_through_the_loop_and_both_go_on() {
    let (mut event_loop, queue, _token) = setup();
    let ran = Rc::new(Cell::new(false));
    let mark = Rc::clone(&ran);
    queue.post(|| panic!("as it should"));
    queue.post(move || mark.set(true));
    let mut count = 0;
    let caught = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(NOW, &mut count)));
    let panic = caught.expect_err("the panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as it should"));
    assert!(ran.get());
    queue.post(|| ());
    event_loop.dispatch(NOW, &mut count).unwrap();
    assert_eq!(count, 1);
}
