//! What becomes of jobs: in which order they are done, and each is settled once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::PipeWriter;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tine::pool::{Failure, Job, WorkerReport, WorkerState};
use tine::{ErrorKind, Pool, Template};
use tine_tests::jobs::{Done, Heard, Jobs, Task, WORK, WORK_ASYNC, failure, pid_of, pool, running};
use tine_tests::told::{DEADLINE, eventually};
use tine_tests::{LONG, cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        every_job_is_answered,
        errors_and_panics_are_answers,
        the_urgent_come_first,
        jobs_of_another_pool_are_put_in_order_too,
        ten_thousand_are_put_in_order_quickly,
        cancelled_in_line,
        cancelled_while_it_runs,
        cancelled_and_not_heeded,
        past_its_deadline,
        a_deadline_begins_with_the_job,
        what_is_held_up_is_done_by_others,
        many_at_once_in_one_worker,
        forms_of_waiting,
        dropped_with_work_outstanding,
        dropped_in_a_callback,
        finished,
        a_request_that_cannot_be_sent,
        a_request_whose_encoding_panics,
        a_pool_of_nothing,
    ];
    runner::run(&template, cases)
}

/// A task that lasts until the writer is dropped.
fn held() -> (Task, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (Task::Hold(std::os::fd::OwnedFd::from(reader).into()), writer)
}

/// A pool of one worker, which is busy until the writer is dropped; its job is number 0.
fn busy(template: &Template, heard: &Heard) -> (Jobs, PipeWriter) {
    let jobs = pool(template).max(1).grace(Duration::ZERO).build().expect("a pool");
    let (task, writer) = held();
    heard.of(0, jobs.submit(task));
    running(&jobs, 1);
    (jobs, writer)
}

/// F28: as many workers as there may be, each with as many jobs as it may have, and every job answered.
fn every_job_is_answered(template: &Template) {
    for load in [1, 3] {
        let jobs = pool(template).max(3).load(load).build().expect("a pool");
        let heard = Heard::new();
        for number in 0..300 {
            heard.of(number, jobs.submit(Task::Answer));
        }
        assert_eq!(heard.count(), 0, "told inside the call");
        heard.wait_for(300);
        let report = jobs.report();
        assert_eq!((heard.with(None), report.done, report.failures()), (300, 300, 0), "{report}");
        assert!((1..=3).contains(&report.started), "{report}");
        assert_eq!((report.queued, report.running), (0, 0), "{report}");
    }
}

