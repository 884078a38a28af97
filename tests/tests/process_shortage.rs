//! Descriptors run out, in the app or in the template: clear errors or waiting, nothing lost, and all is
//! well again afterwards.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tine::pool::Leave;
use tine::{Cause, ErrorKind, Process, Template, Worker};
use tine_tests::jobs::{self, Heard, Task};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ITEMS, RETURN, STAY, items};
use tine_tests::{cases, descriptors, native, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        none_left_for_a_request,
        few_left_for_a_template,
        few_left_when_a_template_is_stuck,
        few_left_beside_workers,
        none_left_for_an_answer,
        none_left_for_many_answers,
        none_left_for_those_to_be_killed,
        few_left_for_a_burst,
        requests_that_wait_hold_none,
        the_template_has_more_than_the_app,
        the_template_has_few_of_its_own,
        the_template_has_none_for_what_comes,
        a_template_that_has_most_of_what_it_may,
        a_template_that_cannot_have_what_it_is_sent,
        a_worker_cannot_take_what_it_is_sent,
        a_pool_outlasts_one,
    ];
    runner::run(&template, cases)
}

/// A lower limit of open descriptors, until it is dropped.
struct Limit(Rlimit);

impl Limit {
    fn to(current: u64) -> Limit {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..before })
            .expect("lower is allowed");
        Limit(before)
    }

    /// None can be opened but `more`.
    fn to_open_ones_and(more: u64) -> Limit {
        let open: Vec<u64> =
            descriptors().keys().map(|number| number.parse().expect("a number")).collect();
        // Those that are free below the highest that is open count too.
        let nth_free = (0..).filter(|number| !open.contains(number)).nth(more as usize);
        Limit::to(nth_free.expect("numbers do not end"))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).expect("back to where it was");
    }
}

fn works(template: &Template) {
    assert!(Told::run(template.fork(), RETURN).exit().success());
}

/// F10: told by the callback, with the kernel's reason.
fn none_left_for_a_request(template: &Template) {
    let limit = Limit::to_open_ones_and(0);
    let told: Vec<_> = (0..5).map(|_| Told::run(template.fork(), RETURN)).collect();
    for told in &told {
        let error = told.refusal();
        let errno = error.io().and_then(std::io::Error::raw_os_error);
        assert_eq!(errno, Some(libc::EMFILE), "{error}");
    }
    drop(limit);
    assert!(told.iter().all(|told| told.words() == ["refusal"]));
    works(template);
}

/// F10: one for which there were just enough is known by its pidfd as any other, and so leaves no zombie.
fn few_left_for_a_template(_: &Template) {
    for few in 0..8 {
        let limit = Limit::to_open_ones_and(few);
        let executed = Template::exec();
        drop(limit);
        executed.iter().for_each(works);
    }
}

/// B4: requests that a stuck template has, or that wait for it, hold all there are; none is lost when it is made anew.
fn few_left_when_a_template_is_stuck(_: &Template) {
    let template = Template::exec().expect("a template");
    works(&template);
    template.set_deadline(Duration::from_millis(200));
    let pid = Pid::from_raw(processes::of(&template).cast_signed()).expect("an id");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it lives");
    let limit = Limit::to_open_ones_and(30);
    let ended = Rc::new(Cell::new(0));
    for _ in 0..100 {
        let ended = Rc::clone(&ended);
        // The socket is closed at once.
        let running = template.fork().run(RETURN, |socket| drop(socket.expect("a process")));
        drop(running.on_exit(move |exit| ended.set(ended.get() + u32::from(exit.success()))));
    }
    eventually("all ends", || (ended.get() == 100).then_some(()));
    assert_eq!(template.report().deaths, 1);
    drop(limit);
}

/// Rule 4: workers hold what there is, and a request gets what comes free when one of them ends soon, or else an error.
fn few_left_beside_workers(template: &Template) {
    let limit = Limit::to_open_ones_and(8);
    let mut told = vec![Told::run(template.fork(), STAY)];
    while told[told.len() - 1].settled() {
        told.push(Told::run(template.fork(), STAY));
    }
    let short = told.pop().expect("the last one").refusal();
    assert_eq!(short.io().and_then(std::io::Error::raw_os_error), Some(libc::EMFILE), "{short}");
    let waiting = Told::run(template.fork(), RETURN);
    drop(told.pop().expect("one that stays").socket());
    assert!(waiting.exit().success());
    drop(limit);
    for told in told {
        drop(told.socket());
        told.exit();
    }
    works(template);
}

