//! E12: dropping is cancelling, at once, in any callback; making is allowed there too.

use super::trial::Log;
use super::{Trial, behaviours};
use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tine::{Interest, Io, Queue, Timer};

behaviours!("E12":
    a_callback_may_drop_its_own_watcher,
    a_callback_may_drop_another_that_is_due_in_its_turn,
    a_callback_may_make_watchers,
    a_dropped_watcher_drops_what_its_callback_holds,
    a_callback_may_drop_the_last_handle,
    a_queue_dropped_on_the_loop_leaves_the_loop_at_work,
);

const SOON: Duration = Duration::from_millis(2);

/// A socket that is ready for writing, always.
fn ready() -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs.set_nonblocking(true).expect("a socket");
    drop(ours);
    theirs
}

fn a_callback_may_drop_its_own_watcher(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let io: Rc<RefCell<Option<Io>>> = Rc::default();
    let timer: Rc<RefCell<Option<Timer>>> = Rc::default();
    let (own, say) = (Rc::clone(&io), log.say("io"));
    let watched = queue.io(ready(), Interest::WRITABLE, move |_, _| {
        drop(own.take());
        say();
    });
    io.replace(Some(watched.expect("a watcher")));
    let (own, say) = (Rc::clone(&timer), log.say("timer"));
    timer.replace(Some(queue.every(SOON, move || {
        drop(own.take());
        say();
    })));
    trial.until("one call of each", || log.len() == 2);
    trial.turns_in(SOON * 5);
    assert_eq!(log.len(), 2);
}

fn a_callback_may_drop_another_that_is_due_in_its_turn(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let others: Rc<RefCell<Vec<Io>>> = Rc::default();
    for _ in 0..3 {
        let (all, say) = (Rc::clone(&others), log.say("called"));
        let watched = queue.io(ready(), Interest::WRITABLE, move |_, _| {
            let taken = all.take();
            drop(taken);
            say();
        });
        others.borrow_mut().push(watched.expect("a watcher"));
    }
    trial.until("the first of three", || log.len() > 0);
    trial.turns_in(SOON);
    assert_eq!(log.len(), 1);
}

fn a_callback_may_make_watchers(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let kept: Rc<RefCell<Vec<Io>>> = Rc::default();
    let (again, keep, say) = (queue.clone(), Rc::clone(&kept), log.clone());
    queue.post(move || {
        again.after(SOON, say.say("timer")).detach();
        let io = say.say("io");
        let watched = again.io(ready(), Interest::WRITABLE, move |_, _| io());
        keep.borrow_mut().push(watched.expect("a watcher"));
        again.post(say.say("post"));
    });
    let all = || ["timer", "io", "post"].iter().all(|word| log.said().contains(word));
    trial.until("a call of each", all);
}

fn a_dropped_watcher_drops_what_its_callback_holds(trial: &mut Trial<'_>) {
    let (queue, held) = (trial.queue(), Rc::new(()));
    let (in_io, in_timer) = (Rc::clone(&held), Rc::clone(&held));
    let io = queue.io(ready(), Interest::NONE, move |_, _| drop(Rc::clone(&in_io)));
    let timer = queue.every(Duration::from_secs(60), move || drop(Rc::clone(&in_timer)));
    trial.turns_in(SOON);
    assert_eq!(Rc::strong_count(&held), 3);
    drop((io, timer));
    assert_eq!(Rc::strong_count(&held), 1);
}

fn a_callback_may_drop_the_last_handle(trial: &mut Trial<'_>) {
    let log = Log::default();
    let queue = Queue::new().expect("a queue");
    let attached: Rc<RefCell<Option<_>>> = Rc::default();
    attached.replace(Some((queue.clone(), trial.host().attach(&queue, None))));
    let (last, say) = (Rc::clone(&attached), log.say("the last"));
    let timer = queue.after(SOON, move || {
        drop(last.take());
        say();
    });
    timer.detach();
    drop(queue);
    trial.until("the end of a queue", || log.len() == 1);
    trial.turns_in(SOON);
}

fn a_queue_dropped_on_the_loop_leaves_the_loop_at_work(trial: &mut Trial<'_>) {
    let log = Log::default();
    let gone = Queue::new().expect("a queue");
    let attached = trial.host().attach(&gone, None);
    gone.after(SOON, log.say("gone")).detach();
    let poster = gone.poster();
    drop(gone);
    drop(attached);
    assert!(poster.post(|| ()).is_err(), "a queue that is gone took a post");
    let queue = trial.queue();
    queue.after(SOON * 2, log.say("here")).detach();
    trial.until("the other queue", || log.len() > 0);
    assert_eq!(log.said(), ["here"]);
}
