//! Which workers there are: when one is started, kept, replaced and sent away, and what is told of them.

use std::collections::BTreeMap;
use std::io::PipeWriter;
use std::process::ExitCode;
use std::time::Duration;

use tine::pool::{Leave, Recycle, WorkerState};
use tine::{ErrorKind, Hold, Rung, Sandbox, Template};
use tine_tests::jobs::{Heard, Jobs, Task, failure, pid_of, pool, running};
use tine_tests::told::eventually;
use tine_tests::{LONG, cases, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        none_until_there_is_work,
        kept_when_there_is_nothing_to_do,
        sent_away_at_once,
        kept_for_a_while,
        another_is_started_late,
        another_is_started_after_the_delay,
        retired_by_themselves,
        replaced_after_so_many_jobs,
        replaced_after_so_many_at_once,
        replaced_at_their_age,
        replaced_for_their_memory,
        prepared_once_for_all,
        each_in_a_sandbox,
        a_minimum_that_cannot_be_had,
        an_idle_one_that_does_not_leave,
        as_many_as_processors,
    ];
    runner::run(&template, cases)
}

/// Jobs that last until the writers are dropped.
fn hold(jobs: &Jobs, count: u32, heard: &Heard) -> Vec<PipeWriter> {
    let one = |number| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        heard.of(number, jobs.submit(Task::Hold(std::os::fd::OwnedFd::from(reader).into())));
        writer
    };
    (0..count).map(one).collect()
}

fn idle(jobs: &Jobs) -> usize {
    jobs.report().states().get(&WorkerState::Idle).copied().unwrap_or(0)
}

fn left(jobs: &Jobs, leave: Leave) -> u64 {
    jobs.report().ended.get(&leave).copied().unwrap_or(0)
}

/// F28: a pool costs nothing before it is used.
fn none_until_there_is_work(template: &Template) {
    let jobs = pool(template).build().expect("a pool");
    assert_eq!(jobs.report().workers, []);
    pid_of(&jobs.submit(Task::Answer));
    assert_eq!(jobs.report().workers.len(), 1);
}

/// F28, B4: they are there before work is, and again when one is killed.
fn kept_when_there_is_nothing_to_do(template: &Template) {
    let jobs = pool(template).max(3).idle(2).stop(Duration::ZERO).build().expect("a pool");
    eventually("two that wait", || (idle(&jobs) == 2).then_some(()));
    let heard = Heard::new();
    drop(hold(&jobs, 9, &heard));
    heard.wait_for(9);
    eventually("two that wait", || (idle(&jobs) == 2).then_some(()));
    let workers = jobs.report().workers;
    let idle_one = workers.iter().find(|worker| worker.state == WorkerState::Idle);
    let pid = idle_one.and_then(|worker| worker.pid).expect("it is there");
    jobs.kill(pid, libc::SIGKILL).expect("ours");
    eventually("its death", || (left(&jobs, Leave::Died) == 1).then_some(()));
    eventually("two that wait", || (idle(&jobs) == 2).then_some(()));
}

/// F28: `stop(0)` means 0.
fn sent_away_at_once(template: &Template) {
    let jobs = pool(template).max(2).stop(Duration::ZERO).build().expect("a pool");
    pid_of(&jobs.submit(Task::Answer));
    assert_eq!(jobs.report().states().get(&WorkerState::Idle), None);
    eventually("none", || jobs.report().workers.is_empty().then_some(()));
    assert_eq!(left(&jobs, Leave::Idle), 1);
}

/// F28: one that had nothing to do for long is sent away, and another comes when there is work again.
fn kept_for_a_while(template: &Template) {
    let stop = Duration::from_millis(50);
    let jobs = pool(template).max(2).stop(stop).build().expect("a pool");
    let first = pid_of(&jobs.submit(Task::Answer));
    assert_eq!(pid_of(&jobs.submit(Task::Answer)), first);
    eventually("none", || jobs.report().workers.is_empty().then_some(()));
    assert_eq!(left(&jobs, Leave::Idle), 1);
    assert_ne!(pid_of(&jobs.submit(Task::Answer)), first);
}

