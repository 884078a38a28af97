//! E9, E10, K1: on the loop, off it, and on again.

use super::trial::Log;
use super::{Trial, behaviours};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tine::Queue;

behaviours!("E9":
    what_was_due_before_runs_after_attaching,
    a_detached_queue_keeps_what_is_due,
    a_callback_may_detach_its_own_queue,
    two_queues_share_the_loop,
    many_queues_come_and_go,
    a_detached_queue_leaves_no_thread_and_no_descriptor,
    the_embedded_loop_drives_an_attached_queue_too,
);

const MOMENT: Duration = Duration::from_millis(5);

fn what_was_due_before_runs_after_attaching(trial: &mut Trial<'_>) {
    let (queue, log) = (Queue::new().expect("a queue"), Log::default());
    queue.post(log.say("post"));
    let _timer = queue.after(Duration::ZERO, log.say("timer"));
    trial.turns_in(MOMENT);
    assert_eq!(log.len(), 0);
    trial.attach(&queue);
    trial.until("what was due before", || log.len() == 2);
}

fn a_detached_queue_keeps_what_is_due(trial: &mut Trial<'_>) {
    let (queue, log) = (Queue::new().expect("a queue"), Log::default());
    let attached = trial.host().attach(&queue, None);
    queue.post(log.say("first"));
    trial.until("a post", || log.len() == 1);
    drop(attached);
    queue.post(log.say("second"));
    queue.after(Duration::ZERO, log.say("third")).detach();
    trial.turns_in(MOMENT);
    assert_eq!(log.said(), ["first"]);
    trial.attach(&queue);
    trial.until("what became due meanwhile", || log.len() == 3);
}

fn a_callback_may_detach_its_own_queue(trial: &mut Trial<'_>) {
    let (queue, log) = (Queue::new().expect("a queue"), Log::default());
    let attached = Rc::new(RefCell::new(Some(trial.host().attach(&queue, None))));
    let (own, say, again) = (Rc::clone(&attached), log.say("detached"), queue.clone());
    let later = log.say("later");
    queue.post(move || {
        drop(own.take());
        again.post(later);
        say();
    });
    trial.until("the detaching callback", || log.len() > 0);
    trial.turns_in(MOMENT);
    assert_eq!(log.said(), ["detached"]);
    trial.attach(&queue);
    trial.until("the rest", || log.len() == 2);
}

fn two_queues_share_the_loop(trial: &mut Trial<'_>) {
    if !trial.host().many() {
        return;
    }
    let (first, second, log) = (trial.queue(), trial.queue(), Log::default());
    first.post(log.say("first"));
    let (across, say) = (second.clone(), log.say("across"));
    first.after(MOMENT, move || across.post(say)).detach();
    second.post(log.say("second"));
    trial.until("both queues, and one through the other", || log.len() == 3);
    // A turn of one may hold a turn of the other.
    let (inner, say) = (second.clone(), log.say("inside"));
    first.post(move || {
        inner.post(say);
        inner.dispatch().expect("a turn of another queue");
    });
    trial.until("a turn inside a turn", || log.len() == 4);
}

fn many_queues_come_and_go(trial: &mut Trial<'_>) {
    for _ in 0..20 {
        let (queue, log) = (Queue::new().expect("a queue"), Log::default());
        let _attached = trial.host().attach(&queue, None);
        queue.post(log.say("post"));
        trial.until("a post", || log.len() == 1);
    }
}

fn the_embedded_loop_drives_an_attached_queue_too(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let _timer = queue.after(MOMENT, log.say("by hand"));
    queue.run_until(|| log.len() == 1).expect("a queue that works");
    queue.post(log.say("by the loop"));
    trial.until("a post", || log.len() == 2);
}

fn a_detached_queue_leaves_no_thread_and_no_descriptor(trial: &mut Trial<'_>) {
    let threads = || std::fs::read_dir("/proc/self/task").expect("/proc").count();
    let queue = Queue::new().expect("a queue");
    let before = (threads(), crate::descriptors());
    let attached = trial.host().attach(&queue, None);
    trial.turns_in(MOMENT);
    drop(attached);
    assert_eq!((threads(), crate::descriptors()), before);
    // As above, in a callback, where what drives the queue is on the stack.
    let attached = Rc::new(RefCell::new(Some(trial.host().attach(&queue, None))));
    let own = Rc::clone(&attached);
    queue.post(move || drop(own.take()));
    trial.until("a callback that detaches", || attached.borrow().is_none());
    trial.turns_in(MOMENT);
    assert_eq!((threads(), crate::descriptors()), before);
}
