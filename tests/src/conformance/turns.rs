//! E13, B5 and rule 2: what a turn is on this loop: never nested, ended by a budget, outlived by
//! whatever panics in it; and nothing in it starves.

use super::program::PANIC;
use super::trial::Log;
use super::{OnPanic, Trial, behaviours};
use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::{ErrorKind, Interest, Queue};

behaviours!("E13 B5":
    a_nested_dispatch_is_refused,
    a_budget_gives_the_loop_its_turn,
    without_a_budget_all_that_is_due_runs_in_one_turn,
    an_endless_chain_of_posts_lets_the_rest_through,
    an_endless_chain_of_timers_lets_the_rest_through,
    a_panic_spares_the_other_callbacks_and_the_queue,
);

fn a_nested_dispatch_is_refused(trial: &mut Trial<'_>) {
    let (queue, refusals) = (trial.queue(), Rc::new(RefCell::new(Vec::new())));
    let (again, into) = (queue.clone(), Rc::clone(&refusals));
    queue.post(move || {
        again.post(|| ());
        let nested = [
            again.dispatch().err(),
            again.dispatch_for(Duration::ZERO).err(),
            again.turn(None).err(),
            again.run_until(|| false).err(),
        ];
        into.borrow_mut().extend(nested.map(|error| error.map(|error| error.kind())));
    });
    trial.until("four refusals", || !refusals.borrow().is_empty());
    assert_eq!(*refusals.borrow(), [Some(ErrorKind::Misuse); 4]);
}

/// Callbacks that take half a millisecond each.
fn busy_posts(queue: &Queue, count: usize) -> Rc<Cell<usize>> {
    let ran = Rc::new(Cell::new(0));
    for _ in 0..count {
        let ran = Rc::clone(&ran);
        queue.post(move || {
            let end = Instant::now() + Duration::from_micros(500);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            ran.set(ran.get() + 1);
        });
    }
    ran
}

fn a_budget_gives_the_loop_its_turn(trial: &mut Trial<'_>) {
    if !trial.host().many() {
        return;
    }
    let queue = Queue::new().expect("a queue");
    let _attached = trial.host().attach(&queue, Some(Duration::from_millis(2)));
    let ran = busy_posts(&queue, 40);
    let mut seen = Vec::new();
    trial.until("forty posts", || {
        seen.push(ran.get());
        ran.get() == 40
    });
    let longest = seen.windows(2).map(|pair| pair[1] - pair[0]).max();
    // Four callbacks fill the budget; the fifth sees that it is used up.
    assert!(longest <= Some(5), "callbacks between two turns of the loop: {seen:?}");
}

fn without_a_budget_all_that_is_due_runs_in_one_turn(trial: &mut Trial<'_>) {
    let queue = trial.queue();
    let ran = busy_posts(&queue, 40);
    let mut seen = Vec::new();
    trial.until("forty posts", || {
        seen.push(ran.get());
        ran.get() > 0
    });
    assert_eq!(seen.last(), Some(&40), "callbacks after each turn of the loop: {seen:?}");
}

/// A socket that is ready for writing, always, and a timer: both to be heard of.
fn heard_beside(trial: &mut Trial<'_>, queue: &Queue) {
    let log = Log::default();
    let (_ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let say = log.say("io");
    let watched = queue.io(theirs, Interest::WRITABLE, move |_, _| say());
    let _io = watched.expect("a watcher");
    queue.after(Duration::from_millis(2), log.say("timer")).detach();
    let (poster, say) = (queue.poster(), std::sync::Arc::new(std::sync::Mutex::new(false)));
    let posted = std::sync::Arc::clone(&say);
    let post = move || *posted.lock().expect("no panic") = true;
    let thread = std::thread::spawn(move || poster.post(post).expect("the queue lives"));
    trial.until("a descriptor, a timer and a post of another thread", || {
        let said = log.said();
        said.contains(&"io") && said.contains(&"timer") && *say.lock().expect("no panic")
    });
    thread.join().expect("a thread that posted");
}

fn an_endless_chain_of_posts_lets_the_rest_through(trial: &mut Trial<'_>) {
    fn link(queue: Queue, end: Rc<Cell<bool>>) {
        if !end.get() {
            let again = queue.clone();
            queue.post(move || link(again, end));
        }
    }
    let (queue, end) = (trial.queue(), Rc::new(Cell::new(false)));
    link(queue.clone(), Rc::clone(&end));
    heard_beside(trial, &queue);
    end.set(true);
    trial.until("the end of the chain", || Rc::strong_count(&end) == 1);
}

fn an_endless_chain_of_timers_lets_the_rest_through(trial: &mut Trial<'_>) {
    fn link(queue: Queue, end: Rc<Cell<bool>>) {
        if !end.get() {
            let again = queue.clone();
            queue.after(Duration::ZERO, move || link(again, end)).detach();
        }
    }
    let (queue, end) = (trial.queue(), Rc::new(Cell::new(false)));
    link(queue.clone(), Rc::clone(&end));
    heard_beside(trial, &queue);
    end.set(true);
    trial.until("the end of the chain", || Rc::strong_count(&end) == 1);
}

fn a_panic_spares_the_other_callbacks_and_the_queue(trial: &mut Trial<'_>) {
    match trial.host().on_panic() {
        OnPanic::Unwinds => the_panic_comes_out_of_the_loop(trial),
        OnPanic::Aborts => the_panic_ends_the_program(),
    }
}

fn the_panic_comes_out_of_the_loop(trial: &mut Trial<'_>) {
    let (queue, log) = (Queue::new().expect("a queue"), Log::default());
    let attached = trial.host().attach(&queue, None);
    queue.post(|| resume_unwind(Box::new("as it should")));
    queue.post(log.say("same turn"));
    let run = AssertUnwindSafe(|| trial.until("nothing but a panic", || false));
    let panic = catch_unwind(run).expect_err("the panic comes out of the loop");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as it should"));
    assert_eq!(log.said(), ["same turn"]);
    // A future that has panicked is over, so the queue may have to be put on the loop again.
    drop(attached);
    trial.attach(&queue);
    queue.after(Duration::from_millis(1), log.say("later")).detach();
    trial.until("a timer after the panic", || log.len() == 2);
}

fn the_panic_ends_the_program() {
    let program = std::env::current_exe().expect("/proc");
    let mut program = Command::new(program);
    let status = program.arg(PANIC).stderr(Stdio::null()).status().expect("this program again");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
}

/// For a program that is to be aborted by it.
pub(super) fn panic_in_a_callback(trial: &mut Trial<'_>) {
    let queue = trial.queue();
    queue.post(|| resume_unwind(Box::new("as it should")));
    trial.turns_in(Duration::from_millis(100));
}