/// F28: work that one worker gets done in time does not start another.
fn another_is_started_late(template: &Template) {
    let jobs = pool(template).max(3).start(LONG).build().expect("a pool");
    let heard = Heard::new();
    let holds = hold(&jobs, 3, &heard);
    running(&jobs, 1);
    assert_eq!((jobs.report().workers.len(), jobs.report().queued), (1, 2));
    drop(holds);
    heard.wait_for(3);
    assert_eq!(jobs.report().started, 1);
}

/// F28: and work that it does not get done does.
fn another_is_started_after_the_delay(template: &Template) {
    let jobs = pool(template).max(3).start(Duration::from_millis(10)).build().expect("a pool");
    let heard = Heard::new();
    let holds = hold(&jobs, 4, &heard);
    running(&jobs, 3);
    assert_eq!(jobs.report().queued, 1);
    drop(holds);
    heard.wait_for(4);
}

/// F28: a worker that asks for no more gets no more, and nothing that it was sent meanwhile is lost.
fn retired_by_themselves(template: &Template) {
    let jobs = pool(template).max(1).load(5).build().expect("a pool");
    let heard = Heard::new();
    for number in 0..40 {
        let task = if number % 8 == 0 { Task::Retire } else { Task::Answer };
        heard.of(number, jobs.submit(task));
    }
    heard.wait_for(40);
    let report = jobs.report();
    assert_eq!((heard.with(None), report.retried, report.failures()), (40, 0, 0), "{report}");
    eventually("five that have left", || (left(&jobs, Leave::Retired) == 5).then_some(()));
}

/// B11: with the reason.
fn replaced_after_so_many_jobs(template: &Template) {
    let jobs = pool(template).max(1).recycle(Recycle::never().jobs(3)).build().expect("a pool");
    let pids: Vec<_> = (0..9).map(|_| pid_of(&jobs.submit(Task::Answer))).collect();
    assert!(pids.chunks(3).all(|three| three.iter().all(|pid| *pid == three[0])), "{pids:?}");
    eventually("three that have left", || (left(&jobs, Leave::Jobs) == 3).then_some(()));
    assert_eq!(jobs.report().started, 3);
}

/// B11: it is not given more than it is to do, though it may have as many in hand; none, for who says 0, is one.
fn replaced_after_so_many_at_once(template: &Template) {
    for (recycle, most) in [(3, 3), (0, 1)] {
        let recycle = Recycle::never().jobs(recycle);
        let jobs = pool(template).max(2).load(4).recycle(recycle).build().expect("a pool");
        let submitted: Vec<_> = (0..12).map(|_| jobs.submit(Task::Answer)).collect();
        let mut done = BTreeMap::new();
        for pid in submitted.iter().map(pid_of) {
            *done.entry(pid).or_insert(0) += 1;
        }
        assert!(done.values().all(|jobs| *jobs <= most), "{done:?}");
    }
}

/// B11: one that is of age ends what it has in hand.
fn replaced_at_their_age(template: &Template) {
    let recycle = Recycle::never().age(Duration::from_millis(10));
    let jobs = pool(template).max(1).recycle(recycle).build().expect("a pool");
    let heard = Heard::new();
    let holds = hold(&jobs, 1, &heard);
    eventually("one that retires", || {
        jobs.report().states().contains_key(&WorkerState::Leaving).then_some(())
    });
    assert_eq!(heard.count(), 0);
    // It counts no more, so another takes over what comes.
    pid_of(&jobs.submit(Task::Answer));
    drop(holds);
    heard.wait_for(1);
    assert_eq!(heard.with(None), 1);
    eventually("one that has left", || (left(&jobs, Leave::Age) >= 1).then_some(()));
}

/// B11: memory that a job leaves behind is given back; what is shared is no reason.
fn replaced_for_their_memory(template: &Template) {
    let recycle = Recycle::never().memory(64 << 20);
    let jobs = pool(template).max(1).recycle(recycle).build().expect("a pool");
    let first = pid_of(&jobs.submit(Task::Keep(8 << 20)));
    assert_eq!(pid_of(&jobs.submit(Task::Keep(8 << 20))), first);
    assert_eq!(pid_of(&jobs.submit(Task::Keep(64 << 20))), first);
    assert_ne!(pid_of(&jobs.submit(Task::Answer)), first);
    eventually("one that has left", || (left(&jobs, Leave::Memory) == 1).then_some(()));
}

