//! E2, E3: deadlines.

use super::trial::Log;
use super::{Trial, behaviours};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

behaviours!("E2":
    a_timer_is_never_early_and_runs_once,
    timers_run_in_the_order_of_their_deadlines,
    equal_deadlines_run_in_the_order_they_were_set,
    a_delay_of_zero_ends_in_a_later_turn,
    an_interval_goes_on_until_it_is_dropped,
    a_late_interval_catches_up_once,
    a_timer_can_be_put_off_and_brought_forward,
    the_turns_time_stands_still_until_updated,
);

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A callback that takes its time.
fn busy(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn a_timer_is_never_early_and_runs_once(trial: &mut Trial<'_>) {
    let (queue, log, began) = (trial.queue(), Log::default(), Instant::now());
    let fine = Duration::from_micros(2_500);
    let _timer = queue.after(fine, log.say("due"));
    trial.until("a timer", || log.len() > 0);
    assert!(began.elapsed() >= fine, "early: {:?}", began.elapsed());
    trial.turns_in(ms(20));
    assert_eq!(log.len(), 1);
}

fn timers_run_in_the_order_of_their_deadlines(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let _late = queue.after(ms(9), log.say("late"));
    let _soon = queue.after(ms(3), log.say("soon"));
    let _between = queue.after(ms(6), log.say("between"));
    trial.until("three timers", || log.len() == 3);
    assert_eq!(log.said(), ["soon", "between", "late"]);
}

fn equal_deadlines_run_in_the_order_they_were_set(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (again, say) = (queue.clone(), log.clone());
    // In a callback the time stands still, so that the deadlines are equal.
    queue.post(move || {
        for word in ["a", "b", "c", "d"] {
            again.after(ms(2), say.say(word)).detach();
        }
    });
    trial.until("four timers", || log.len() == 4);
    assert_eq!(log.said(), ["a", "b", "c", "d"]);
}

fn a_delay_of_zero_ends_in_a_later_turn(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (again, zero, beside) = (queue.clone(), log.say("zero"), log.say("beside"));
    queue.post(move || again.after(Duration::ZERO, zero).detach());
    queue.post(beside);
    assert_eq!(log.len(), 0);
    trial.until("a timer of no delay", || log.len() == 2);
    assert_eq!(log.said(), ["beside", "zero"]);
}

fn an_interval_goes_on_until_it_is_dropped(trial: &mut Trial<'_>) {
    let (queue, log, began) = (trial.queue(), Log::default(), Instant::now());
    let interval = queue.every(ms(4), log.say("again"));
    trial.until("five times", || log.len() >= 5);
    assert!(began.elapsed() >= ms(20), "early: {:?}", began.elapsed());
    drop(interval);
    let count = log.len();
    trial.turns_in(ms(20));
    assert_eq!(log.len(), count);
}

fn a_late_interval_catches_up_once(trial: &mut Trial<'_>) {
    let queue = trial.queue();
    let times: Rc<RefCell<Vec<Instant>>> = Rc::default();
    let into = Rc::clone(&times);
    let began = Instant::now();
    let _interval = queue.every(ms(10), move || {
        into.borrow_mut().push(Instant::now());
        if into.borrow().len() == 1 {
            busy(ms(45));
        }
    });
    trial.until("four times", || times.borrow().len() >= 4);
    let times = times.borrow();
    // Four deadlines passed in the first callback: one call makes good for all, and the next one
    // waits for a deadline that is a whole number of intervals from the beginning.
    assert!(times[2] - began >= ms(60), "called again for a deadline missed: {times:?}");
}

fn a_timer_can_be_put_off_and_brought_forward(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (off, forward) =
        (queue.after(ms(5), log.say("off")), queue.after(ms(60_000), log.say("on")));
    assert!(off.reset(ms(60_000)));
    trial.turns_in(ms(20));
    assert_eq!(log.len(), 0);
    assert!(forward.reset(ms(5)));
    trial.until("the one brought forward", || log.len() == 1);
    assert_eq!(log.said(), ["on"]);
    assert!(!forward.reset(ms(5)), "it has run");
}

fn the_turns_time_stands_still_until_updated(trial: &mut Trial<'_>) {
    let queue = trial.queue();
    let seen = Rc::new(Cell::new(None));
    let (tell, inside) = (Rc::clone(&seen), queue.clone());
    queue.post(move || {
        let (now, time) = (inside.now(), inside.time());
        busy(ms(3));
        let still = inside.now() == now;
        let clock_ran = inside.time() >= time + ms(3);
        inside.update_now();
        tell.set(Some((still, clock_ran, inside.now() >= now + ms(3))));
    });
    trial.until("a look at the clock", || seen.get().is_some());
    assert_eq!(seen.get(), Some((true, true, true)));
}
