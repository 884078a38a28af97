//! E6: what runs when nothing else is to be done.

use super::trial::Log;
use super::{Trial, behaviours};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tine::Idle;

behaviours!("E6":
    an_idle_watcher_runs_again_and_again_until_dropped,
    an_idle_watcher_runs_after_what_is_due,
    an_idle_watcher_lets_timers_through,
    idle_watchers_change_hands_with_the_loop,
);

fn an_idle_watcher_runs_again_and_again_until_dropped(trial: &mut Trial<'_>) {
    let (queue, calls) = (trial.queue(), Rc::new(Cell::new(0)));
    let own: Rc<RefCell<Option<Idle>>> = Rc::default();
    let (count, slot) = (Rc::clone(&calls), Rc::clone(&own));
    own.replace(Some(queue.idle(move || {
        count.set(count.get() + 1);
        if count.get() == 3 {
            drop(slot.take());
        }
    })));
    trial.until("three idle turns", || calls.get() == 3);
    let turns = trial.turns_in(Duration::from_millis(50));
    assert_eq!(calls.get(), 3);
    assert!(turns < 10, "the loop is busy without an idle watcher: {turns} turns");
}

fn an_idle_watcher_runs_after_what_is_due(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let _idle = queue.idle(log.say("idle"));
    queue.post(log.say("post"));
    let _timer = queue.after(Duration::ZERO, log.say("timer"));
    trial.until("an idle turn", || log.said().contains(&"idle"));
    assert_eq!(log.said()[..3], ["timer", "post", "idle"]);
}

fn an_idle_watcher_lets_timers_through(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let _idle = queue.idle(|| ());
    let _timer = queue.after(Duration::from_millis(3), log.say("timer"));
    trial.until("a timer beside an idle watcher", || log.len() == 1);
}

fn idle_watchers_change_hands_with_the_loop(trial: &mut Trial<'_>) {
    let queue = tine::Queue::new().expect("a queue");
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let _idle = queue.idle(move || count.set(count.get() + 1));
    let attached = trial.host().attach(&queue, None);
    trial.until("an idle turn on the loop", || calls.get() > 0);
    drop(attached);
    calls.set(0);
    trial.turns_in(Duration::from_millis(5));
    assert_eq!(calls.get(), 0, "the queue is on no loop");
    queue.run_until(|| calls.get() > 1).expect("a queue that works");
    calls.set(0);
    trial.attach(&queue);
    trial.until("an idle turn on the loop again", || calls.get() > 0);
}