tine::function!(REMEMBER = remember);
fn remember(_: &mut tine::Items, _: Vec<Vec<u8>>) {
    std::mem::forget(vec![7_u8; 32 << 20]);
}

/// F5, B11: code that prepares runs once; what it has left in memory is shared, and the ledger says so.
fn prepared_once_for_all(template: &Template) {
    let builder = pool(template).max(2).idle(2).prepare(|process| process.call(REMEMBER, [""; 0]));
    let jobs = builder.build().expect("a pool");
    eventually("two that wait", || (idle(&jobs) == 2).then_some(()));
    let report = jobs.report();
    assert_eq!(report.workers.len(), 2);
    for memory in report.workers.iter().map(|worker| worker.memory.expect("it is there")) {
        assert!(memory.private < 16 << 20, "{report}");
        assert!(memory.shared > 32 << 20, "{report}");
        assert!(memory.saved > 16 << 20, "{report}");
    }
    assert!(report.memory().saved > 40 << 20, "{report}");
    assert!(report.to_string().contains("MiB saved"), "{report}");
}

/// B8: each worker says what holds of its sandbox.
fn each_in_a_sandbox(template: &Template) {
    let sandbox = Sandbox::decoder().require(Rung::NoNewPrivs, Hold::Full);
    let jobs = pool(template).max(2).sandbox(&sandbox).build().expect("a pool");
    let pid = pid_of(&jobs.submit(Task::Answer));
    assert_eq!(processes::status(pid, "NoNewPrivs").as_deref(), Some("1"));
    let report = jobs.report();
    let postures = report.postures();
    let [(posture, 1)] = postures[..] else { panic!("not one posture: {report}") };
    assert_eq!(posture.hold(Rung::NoNewPrivs), Hold::Full);
    assert!(report.to_string().contains("rungs hold"), "{report}");
    for (rung, hold, _) in posture.rungs().filter(|(_, hold, _)| *hold != Hold::Full) {
        assert!(report.to_string().contains(&format!(", {rung}: {hold}")), "{report}");
    }
}

/// B8: the jobs say why, each once, and it is not tried for ever.
fn a_minimum_that_cannot_be_had(template: &Template) {
    let sandbox = Sandbox::new().require(Rung::Network, Hold::Full);
    let jobs = pool(template).max(2).sandbox(&sandbox).build().expect("a pool");
    let waiting: Vec<_> = (0..5).map(|_| jobs.submit(Task::Answer)).collect();
    for job in &waiting {
        let error = failure(job);
        assert_eq!(error.kind(), ErrorKind::Sandbox, "{error}");
        assert!(error.to_string().contains("sandbox: Landlock network is missing"), "{error}");
    }
    assert!(jobs.report().ended[&Leave::NeverReady] <= 20, "{}", jobs.report());
}

/// F28, rule 9: a worker that is told to leave and does not is killed.
fn an_idle_one_that_does_not_leave(template: &Template) {
    let builder = pool(template).max(1).stop(Duration::ZERO).grace(Duration::from_millis(10));
    let jobs = builder.build().expect("a pool");
    let heard = Heard::new();
    let holds = hold(&jobs, 1, &heard);
    running(&jobs, 1);
    let pid = jobs.report().workers[0].pid.expect("it is there");
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process id");
    // It answers in time, and is stopped before it hears that nothing more comes.
    drop(holds);
    eventually("an answer", || (jobs.report().running == 0).then_some(()));
    let _gone = rustix::process::kill_process(pid, rustix::process::Signal::STOP);
    eventually("none", || jobs.report().workers.is_empty().then_some(()));
}

/// F28: the default.
fn as_many_as_processors(template: &Template) {
    let count = tine::pool::ncpu();
    assert!(count >= 1);
    let jobs = pool(template).build().expect("a pool");
    let heard = Heard::new();
    let holds = hold(&jobs, count as u32 + 3, &heard);
    running(&jobs, count);
    assert_eq!((jobs.report().queued, jobs.report().workers.len()), (3, count));
    drop(holds);
    heard.wait_for(count + 3);
}
