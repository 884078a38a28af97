//! Whatever fails, and whoever is killed, every request is settled exactly once.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal};
use tine::testing::{Faults, Stage};
use tine::{Cause, ErrorKind, Sandbox, Template, Worker};
use tine_tests::told::Told;
use tine_tests::workers::{ITEMS, RETURN, STAY, Sent, items};
use tine_tests::{cases, native, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        first_words_behind_the_word_that_it_is_ready,
        a_preparation_that_writes_to_the_socket,
        a_storm_of_kills,
        a_storm_of_kills_over_prepared_templates,
        programs_started_meanwhile_by_other_threads,
        killed_at_each_stage,
        templates_killed_at_each_stage,
        forks_and_sockets_refused,
        a_prepared_process_that_cannot_be_forked,
        tiny_socket_buffers,
    ];
    runner::run(&template, cases)
}

tine::function!(NOTHING = nothing);
fn nothing(_: &mut tine::Items, _: Vec<Vec<u8>>) {}

tine::entry!(SPEAK = speak);
fn speak(mut worker: Worker) -> tine::Result<()> {
    let mut spoken = std::fs::File::from(worker.take_fd()?);
    worker.socket().write_all(b"first words")?;
    Ok(spoken.write_all(b"!")?)
}

/// F9: what the function writes before the app has heard that it was entered is the app's to read.
fn first_words_behind_the_word_that_it_is_ready(template: &Template) {
    let called = template.fork().call(NOTHING, [""; 0]);
    let confined = template.fork().sandbox(&Sandbox::new());
    for process in [called, confined] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let told = Told::run(process.send_fd(writer), SPEAK);
        // It has spoken before anything is dispatched here.
        reader.read_exact(&mut [0]).expect("that it has spoken");
        assert_eq!(told.answer(), b"first words");
        assert!(told.exit().success());
    }
}

tine::function!(MEDDLE = meddle);
fn meddle(_: &mut tine::Items, _: Vec<Vec<u8>>) {
    native::write(3, b"not a message of anyone's");
}

/// Rule 9: it cannot speak for tine, and does not stay undecided.
fn a_preparation_that_writes_to_the_socket(template: &Template) {
    let told = Told::run(template.fork().call(MEDDLE, [""; 0]), STAY);
    assert_eq!(told.refusal().kind(), ErrorKind::Protocol);
    told.exit();
}

/// Numbers that look random, the same each time (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(n)
    }
}

/// What became of a number of requests.
#[derive(Debug, Default)]
struct Tally {
    returned: u32,
    killed: u32,
    with_template: u32,
    refused: u32,
}

impl Tally {
    /// Waits for everything that is told of a request. [`Told`] sees to it that nothing is told twice.
    fn settle(&mut self, told: &Told) {
        if told.settled() {
            // Nothing is left to stay for.
            drop(told.socket());
        }
        let Some(exit) = told.exit_if_ran() else {
            let reason = told.refusal();
            assert!(
                matches!(reason.kind(), ErrorKind::NoTemplate | ErrorKind::NoProcess),
                "{reason}"
            );
            self.refused += 1;
            return;
        };
        match exit.cause() {
            Cause::Returned => self.returned += 1,
            Cause::Killed { signal: libc::SIGKILL, .. } => self.killed += 1,
            Cause::TemplateDied => self.with_template += 1,
            _ => panic!("neither its own end nor a kill: {exit}"),
        }
    }

    fn sum(&self) -> u32 {
        self.returned + self.killed + self.with_template + self.refused
    }
}

/// Kills a template, if it lives, without waiting for anything.
fn kill(template: &Template) {
    let pid = template.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Runs `total` workers of templates that `make` makes, up to 100 at a time; kills workers and templates.
fn storm(total: u32, seed: u64, make: impl Fn() -> Template) -> Tally {
    let (mut chance, mut tally) = (Chance(seed), Tally::default());
    let mut template = make();
    let mut under_way = VecDeque::new();
    for _ in 0..total {
        let entry = if chance.one_in(4) { STAY } else { RETURN };
        under_way.push_back(Told::run(template.fork().send_arg("x"), entry));
        if chance.one_in(10) {
            // One that is to be killed may be anywhere between its request and its end.
            let _ = under_way[under_way.len() / 2].running().kill(libc::SIGKILL);
        }
        if chance.one_in(150) {
            kill(&template);
        }
        if chance.one_in(400) {
            template.spares(under_way.len() as u32 % 4).unwrap_or_default();
        }
        if chance.one_in(900) {
            template = make();
        }
        if chance.one_in(3) {
            tine::queue().dispatch().expect("a queue");
        }
        while under_way.len() > 100 {
            let told = under_way.pop_front().expect("more than 100");
            tally.settle(&told);
        }
    }
    under_way.iter().for_each(|told| tally.settle(told));
    tally
}

fn assert_settled(tally: &Tally, total: u32) {
    assert_eq!(tally.sum(), total, "{tally:?}");
    assert!(tally.returned > total / 2, "most are left alone: {tally:?}");
    assert!(tally.killed > 0 && tally.with_template > 0, "there was a storm: {tally:?}");
}

/// B4, B14: thousands of requests, a tenth of the workers and a template now and then killed.
fn a_storm_of_kills(_: &Template) {
    let exec = || Template::exec().expect("a template");
    assert_settled(&storm(3000, 1, exec), 3000);
    let early = || Template::early().expect("no thread is running");
    assert_settled(&storm(1000, 2, early), 1000);
}

/// B4, F5: templates that are processes themselves, and are prepared anew each time.
fn a_storm_of_kills_over_prepared_templates(template: &Template) {
    let prepared = || {
        let process = template.fork().send_arg("before").call(NOTHING, ["x"]);
        process.into_template().expect("a template")
    };
    assert_settled(&storm(1000, 3, prepared), 1000);
}

/// F23, F25: what other threads fork and execute at the same moment inherits nothing of tine's, and holds no
/// worker's socket open.
fn programs_started_meanwhile_by_other_threads(template: &Template) {
    let listing = || {
        let shell = Command::new("sh").args(["-c", "echo /proc/self/fd/*"]).output();
        String::from_utf8(shell.expect("a shell").stdout).expect("text")
    };
    // What this program was started with, and what the shell opens itself.
    let own = listing();
    let strangers = || (0..100).for_each(|_| assert_eq!(listing(), own));
    let workers = || {
        for _ in 0..100 {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            writer.write_all(b"sent").expect("room");
            drop(writer);
            let told = Told::run(template.fork().send_fd(reader).send_arg("x"), ITEMS);
            let expected = [Sent::Fd(b"sent".into()), Sent::Arg(b"x".into())];
            assert_eq!(items(told.socket()), expected);
            assert!(told.exit().success());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(strangers);
            scope.spawn(workers);
        }
    });
}

