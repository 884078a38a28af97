//! Whoever dies or misbehaves: every job is settled once, and the pool goes on.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::PipeWriter;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tine::pool::{Failure, Leave};
use tine::{ErrorKind, Pool, Template, rpc};
use tine_tests::jobs::{Done, Heard, Jobs, Task, failure, pid_of, pool, running};
use tine_tests::told::eventually;
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        one_that_dies_takes_one_job_along,
        what_may_be_done_twice_is,
        poison_is_set_aside,
        no_retries,
        one_that_exits_in_the_middle,
        one_that_breaks_the_protocol,
        one_that_is_stopped,
        a_template_that_dies,
        a_template_that_is_given_up,
        an_entry_that_is_not_there,
        an_entry_that_does_not_serve,
        a_preparation_that_fails,
        one_that_is_never_ready,
        a_storm_of_kills,
        a_storm_of_kills_in_a_pool_that_is_dropped,
    ];
    runner::run(&template, cases)
}

fn held() -> (Task, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (Task::Hold(std::os::fd::OwnedFd::from(reader).into()), writer)
}

fn signal(pid: Option<u32>, signal: Signal) {
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The account of the end of the worker that a job died with.
fn exit_of(error: &tine::Error) -> String {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(rpc::Error::Ended(exit)) = error.downcast_ref() {
            return exit.to_string();
        }
        source = error.source();
    }
    panic!("no account of an end: {error}");
}

/// B3: the one that it had begun, with the account of the end; the others are done by another.
fn one_that_dies_takes_one_job_along(template: &Template) {
    let jobs = pool(template).max(1).load(4).build().expect("a pool");
    let heard = Heard::new();
    let dying = jobs.submit(Task::Die(libc::SIGSEGV));
    (0..6).for_each(|number| drop(heard.of(number, jobs.submit(Task::Answer))));
    let error = failure(&dying);
    assert_eq!(error.kind(), ErrorKind::NoProcess);
    let exit = exit_of(&error);
    assert!(exit.contains("was killed by SIGSEGV"), "{exit}");
    assert!(exit.contains(&format!("worker {} ", dying.worker().expect("it had one"))), "{exit}");
    heard.wait_for(6);
    assert_eq!(heard.order(), [0, 1, 2, 3, 4, 5]);
    let report = jobs.report();
    assert_eq!((heard.with(None), report.handed_back, report.retried), (6, 3, 0), "{report}");
    assert_eq!(report.failed, [(Failure::Died, 1)].into());
}

/// B4: a job whose worker was killed is done by another, in its old place.
fn what_may_be_done_twice_is(template: &Template) {
    let jobs = pool(template).max(1).build().expect("a pool");
    let heard = Heard::new();
    let (task, hold) = held();
    heard.of(0, jobs.submit(task).idempotent());
    heard.of(1, jobs.submit(Task::Answer));
    running(&jobs, 1);
    let pid = jobs.report().workers[0].pid;
    signal(pid, Signal::KILL);
    eventually("another", || {
        let report = jobs.report();
        (report.running == 1 && report.workers.iter().all(|one| one.pid != pid)).then_some(())
    });
    drop(hold);
    heard.wait_for(2);
    assert_eq!((heard.order(), heard.with(None), jobs.report().retried), (vec![0, 1], 2, 1));
}

/// B4: it is tried no more, and given to who asks.
fn poison_is_set_aside(template: &Template) {
    let jobs = pool(template).max(1).poison_after(3).retries(9).build().expect("a pool");
    let error = failure(&jobs.submit(Task::Die(libc::SIGABRT)).idempotent());
    assert_eq!(error.kind(), ErrorKind::Poison);
    assert!(exit_of(&error).contains("was killed by SIGABRT"), "{error}");
    let aside: Vec<_> = jobs.take_poison().collect();
    assert!(matches!(&aside[..], [task] if matches!(**task, Task::Die(libc::SIGABRT))));
    assert_eq!(jobs.take_poison().count(), 0);
    let report = jobs.report();
    assert_eq!((report.started, report.retried), (3, 2), "{report}");
    assert_eq!(report.failed, [(Failure::Poison, 1)].into());
    pid_of(&jobs.submit(Task::Answer));
}

/// B4: as often as was said, which may be never.
fn no_retries(template: &Template) {
    let jobs = pool(template).max(1).retries(0).poison_after(9).build().expect("a pool");
    let error = failure(&jobs.submit(Task::Die(libc::SIGABRT)).idempotent());
    assert_eq!((error.kind(), jobs.report().retried), (ErrorKind::NoProcess, 0));
}