/// Rule 4: the template's answer brings a descriptor that finds no place; the worker exists all the same.
fn none_left_for_an_answer(template: &Template) {
    let told = Told::run(template.fork(), STAY);
    let limit = Limit::to_open_ones_and(0);
    assert!(told.settled());
    drop(limit);
    drop(told.socket());
    assert_eq!(*told.exit().cause(), Cause::Returned);
    works(template);
}

/// Rule 4: nor do a hundred answers that lost theirs use up the requests that a template may have.
fn none_left_for_many_answers(template: &Template) {
    for _ in 0..3 {
        let told: Vec<_> = (0..40).map(|_| Told::run(template.fork(), RETURN)).collect();
        let limit = Limit::to_open_ones_and(0);
        told.iter().for_each(|told| {
            told.settled();
        });
        drop(limit);
        told.iter().for_each(|told| assert!(told.exit().success()));
    }
    works(template);
}

/// Rule 4: a worker whose pidfd found no place can be stopped and killed all the same, also as a pool does it.
fn none_left_for_those_to_be_killed(template: &Template) {
    let told: Vec<_> = (0..20).map(|_| Told::run(template.fork(), STAY)).collect();
    let limit = Limit::to_open_ones_and(0);
    told.iter().for_each(|told| assert!(told.settled()));
    drop(limit);
    told.iter().for_each(stop_and_kill);
    let pool = jobs::pool(template).max(1).idle(1).build().expect("a pool");
    // The socket of its worker is made in a turn, and the answer comes in another.
    let mut limit = None;
    eventually("a worker", || {
        let workers = pool.report().workers;
        if limit.is_none() && !workers.is_empty() {
            limit = Some(Limit::to_open_ones_and(0));
        }
        workers.iter().any(|worker| worker.pid.is_some()).then_some(())
    });
    drop(limit);
    let heard = Heard::new();
    heard.of(0, pool.submit(Task::Answer));
    heard.wait_for(1);
    let pid = pool.report().workers[0].pid.expect("a process");
    pool.kill(pid, libc::SIGSTOP).expect("a worker");
    // The signal goes by way of the template.
    eventually("it is stopped", || {
        processes::status(pid, "State").filter(|state| state.starts_with('T'))
    });
    heard.of(1, pool.submit(Task::Answer).deadline(Duration::from_millis(50)));
    heard.wait_for(2);
    assert_eq!(heard.with(Some(ErrorKind::Deadline)), 1);
    eventually("its end", || (!processes::is_alive(pid)).then_some(()));
}

/// What is killed last is killed, though it was stopped before and is to be stopped after.
fn stop_and_kill(told: &Told) {
    for signal in [libc::SIGSTOP, libc::SIGKILL, libc::SIGSTOP] {
        // It may have ended by the last.
        let sent = told.running().kill(signal);
        assert!(sent.is_ok() || signal == libc::SIGSTOP, "{sent:?}");
    }
    assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
}

/// F10: a burst that has room for ten at a time: each waits its turn or is refused with the reason.
fn few_left_for_a_burst(template: &Template) {
    let limit = Limit::to_open_ones_and(20);
    let counts = Rc::new(Cell::new([0; 3]));
    let count = |which: usize| {
        let counts = counts.clone();
        move || {
            let mut now = counts.get();
            now[which] += 1;
            counts.set(now);
        }
    };
    for _ in 0..200 {
        let (ran, refused, ended) = (count(0), count(1), count(2));
        let told = move |socket: tine::Result<_>| match socket {
            Ok(_) => ran(),
            Err(error) => {
                assert!(error.to_string().contains("open files"), "{error}");
                refused();
            }
        };
        template.fork().run(RETURN, told).on_exit(move |_| ended());
    }
    let [ran, refused, _] = eventually("200 workers", || {
        let [ran, refused, ended] = counts.get();
        (ran + refused == 200 && ended == ran).then_some([ran, refused, ended])
    });
    assert!(ran >= 10, "{ran} ran, {refused} were refused");
    drop(limit);
    works(template);
}

