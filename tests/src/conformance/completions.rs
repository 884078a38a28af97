//! E7, E9: completions, and code that waits for a loop.

use super::trial::Log;
use super::{Trial, behaviours};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tine::{ErrorKind, Queue};

behaviours!("E7 E9":
    a_completion_calls_back_in_a_turn,
    a_group_is_complete_with_its_last_part,
    waiting_drives_a_queue_that_is_on_the_loop,
    waiting_in_a_callback_is_refused,
    who_waits_for_a_loop_hears_of_it,
);

fn a_completion_calls_back_in_a_turn(trial: &mut Trial<'_>) {
    let (queue, got) = (trial.queue(), Rc::new(RefCell::new(None)));
    let (completion, into) = (queue.completion(), Rc::clone(&got));
    completion.on_ready(move |value| drop(into.replace(Some(value))));
    completion.send(7);
    assert!(got.borrow().is_none(), "inside the call that sends");
    trial.until("a value", || got.borrow().is_some());
    assert_eq!(got.take().and_then(Result::ok), Some(7));
}

fn a_group_is_complete_with_its_last_part(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let completion = queue.completion::<usize>();
    let parts = log.clone();
    completion.begin_with(move |group| group.send(parts.len()));
    for delay in [3, 1, 2] {
        completion.begin();
        let (part, say) = (completion.clone(), log.say("part"));
        let end = move || {
            say();
            part.end().expect("begun");
        };
        queue.after(Duration::from_millis(delay), end).detach();
    }
    completion.end().expect("begun");
    trial.until("all parts", || completion.is_ready());
    assert_eq!(completion.recv().ok(), Some(3));
}

fn waiting_drives_a_queue_that_is_on_the_loop(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let completion = queue.completion();
    let sender = completion.clone();
    queue.after(Duration::from_millis(2), move || sender.send("waited for")).detach();
    assert_eq!(completion.recv().ok(), Some("waited for"));
    // And the loop has it still.
    queue.after(Duration::from_millis(2), log.say("timer")).detach();
    trial.until("a timer", || log.len() == 1);
}

fn waiting_in_a_callback_is_refused(trial: &mut Trial<'_>) {
    let (queue, refused) = (trial.queue(), Rc::new(RefCell::new(None)));
    let (never, into) = (queue.completion::<()>(), Rc::clone(&refused));
    queue.post(move || drop(into.replace(never.recv().err())));
    trial.until("a refusal", || refused.borrow().is_some());
    assert_eq!(refused.take().map(|error| error.kind()), Some(ErrorKind::Misuse));
}

fn who_waits_for_a_loop_hears_of_it(trial: &mut Trial<'_>) {
    let (queue, log) = (Queue::new().expect("a queue"), Log::default());
    assert_eq!(queue.attached(), None);
    queue.on_attached(log.say("attached"));
    trial.turns_in(Duration::from_millis(2));
    assert_eq!(log.len(), 0);
    let attached = trial.host().attach(&queue, None);
    if trial.host().many() {
        assert!(queue.attached().is_some());
        trial.until("the news of a loop", || log.len() == 1);
        queue.on_attached(log.say("at once"));
        trial.until("the news again", || log.len() == 2);
    }
    drop(attached);
    assert_eq!(queue.attached(), None);
}