/// F11: an end without an answer is one, also with success.
fn one_that_exits_in_the_middle(template: &Template) {
    let jobs = pool(template).max(1).load(2).build().expect("a pool");
    let (gone, behind) = (jobs.submit(Task::Exit), jobs.submit(Task::Answer));
    assert!(exit_of(&failure(&gone)).contains("exited with 0"));
    pid_of(&behind);
}

/// Rule 9: it is killed, its job is told why, and others are not touched.
fn one_that_breaks_the_protocol(template: &Template) {
    let jobs = pool(template).max(1).load(3).build().expect("a pool");
    pid_of(&jobs.submit(Task::Answer));
    let (broken, behind) = (jobs.submit(Task::Garble), jobs.submit(Task::Answer));
    assert_eq!(failure(&broken).kind(), ErrorKind::Protocol);
    pid_of(&behind);
    eventually("its end", || jobs.report().ended.contains_key(&Leave::Broken).then_some(()));
}

/// B2: a deadline ends also what does not run.
fn one_that_is_stopped(template: &Template) {
    let jobs = pool(template).max(1).build().expect("a pool");
    let (task, _hold) = held();
    let job = jobs.submit(task).deadline(Duration::from_millis(100));
    running(&jobs, 1);
    signal(jobs.report().workers[0].pid, Signal::STOP);
    assert_eq!(failure(&job).kind(), ErrorKind::Deadline);
    pid_of(&jobs.submit(Task::Answer));
}

/// B4: its workers die with it; a new one makes new workers, and no job is called poison for it.
fn a_template_that_dies(_: &Template) {
    let template = Template::exec().expect("a template");
    let jobs = pool(&template).max(2).idle(2).poison_after(1).build().expect("a pool");
    for _ in 0..3 {
        let (task, hold) = held();
        let (other, _hold) = held();
        let (again, lost) = (jobs.submit(task).idempotent(), jobs.submit(other));
        running(&jobs, 2);
        signal(template.pid(), Signal::KILL);
        assert!(exit_of(&failure(&lost)).contains("died with its template"));
        drop(hold);
        pid_of(&again);
    }
    let report = jobs.report();
    assert_eq!((report.template.deaths, report.retried), (3, 3), "{report}");
}

/// B4: then there is nobody to do the work, and every job says so, also those that come later.
fn a_template_that_is_given_up(_: &Template) {
    let template = Template::program("/bin/true").expect("a program, if no template");
    let jobs = pool(&template).max(2).idle(1).build().expect("a pool");
    for job in (0..10).map(|_| jobs.submit(Task::Answer)).collect::<Vec<_>>() {
        assert_eq!(failure(&job).kind(), ErrorKind::NoTemplate);
    }
    let error = failure(&jobs.submit(Task::Answer));
    assert!(error.to_string().contains("the template is given up"), "{error}");
}

/// F11, E15: it is tried a few times, and every job is told which entries there are.
fn an_entry_that_is_not_there(template: &Template) {
    let builder = Pool::<Task, Done>::builder(template, "nowhere::nothing");
    let jobs = builder.max(2).idle(2).build().expect("a pool");
    let waiting: Vec<_> = (0..5).map(|_| jobs.submit(Task::Answer)).collect();
    for job in &waiting {
        let error = failure(job).to_string();
        assert!(error.contains("jobs::work"), "{error}");
    }
    // Nothing is tried without a reason.
    let before = template.report().processes;
    let error = failure(&jobs.submit(Task::Answer));
    assert_eq!(error.kind(), ErrorKind::NoProcess);
    assert!(template.report().processes - before <= 2, "{}", jobs.report());
}

tine::entry!(NOT_SERVING = not_serving);
fn not_serving(_: tine::Worker) {}

/// F11: one that returns without a word is no worker of a pool.
fn an_entry_that_does_not_serve(template: &Template) {
    let builder = Pool::<Task, Done>::builder(template, NOT_SERVING);
    let jobs = builder.idle(1).build().expect("a pool");
    let error = failure(&jobs.submit(Task::Answer));
    assert!(error.to_string().contains("returned"), "{error}");
}

tine::function!(REFUSE = refuse);
fn refuse(_: &mut tine::Items, _: Vec<Vec<u8>>) -> Result<(), String> {
    Err("it is too cold".into())
}