/// B3: what a worker answers instead of success is told with its text, and it lives on.
fn errors_and_panics_are_answers(template: &Template) {
    let jobs = pool(template).max(1).build().expect("a pool");
    let before = pid_of(&jobs.submit(Task::Answer));
    for (task, text) in [(Task::Fail, "as it was told"), (Task::Panic, "the handler panicked at")] {
        let error = failure(&jobs.submit(task));
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(pid_of(&jobs.submit(Task::Answer)), before);
    assert_eq!(jobs.report().failed, [(Failure::Failed, 2)].into());
}

/// B2: higher priorities first, equal ones in the order in which they came, as they are at the end.
fn the_urgent_come_first(template: &Template) {
    let heard = Heard::new();
    let (jobs, hold) = busy(template, &heard);
    let submit = |number, priority| heard.of(number, jobs.submit(Task::Answer).priority(priority));
    let lowered = submit(1, 9);
    let _plain = [submit(2, 0), submit(3, 5), submit(4, 0), submit(5, 5)];
    let raised = [submit(6, 0), submit(7, -3)];
    lowered.set_priority(-9);
    jobs.reprioritise(raised.iter().zip([7, 6]));
    drop(hold);
    heard.wait_for(8);
    assert_eq!(heard.order(), [0, 6, 7, 3, 5, 2, 4, 1]);
}

/// B2, E15: each in the line in which it stands, however many they are.
fn jobs_of_another_pool_are_put_in_order_too(template: &Template) {
    let heard = Heard::new();
    let (jobs, hold) = busy(template, &heard);
    let others = pool(template).max(1).build().expect("a pool");
    others.submit(Task::Answer).completion().recv().expect("its worker is there");
    let own: Vec<_> = (1..10).map(|number| heard.of(number, jobs.submit(Task::Answer))).collect();
    for foreign in [1, 10] {
        let foreign: Vec<_> = (0..foreign).map(|_| others.submit(Task::Answer)).collect();
        others.reprioritise(own.iter().chain(&foreign).zip(1..));
        eventually("the others are answered", || foreign.iter().all(Job::is_settled).then_some(()));
    }
    assert_eq!((jobs.report().queued, others.report().queued), (9, 0));
    drop(hold);
    heard.wait_for(10);
    assert_eq!(heard.order(), [0, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
}

/// The processor time of this thread, which nobody else's work adds to.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// B2: a scroll. What it takes is measured by bench `pool`; here, that it is no sort for each job.
fn ten_thousand_are_put_in_order_quickly(template: &Template) {
    let heard = Heard::new();
    let (jobs, hold) = busy(template, &heard);
    let waiting: Vec<_> = (0..10_000).map(|_| jobs.submit(Task::Answer)).collect();
    for turn in 0..10 {
        let before = worked();
        jobs.reprioritise(waiting.iter().zip((0..).map(|n: i32| (n * 7919 + turn) % 1000)));
        let took = worked() - before;
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    assert_eq!(jobs.report().queued, 10_000);
    waiting.iter().for_each(Job::cancel);
    drop(hold);
    heard.wait_for(1);
    assert_eq!((jobs.report().queued, jobs.report().done), (0, 1));
}

/// B2: a job that waits is dropped, and said to be cancelled once.
fn cancelled_in_line(template: &Template) {
    let heard = Heard::new();
    let (jobs, hold) = busy(template, &heard);
    let [one, two] = [1, 2].map(|number| heard.of(number, jobs.submit(Task::Answer)));
    one.cancel();
    one.cancel();
    assert_eq!(heard.count(), 0, "told inside the call");
    heard.wait_for(1);
    drop(hold);
    heard.wait_for(3);
    assert_eq!(heard.order(), [1, 0, 2]);
    assert_eq!(heard.with(Some(ErrorKind::Cancelled)), 1);
    two.cancel();
    let report = jobs.report();
    assert_eq!((report.done, report.failed), (2, [(Failure::Cancelled, 1)].into()));
}

/// B2: a job that runs is told, and its worker goes on to the next.
fn cancelled_while_it_runs(template: &Template) {
    let jobs = pool(template).max(1).grace(LONG).build().expect("a pool");
    let before = pid_of(&jobs.submit(Task::Answer));
    let job = jobs.submit(Task::UntilCancelled);
    running(&jobs, 1);
    job.cancel();
    assert_eq!(failure(&job).kind(), ErrorKind::Cancelled);
    assert_eq!(pid_of(&jobs.submit(Task::Answer)), before);
}

/// B2: one that does not heed it is killed with its worker, and another takes over.
fn cancelled_and_not_heeded(template: &Template) {
    let jobs = pool(template).max(1).load(2).grace(Duration::ZERO).build().expect("a pool");
    let before = pid_of(&jobs.submit(Task::Answer));
    let (job, behind) = (jobs.submit(Task::Endure), jobs.submit(Task::Answer));
    running(&jobs, 2);
    job.cancel();
    assert_eq!(failure(&job).kind(), ErrorKind::Cancelled);
    assert_ne!(pid_of(&behind), before);
    let report = jobs.report();
    assert_eq!((report.handed_back, report.failures()), (1, 1), "{report}");
}

/// B2: the worker is killed, the job says why, and another worker takes over, also what was behind it.
fn past_its_deadline(template: &Template) {
    let jobs = pool(template).max(1).load(2).build().expect("a pool");
    let before = pid_of(&jobs.submit(Task::Answer));
    let late = jobs.submit(Task::Endure).deadline(Duration::from_millis(20));
    let behind = jobs.submit(Task::Answer);
    let error = failure(&late);
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.to_string().contains(&format!("worker {before} ")), "{error}");
    assert_ne!(pid_of(&behind), before);
    assert_eq!(jobs.report().failed, [(Failure::Deadline, 1)].into());
}

/// B2: what a job waits for others does not count.
fn a_deadline_begins_with_the_job(template: &Template) {
    let jobs = pool(template).max(1).load(2).deadline(LONG).build().expect("a pool");
    let (task, hold) = held();
    let first = jobs.submit(task);
    let second = jobs.submit(Task::Answer).deadline(Duration::from_millis(500));
    running(&jobs, 2);
    let waited = tine::queue().completion();
    let timer = tine::queue().after(Duration::from_millis(501), {
        let waited = waited.clone();
        move || waited.send(())
    });
    waited.recv().expect("a timer");
    drop((timer, hold));
    assert_eq!(pid_of(&first), pid_of(&second));
}

/// B2: what stands behind a job that takes long is done by another worker when that has room, and before what came
/// later. What may not be done twice waits.
fn what_is_held_up_is_done_by_others(template: &Template) {
    let jobs = pool(template).max(2).idle(2).load(3).build().expect("a pool");
    let is_idle = |worker: &WorkerReport| worker.state == WorkerState::Idle;
    eventually("two workers", || {
        let workers = jobs.report().workers;
        (workers.len() == 2 && workers.iter().all(is_idle)).then_some(())
    });
    let (tasks, mut holds): (Vec<_>, Vec<_>) = [held(), held()].into_iter().unzip();
    let long: Vec<_> = tasks.into_iter().map(|task| jobs.submit(task)).collect();
    running(&jobs, 2);
    let twice = jobs.submit(Task::Answer).idempotent();
    let once = [(); 3].map(|()| jobs.submit(Task::Answer));
    running(&jobs, 6);
    let later = [(); 120].map(|()| jobs.submit(Task::Spin(Duration::from_millis(10))));
    let held = twice.worker();
    drop(holds.remove(usize::from(long[0].worker() == held)));
    assert_ne!(Some(pid_of(&twice)), held);
    assert!(jobs.report().queued > 0, "{:?}", jobs.report());
    for job in &later {
        pid_of(job);
    }
    let waits = |job: &&Job<_, _>| job.worker() == held;
    assert!(once.iter().filter(waits).all(|job| !job.is_settled()));
    drop(holds);
    for job in once.iter().chain(&long) {
        assert_eq!(job.worker(), Some(pid_of(job)));
    }
    let report = jobs.report();
    assert_eq!((report.done, report.handed_back, report.retried), (126, 1, 0));
    assert!(report.failed.is_empty() && report.ended.is_empty(), "{report:?}");
}

/// F28: an async worker does all that it has at the same time.
fn many_at_once_in_one_worker(template: &Template) {
    let builder = Pool::<Task, Done>::builder(template, WORK_ASYNC);
    let jobs = builder.max(1).load(4).parallel().build().expect("a pool");
    let heard = Heard::new();
    let mut holds = Vec::new();
    for number in 0..3 {
        let (task, hold) = held();
        heard.of(number, jobs.submit(task));
        holds.push(hold);
    }
    running(&jobs, 3);
    heard.of(3, jobs.submit(Task::Answer));
    heard.wait_for(1);
    while let Some(hold) = holds.pop() {
        drop(hold);
        heard.wait_for(4 - holds.len());
    }
    assert_eq!(heard.order(), [3, 2, 1, 0]);
}

/// E7: by callback, completion or await; who is first has it.
fn forms_of_waiting(template: &Template) {
    let jobs = pool(template).max(1).build().expect("a pool");
    let awaited = Rc::new(Cell::new(None));
    let (result, job) = (Rc::clone(&awaited), jobs.submit(Task::Answer));
    let mut future = Box::pin(async move { result.set(job.await.ok()) });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    eventually("a future", || future.as_mut().poll(&mut context).is_ready().then_some(()));
    let pid = awaited.take().expect("an answer").pid;
    assert_eq!(jobs.submit(Task::Answer).completion().recv().expect("an answer").pid, pid);
    let heard = Heard::new();
    let twice = heard.of(0, jobs.submit(Task::Answer));
    heard.wait_for(1);
    assert_eq!(twice.completion().recv().expect_err("nothing").kind(), ErrorKind::Misuse);
}

/// B2: what is in line and what runs is settled as cancelled; then the pool is gone.
fn dropped_with_work_outstanding(template: &Template) {
    let (heard, destroyed) = (Heard::new(), Rc::new(Cell::new(false)));
    let told = Rc::clone(&destroyed);
    let jobs = pool(template).max(2).on_destroy(move || told.set(true)).build().expect("a pool");
    for number in 0..10 {
        heard.of(number, jobs.submit(Task::Endure));
    }
    running(&jobs, 2);
    drop(jobs);
    assert_eq!(heard.count(), 0, "told inside the call");
    heard.wait_for(10);
    assert_eq!(heard.with(Some(ErrorKind::Cancelled)), 10);
    eventually("the pool's end", || destroyed.get().then_some(()));
    assert!(template.pid().is_some());
}

/// F28, E12: a callback may submit, cancel, change priorities, and drop the pool.
fn dropped_in_a_callback(template: &Template) {
    let heard = Heard::new();
    let jobs = pool(template).max(2).build().expect("a pool");
    let jobs = Rc::new(RefCell::new(Some(jobs)));
    let submit = |number, task| {
        heard.of(number, jobs.borrow().as_ref().expect("not yet dropped").submit(task))
    };
    let waiting: Vec<_> = (1..20).map(|number| submit(number, Task::Answer).priority(-1)).collect();
    let (all, then) = (Rc::clone(&jobs), heard.clone());
    submit(20, Task::Answer);
    let first = jobs.borrow().as_ref().expect("is").submit(Task::Answer).priority(5);
    let _first = first.on_done(move |_| {
        let pool = all.take().expect("not yet dropped");
        then.of(21, pool.submit(Task::Answer).priority(9));
        pool.reprioritise(waiting.iter().map(|job| (job, 3)));
        waiting[0].cancel();
        drop(pool);
    });
    heard.wait_for(21);
    let settled: BTreeSet<_> = heard.order().into_iter().collect();
    assert_eq!(settled, (1..=21).collect());
    assert!(heard.with(Some(ErrorKind::Cancelled)) + heard.with(None) == 21);
}

/// F28: everything that was submitted is done before the workers leave.
fn finished(template: &Template) {
    let (heard, destroyed) = (Heard::new(), Rc::new(Cell::new(false)));
    let told = Rc::clone(&destroyed);
    let builder = pool(template).max(2).idle(1).on_destroy(move || told.set(true));
    let jobs = builder.build().expect("a pool");
    for number in 0..50 {
        heard.of(number, jobs.submit(Task::Answer));
    }
    jobs.finish();
    eventually("the pool's end", || destroyed.get().then_some(()));
    assert_eq!((heard.count(), heard.with(None)), (50, 50));
}

/// B3: the job says why, and the worker is left alone.
fn a_request_that_cannot_be_sent(template: &Template) {
    let builder = pool(template).max(1).client(|client| client.limit(0));
    let jobs = builder.build().expect("a pool");
    let job = jobs.submit(Task::Answer);
    assert_eq!(failure(&job).kind(), ErrorKind::Misuse);
    let report = jobs.report();
    assert_eq!((report.started, report.failed), (1, [(Failure::Refused, 1)].into()));
}

struct Panics;

impl serde::Serialize for Panics {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        std::panic::resume_unwind(Box::new("no"))
    }
}

/// E13, B3: the panic is the turn's, and the job is settled all the same.
fn a_request_whose_encoding_panics(template: &Template) {
    let jobs = Pool::<Panics, Done>::builder(template, WORK).max(1).build().expect("a pool");
    let job = jobs.submit(Panics);
    // Every turn is looked at, as any may be the one.
    let begun = Instant::now();
    while std::panic::catch_unwind(|| tine::queue().turn(Some(DEADLINE))).is_ok() {
        assert!(begun.elapsed() < DEADLINE, "no panic: {}", jobs.report());
    }
    eventually("a job to be settled", || job.is_settled().then_some(()));
    assert_eq!(job.completion().recv().expect_err("nothing").kind(), ErrorKind::Misuse);
    assert_eq!(jobs.report().failed, [(Failure::Refused, 1)].into());
}

/// E15: nothing would ever be done.
fn a_pool_of_nothing(template: &Template) {
    for builder in [pool(template).max(0), pool(template).load(0)] {
        assert_eq!(builder.build().expect_err("nothing").kind(), ErrorKind::Misuse);
    }
}