/// F10, rule 6: however many wait, and though each has seen another state of the app.
fn requests_that_wait_hold_none(template: &Template) {
    let before = descriptors().len();
    let told: Vec<_> = (0..1000)
        .map(|number| {
            native::set_variable("TINE_TESTS_NUMBER", &number.to_string());
            Told::run(template.fork(), RETURN)
        })
        .collect();
    let held = descriptors().len() - before;
    native::remove_variable("TINE_TESTS_NUMBER");
    assert!(held < 200, "{held}");
    told.iter().for_each(|told| assert!(told.exit().success()));
}

/// A template with little room: it may not even raise its limit.
fn with_room_for(more: u64) -> Template {
    let template = Template::early().expect("no thread is running");
    works(&template);
    let pid = processes::of(&template);
    eventually("the template is idle", || {
        (processes::children(pid).is_empty() && processes::is_asleep(pid)).then_some(())
    });
    // Those that are free below the highest count too: what is open above the limit would not come back.
    let highest = processes::descriptors(pid).into_keys().max().unwrap_or_default();
    let limit = Some(u64::from(highest.cast_unsigned()) + 1 + more);
    let (of, limit) = (Pid::from_raw(pid.cast_signed()), Rlimit { current: limit, maximum: limit });
    prlimit(of, Resource::Nofile, limit).expect("lower is allowed");
    template
}

tine::entry!(TELL_LIMIT = tell_limit);
fn tell_limit(worker: Worker) -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    write!(worker.socket(), "{limit}")
}

/// Rule 6: a template has what it may have at most, so that it can have more workers than the app has descriptors;
/// whatever it makes has the limit that the app had.
fn the_template_has_more_than_the_app(_: &Template) {
    let limit = Limit::to_open_ones_and(20);
    let apps = getrlimit(Resource::Nofile).current.expect("a number").to_string();
    let template = Template::early().expect("no thread is running");
    drop(limit);
    let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), STAY)).collect();
    let sockets: Vec<_> = told.iter().map(Told::socket).collect();
    let tells = |process: Process| {
        let told = Told::run(process, TELL_LIMIT);
        let limit = String::from_utf8(told.answer()).expect("text");
        assert!(told.exit().success());
        limit
    };
    assert_eq!(tells(template.fork()), apps);
    assert_eq!(tells(template.fresh()), apps);
    for prepared in [template.fork(), template.fresh()] {
        let prepared = prepared.into_template().expect("a template");
        assert_eq!([tells(prepared.fork()), tells(prepared.fresh())], [&*apps; 2]);
    }
    let living = || processes::children(processes::of(&template)).len();
    eventually("the end of all but those that stay", || (living() == 100).then_some(()));
    template.spares(1).expect("a living template");
    eventually("a spare", || (living() == 101).then_some(()));
    assert_eq!(tells(template.fork()), apps);
    assert_eq!(template.report().from_spares, 1);
    template.spares(0).expect("a living template");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let shell = template.command("sh").args(["-c", "ulimit -n"]).stdout(OwnedFd::from(writer));
    let ended = Rc::new(Cell::new(false));
    let tell = ended.clone();
    shell
        .spawn(|started| drop(started.expect("a shell")))
        .on_exit(move |exit| tell.set(exit.success()));
    // Until it is told, the app may have the writing end open still.
    eventually("the shell's end", || ended.get().then_some(()));
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("a pipe");
    assert_eq!(said.trim(), apps);
    drop(sockets);
    told.iter().for_each(|told| assert!(told.exit().success()));
    let pid = processes::of(&template);
    drop(template);
    eventually("the template's end", || (!processes::is_alive(pid)).then_some(()));
}

/// Rule 4: refused with the reason, or made; and no worker's fate is lost over it.
fn the_template_has_few_of_its_own(_: &Template) {
    let template = with_room_for(8);
    let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), STAY)).collect();
    let (mut living, mut refused) = (Vec::new(), 0);
    for told in &told {
        if told.settled() {
            living.push(told);
        } else {
            let error = told.refusal().to_string();
            assert!(error.contains("open files") || error.contains("errno 24"), "{error}");
            refused += 1;
        }
    }
    assert!(living.len() >= 3, "{} living, {refused} refused", living.len());
    for told in &living {
        // The last of them came without a pidfd, which makes no difference.
        told.running().kill(libc::SIGTERM).expect("a worker");
        let exit = told.exit();
        assert_eq!(exit.signal(), Some(libc::SIGTERM), "{exit}");
        drop(told.socket());
    }
    works(&template);
    let pid = processes::of(&template);
    drop(template);
    eventually("the template's end", || (!processes::is_alive(pid)).then_some(()));
}