/// F5: with its text.
fn a_preparation_that_fails(template: &Template) {
    let builder = pool(template).prepare(|process| process.call(REFUSE, [""; 0]));
    let jobs = builder.build().expect("a pool");
    let error = failure(&jobs.submit(Task::Answer)).to_string();
    assert!(error.contains("it is too cold"), "{error}");
}

tine::entry!(NEVER_READY = never_ready);
fn never_ready(_worker: tine::Worker) {
    loop {
        std::thread::park();
    }
}

/// Rule 9: a worker that never says that it serves is killed.
fn one_that_is_never_ready(template: &Template) {
    let builder = Pool::<Task, Done>::builder(template, NEVER_READY);
    let jobs = builder.max(1).ready(Duration::from_millis(5)).build().expect("a pool");
    let error = failure(&jobs.submit(Task::Answer));
    assert_eq!(error.kind(), ErrorKind::NoProcess, "{error}");
    eventually("its end", || (jobs.report().ended[&Leave::NeverReady] >= 5).then_some(()));
}

/// Numbers that look random, the same each time (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn task(&mut self) -> Task {
        match self.below(60) {
            0 => Task::Die(libc::SIGSEGV),
            1 => Task::Exit,
            2 => Task::Panic,
            3 => Task::Fail,
            4 => Task::Retire,
            5 => Task::Garble,
            6 => Task::Endure,
            7 => Task::UntilCancelled,
            _ => Task::Answer,
        }
    }
}

/// Submits `total` jobs, and kills, stops, cancels and re-orders meanwhile.
fn storm(jobs: &Jobs, template: &Template, total: u32, chance: &mut Chance, heard: &Heard) {
    let mut lately = VecDeque::new();
    for number in 0..total {
        let job = jobs.submit(chance.task()).priority(chance.below(5) as i32);
        // What would never end has a deadline.
        let job = job.deadline(Duration::from_millis(200));
        let job = if chance.one_in(2) { job.idempotent() } else { job };
        lately.push_back(heard.of(number, job));
        if chance.one_in(20) {
            let workers = jobs.report().workers;
            let one = workers.get(chance.below(workers.len().max(1) as u64) as usize);
            let with = if chance.one_in(4) { Signal::STOP } else { Signal::KILL };
            signal(one.and_then(|worker| worker.pid), with);
        }
        if chance.one_in(150) {
            signal(template.pid(), Signal::KILL);
        }
        if chance.one_in(10) {
            lately[chance.below(lately.len() as u64) as usize].cancel();
        }
        if chance.one_in(100) {
            jobs.reprioritise(lately.iter().zip(0..));
        }
        if lately.len() > 200 {
            lately.pop_front();
        }
        while number as usize > heard.count() + 100 {
            tine::queue().turn(None).expect("a queue");
        }
    }
}

/// B3, B4: thousands of jobs; workers and templates are killed and stopped. [`Heard`] sees to it that none is
/// told twice.
fn a_storm_of_kills(_: &Template) {
    let template = Template::exec().expect("a template");
    for (load, seed) in [(1, 1), (3, 2)] {
        let builder = pool(&template).max(4).load(load).grace(Duration::from_millis(20));
        let jobs = builder.build().expect("a pool");
        let (heard, mut chance) = (Heard::new(), Chance(seed));
        storm(&jobs, &template, 2000, &mut chance, &heard);
        heard.wait_for(2000);
        let report = jobs.report();
        assert_eq!(report.done + report.failures(), 2000, "{report}");
        assert_eq!(heard.with(None) as u64, report.done, "{report}");
        assert!(report.done > 1200, "most are left alone: {report}");
        assert!(report.retried > 0 && report.template.deaths > 0, "there was a storm: {report}");
    }
}

/// B2, B4: whatever it was about when it was dropped.
fn a_storm_of_kills_in_a_pool_that_is_dropped(_: &Template) {
    let template = Template::exec().expect("a template");
    let mut chance = Chance(3);
    for round in 0..20 {
        let destroyed = Rc::new(RefCell::new(false));
        let told = Rc::clone(&destroyed);
        let builder = pool(&template).max(3).load(2).on_destroy(move || {
            assert!(!told.replace(true), "destroyed twice");
        });
        let jobs = builder.build().expect("a pool");
        let heard = Heard::new();
        storm(&jobs, &template, 100 + round, &mut chance, &heard);
        drop(jobs);
        heard.wait_for(100 + round as usize);
        eventually("the pool's end", || destroyed.borrow().then_some(()));
        assert_eq!(heard.count(), 100 + round as usize);
    }
}