/// B14: a process that dies on its way is told once, and the next one comes to be.
fn killed_at_each_stage(template: &Template) {
    for stage in [Stage::Born, Stage::Preparing, Stage::Entering, Stage::Leaving] {
        template.inject(Faults::new().kill_at(stage, 2)).expect("a template");
        let told: Vec<_> =
            (0..4).map(|_| Told::run(template.fork().call(NOTHING, [""; 0]), RETURN)).collect();
        let killed = told.iter().filter(|told| told.exit().signal() == Some(libc::SIGKILL)).count();
        assert_eq!(killed, 2, "{stage:?}");
        template.inject(Faults::new()).expect("a template");
    }
}

/// B4, B14: wherever a template dies, what was asked of it is settled once, and its successor serves.
fn templates_killed_at_each_stage(_: &Template) {
    for stage in [Stage::Asked, Stage::Told] {
        let template = Template::exec().expect("a template");
        template.inject(Faults::new().kill_at(stage, 1)).expect("a template");
        let told: Vec<_> = (0..20).map(|_| Told::run(template.fork(), RETURN)).collect();
        let mut tally = Tally::default();
        told.iter().for_each(|told| tally.settle(told));
        assert_eq!(tally.sum(), 20, "{stage:?}: {tally:?}");
        assert_eq!(template.report().deaths, 1, "{stage:?}");
        assert!(Told::run(template.fork(), RETURN).exit().success());
    }
}

/// B14: refused with the kernel's reason, once, and no more.
fn forks_and_sockets_refused(template: &Template) {
    for (faults, reason) in [
        (Faults::new().refuse_forks(3), "Resource temporarily unavailable"),
        (Faults::new().refuse_sockets(3), "Too many open files"),
    ] {
        template.inject(faults).expect("a template");
        for _ in 0..3 {
            let refusal = Told::run(template.fork(), RETURN).refusal().to_string();
            assert!(refusal.contains(reason), "{refusal}");
        }
        assert!(Told::run(template.fork(), RETURN).exit().success());
    }
    template.inject(Faults::new()).expect("a template");
}

/// B4, F2: it is not given up for good, and the reason is told.
fn a_prepared_process_that_cannot_be_forked(_: &Template) {
    let template = Template::exec().expect("a template");
    template.inject(Faults::new().refuse_forks(u32::MAX)).expect("a template");
    let prepared = template.fork().call(NOTHING, [""; 0]);
    for told in [(); 3].map(|()| Told::run(prepared.fork(), RETURN)) {
        let refusal = told.refusal();
        assert_eq!(refusal.kind(), ErrorKind::NoTemplate, "{refusal}");
        assert!(refusal.to_string().contains("cannot fork the template"), "{refusal}");
    }
    template.inject(Faults::new()).expect("a template");
    assert!(Told::run(prepared.fork(), RETURN).exit().success());
}

/// F7, F8, B14: orders go out and come in in pieces, and links are full most of the time.
fn tiny_socket_buffers(template: &Template) {
    template.inject(Faults::new().tiny_buffers()).expect("a template");
    let tiny = Template::exec().expect("a template");
    let argument: Vec<u8> = (0..60_000_u32).map(|n| n as u8).collect();
    let told: Vec<_> = (0..100)
        .map(|_| Told::run(tiny.fork().send_arg(argument.clone()).send_arg("x"), ITEMS))
        .collect();
    for told in &told {
        let expected = [Sent::Arg(argument.clone()), Sent::Arg(b"x".into())];
        assert!(items(told.socket()) == expected);
        assert!(told.exit().success());
    }
    template.inject(Faults::new()).expect("a template");
}