/// Rule 4: not even the request's own descriptor finds a place.
fn the_template_has_none_for_what_comes(_: &Template) {
    for room in 0..8 {
        let template = with_room_for(room);
        let mut told = Vec::new();
        // One more each time, so that every single place in the template is once the last.
        for _ in 0..40 {
            told.push(Told::run(template.fork(), STAY));
            if !told[told.len() - 1].settled() {
                break;
            }
        }
        let refused = told.pop().expect("at least one").refusal().to_string();
        assert!(refused.contains("open files"), "room {room}: {refused}");
        let count = told.len();
        for (number, told) in told.iter().enumerate() {
            // The last ones may have come without a pidfd.
            if number + 2 >= count {
                stop_and_kill(told);
            } else {
                drop(told.socket());
                assert_eq!(*told.exit().cause(), Cause::Returned, "room {room}");
            }
        }
        works(&template);
    }
}

/// F7: more than the worker may open is refused by name, and not cut short.
fn a_worker_cannot_take_what_it_is_sent(_: &Template) {
    let limit = Limit::to_open_ones_and(6);
    let template = Template::early().expect("no thread is running");
    drop(limit);
    let null = || std::fs::File::open("/dev/null").expect("/dev/null");
    let few = (0..2).fold(template.fork(), |process, _| process.send_fd(null()));
    let many = (0..100).fold(template.fork(), |process, _| process.send_fd(null()));
    let told = Told::run(few, ITEMS);
    assert_eq!(items(told.socket()).len(), 2);
    assert!(told.exit().success());
    let told = Told::run(many, ITEMS);
    let exit = told.exit();
    let Cause::BadOrders(text) = exit.cause() else { panic!("{exit}") };
    assert!(text.contains("open files"), "{text}");
    let mut rest = Vec::new();
    if told.words()[0] == "socket" {
        // Refused before it was entered: nothing was said by the function.
        let _ = told.socket().read_to_end(&mut rest);
    }
    assert!(rest.is_empty());
}

tine::function!(PREPARE = prepare);
fn prepare(_: &mut tine::Items, _: Vec<Vec<u8>>) {}

/// A template whose processes may open so many, and a prepared one of it that has 100.
fn prepared_with_room_for(most: u64) -> Process {
    let limit = Limit::to(most);
    let template = Template::early().expect("no thread is running");
    drop(limit);
    let null = || std::fs::File::open("/dev/null").expect("/dev/null");
    (0..100).fold(template.fork(), |process, _| process.send_fd(null())).call(PREPARE, [""; 0])
}

/// F2, F7: they are sorted in place, so that there may be nearly as many of them as can be open.
fn a_template_that_has_most_of_what_it_may(_: &Template) {
    let told = Told::run(prepared_with_room_for(130).fork(), ITEMS);
    assert_eq!(items(told.socket()).len(), 100);
    assert!(told.exit().success());
}

/// F2, F7, E15: one that cannot be is given up at once, with the reason.
fn a_template_that_cannot_have_what_it_is_sent(_: &Template) {
    for most in [60, 100, 103] {
        let refusal = Told::run(prepared_with_room_for(most).fork(), ITEMS).refusal().to_string();
        assert!(refusal.contains("given up") && refusal.contains("open files"), "{refusal}");
        assert!(!refusal.contains("in a row"), "{refusal}");
    }
}

/// B2: a shortage that passes costs a pool's jobs nothing but the wait.
fn a_pool_outlasts_one(template: &Template) {
    let limit = Limit::to_open_ones_and(0);
    let pool = jobs::pool(template).max(2).build().expect("a pool");
    let heard = Heard::new();
    let jobs: Vec<_> = (0..20).map(|number| heard.of(number, pool.submit(Task::Answer))).collect();
    eventually("workers that cannot be had", || {
        pool.report().ended.get(&Leave::NeverReady).is_some_and(|ended| *ended >= 2).then_some(())
    });
    assert_eq!(heard.count(), 0);
    drop(limit);
    heard.wait_for(jobs.len());
    assert_eq!(heard.with(None), jobs.len());
}
