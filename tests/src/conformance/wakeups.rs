//! Rule 3: no wake-up without work, counted by turns of the loop and by the kernel, which knows how
//! often each thread of the process went to sleep.

use super::trial::Log;
use super::{Trial, behaviours};
use std::fs;
use std::time::Duration;
use tine::Interest;

behaviours!("K1":
    an_idle_queue_wakes_nobody,
    watchers_with_nothing_to_tell_wake_nobody,
    a_timer_put_off_wakes_nobody_at_its_old_deadline,
    work_done_is_forgotten,
);

const WHILE: Duration = Duration::from_millis(400);
/// The loop's own timeout ends the wait, and a thread beside it may have to be waited for.
const SLEEPS: u64 = 6;

/// How often the threads of this process went to sleep of their own will, and how long they ran, in
/// clock ticks.
fn sleeps_and_ticks() -> (u64, u64) {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let counts = tasks.filter_map(|task| {
        let task = task.ok()?.path();
        let status = fs::read_to_string(task.join("status")).ok()?;
        let sleeps =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        // Fields 14 and 15 of proc(5); the second is the last that may hold blanks.
        let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some((sleeps.trim().parse::<u64>().ok()?, ticks))
    });
    counts.fold((0, 0), |sum, task| (sum.0 + task.0, sum.1 + task.1))
}

fn assert_quiet(trial: &mut Trial<'_>) {
    // What the loop does once after work is not counted.
    trial.turns_in(Duration::from_millis(50));
    let (slept, ran) = sleeps_and_ticks();
    let turns = trial.turns_in(WHILE);
    let (sleeps, ticks) = sleeps_and_ticks();
    let (sleeps, ticks) = (sleeps - slept, ticks - ran);
    let (name, most) = (trial.host().name(), SLEEPS + trial.host().falls_asleep_in());
    // Ticks are hundredths of a second.
    let quiet = turns <= 2 && sleeps <= most && ticks <= 5;
    assert!(quiet, "{name} in {WHILE:?}: {turns} turns, {sleeps} sleeps, {ticks} ticks");
}

fn an_idle_queue_wakes_nobody(trial: &mut Trial<'_>) {
    let _queue = trial.queue();
    assert_quiet(trial);
}

fn watchers_with_nothing_to_tell_wake_nobody(trial: &mut Trial<'_>) {
    let queue = trial.queue();
    let (_ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    let _timer = queue.every(Duration::from_secs(60), || ());
    let _io = queue.io(theirs, Interest::READABLE, |_, _| ()).expect("a watcher");
    assert_quiet(trial);
}

fn a_timer_put_off_wakes_nobody_at_its_old_deadline(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    let timer = queue.after(Duration::from_millis(120), log.say("due"));
    let dropped = queue.after(Duration::from_millis(150), log.say("due"));
    assert!(timer.reset(Duration::from_secs(60)));
    drop(dropped);
    assert_quiet(trial);
    assert_eq!(log.len(), 0);
}

fn work_done_is_forgotten(trial: &mut Trial<'_>) {
    let (queue, log) = (trial.queue(), Log::default());
    queue.post(log.say("post"));
    queue.after(Duration::from_millis(1), log.say("timer")).detach();
    let (poster, said) = (queue.poster(), std::sync::mpsc::channel());
    let post = move || said.0.send(()).expect("a receiver");
    std::thread::spawn(move || poster.post(post).expect("the queue lives"))
        .join()
        .expect("a thread");
    trial.until("all three", || log.len() == 2 && said.1.try_recv().is_ok());
    assert_quiet(trial);
}
