//! E8 and rules 2 and 3: callbacks that no event asks for.

use super::trial::Log;
use super::{Trial, behaviours};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

behaviours!("E8":
    a_post_runs_later_and_in_order,
    a_post_in_a_callback_waits_for_a_later_turn,
    posts_of_other_threads_run_here_in_each_threads_order,
    a_post_wakes_a_loop_that_sleeps,
);

fn a_post_runs_later_and_in_order(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    for word in ["first", "second", "third"] {
        queue.post(log.say(word));
    }
    assert_eq!(log.len(), 0, "inside the call that asked for it");
    trial.until("three posts", || log.len() == 3);
    assert_eq!(log.said(), ["first", "second", "third"]);
}

fn a_post_in_a_callback_waits_for_a_later_turn(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let (again, outer, inner) = (queue.clone(), log.say("outer"), log.say("inner"));
    queue.post(move || {
        again.post(inner);
        outer();
    });
    queue.post(log.say("beside"));
    trial.until("a post of a post", || log.len() == 3);
    assert_eq!(log.said(), ["outer", "beside", "inner"]);
}

fn posts_of_other_threads_run_here_in_each_threads_order(trial: &mut Trial<'_>) {
    const THREADS: usize = 4;
    const POSTS: usize = 500;
    let (queue, here) = (trial.queue(), thread::current().id());
    let heard: Arc<Mutex<Vec<_>>> = Arc::default();
    let threads = [0; THREADS].map(|_| {
        let (poster, heard) = (queue.poster(), Arc::clone(&heard));
        thread::spawn(move || {
            let from = thread::current().id();
            for number in 0..POSTS {
                let heard = Arc::clone(&heard);
                let hear = move || {
                    heard.lock().expect("no panic").push((from, number, thread::current().id()))
                };
                poster.post(hear).expect("the queue lives");
            }
        })
    });
    trial.until("all posts", || heard.lock().expect("no panic").len() == THREADS * POSTS);
    let heard = heard.lock().expect("no panic");
    assert!(heard.iter().all(|(.., ran)| *ran == here), "a callback ran in another thread");
    for thread in threads {
        let mine = heard.iter().filter(|(from, ..)| *from == thread.thread().id());
        assert!(mine.map(|(_, number, _)| *number).eq(0..POSTS), "a thread's posts out of order");
        thread.join().expect("a thread that posted");
    }
}

fn a_post_wakes_a_loop_that_sleeps(trial: &mut Trial<'_>) {
    let (queue, here) = (trial.queue(), rustix::thread::gettid());
    let heard = Arc::new(AtomicBool::new(false));
    let (poster, hear) = (queue.poster(), Arc::clone(&heard));
    let thread = thread::spawn(move || {
        crate::wait_until_asleep(here);
        poster.post(move || hear.store(true, Ordering::Relaxed)).expect("the queue lives");
    });
    trial.until("a post into sleep", || heard.load(Ordering::Relaxed));
    thread.join().expect("a thread that posted");
}
