//! E4, E19: signals, heard of through the loop.

use super::trial::Log;
use super::{Trial, behaviours};
use rustix::process::{Signal, getpid, kill_process};
use std::thread;
use std::time::Duration;

behaviours!("E4":
    a_signal_wakes_the_loop_and_runs_its_watchers,
    a_signal_in_another_thread_is_heard_here,
    signals_that_come_fast_count_as_one,
);

const SIGNAL: i32 = libc::SIGUSR1;

fn raise() {
    kill_process(getpid(), Signal::USR1).expect("a signal to this process");
}

fn a_signal_wakes_the_loop_and_runs_its_watchers(trial: &mut Trial<'_>) {
    let (queue, log, here) = (trial.queue(), Log::default(), rustix::thread::gettid());
    let _first = queue.signal(SIGNAL, log.say("first")).expect("a signal");
    let _second = queue.signal(SIGNAL, log.say("second")).expect("a signal");
    let thread = thread::spawn(move || {
        crate::wait_until_asleep(here);
        raise();
    });
    trial.until("two watchers of a signal", || log.len() == 2);
    assert_eq!(log.said(), ["first", "second"]);
    thread.join().expect("a thread that raised it");
}

fn a_signal_in_another_thread_is_heard_here(trial: &mut Trial<'_>) {
    let (queue, log, here) = (trial.queue(), Log::default(), thread::current().id());
    let say = log.say("heard");
    let heard = move || {
        assert_eq!(thread::current().id(), here);
        say();
    };
    let _watcher = queue.signal(SIGNAL, heard).expect("a signal");
    let raise = || crate::native::raise(SIGNAL);
    thread::spawn(raise).join().expect("a thread that raised it");
    trial.until("a signal of another thread", || log.len() == 1);
}

fn signals_that_come_fast_count_as_one(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let _watcher = queue.signal(SIGNAL, log.say("heard")).expect("a signal");
    for _ in 0..10 {
        raise();
    }
    assert_eq!(log.len(), 0, "inside a handler");
    trial.until("a signal", || log.len() > 0);
    trial.turns_in(Duration::from_millis(10));
    assert_eq!(log.len(), 1);
    raise();
    trial.until("another", || log.len() == 2);
}
