//! Nobody is left behind: no zombie, and no template that nobody has a handle of, whatever app it is that had them.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, kill_process, set_child_subreaper, set_parent_process_death_signal,
};
use tine::{ErrorKind, Template};
use tine_tests::confined::Lacking;
use tine_tests::places::{output_of, this};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, RETURN, STAY};
use tine_tests::{cases, native, processes, runner};

fn main() -> ExitCode {
    // Started by a test below.
    if let Ok(errno) = std::env::var("TINE_TEST_ERRNO") {
        println!("main");
        match errno.parse() {
            Ok(errno) => without_any_pidfd(errno),
            Err(_) if errno == "late" => with_a_late_queue(),
            Err(_) => without_signals(),
        }
        return ExitCode::SUCCESS;
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_template_that_outlives_its_thread,
        a_template_that_outlives_two_threads,
        a_template_that_outlives_all_queues,
        orphans_of_a_template_that_is_killed,
        orphans_of_a_template_that_is_dropped,
        orphans_of_a_prepared_template,
        orphans_of_orphans,
        orphans_of_a_worker,
        orphans_of_a_worker_of_a_template_that_is_killed,
        orphans_that_are_programs,
        an_app_that_was_forked_bare,
        no_pidfds,
        no_signals,
    ];
    runner::run(&template, cases)
}

/// The children of this program, zombies included.
fn children() -> usize {
    processes::children(std::process::id()).len()
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("an id");
    kill_process(pid, signal).expect("it lives");
}

/// Makes a template in this thread that ends when it is told to go on, and gives up its only handle.
fn ending() -> u32 {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    let pid = processes::of(&template);
    send(pid, Signal::STOP);
    pid
}

/// F4: the thread that has dropped the last handle is gone when the template ends; this one's queue waits for it.
fn a_template_that_outlives_its_thread(_: &Template) {
    let before = children();
    let pid = std::thread::spawn(ending).join().expect("a thread");
    assert_eq!(children(), before + 1);
    send(pid, Signal::CONT);
    eventually("it is reaped", || (children() == before).then_some(()));
}

/// F4: so is one whose end a third thread has waited for by then.
fn a_template_that_outlives_two_threads(_: &Template) {
    let before = children();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let waits = std::thread::spawn(move || {
        // This thread has a queue, and looks after it.
        eventually("its end", || is_done.try_recv().ok());
    });
    let pid = std::thread::spawn(ending).join().expect("a thread");
    done.send(()).expect("it lives");
    waits.join().expect("a thread");
    send(pid, Signal::CONT);
    eventually("it is reaped", || (children() == before).then_some(()));
}

/// F4: the next queue that there is reaps it, whoever's.
fn a_template_that_outlives_all_queues(_: &Template) {
    let lines = output_of(Command::new(this()).env("TINE_TEST_ERRNO", "late"));
    assert_eq!(lines, ["it is reaped"]);
}

fn with_a_late_queue() {
    let pid = std::thread::spawn(ending).join().expect("a thread");
    send(pid, Signal::CONT);
    // This thread has no queue before it waits.
    eventually("it is reaped", || (children() == 0).then_some(()));
    println!("it is reaped");
}

/// Makes this program one that orphans go to, while `test` runs.
fn adopting(test: impl FnOnce()) {
    let before = children();
    set_child_subreaper(Some(Pid::INIT)).expect("prctl");
    test();
    eventually("nobody is left", || (children() == before).then_some(()));
    set_child_subreaper(None).expect("prctl");
}

tine::entry!(USE_TINE = use_tine);
fn use_tine(_: tine::Worker) -> tine::Result<()> {
    let told = Told::run(tine::template()?.fork(), RETURN);
    assert!(told.exit().success());
    Ok(())
}

/// F4, F22: what a worker leaves, here its own template, is reaped by its template, and no zombie of the app's.
fn orphans_of_a_worker(_: &Template) {
    adopting(|| {
        let template = Template::exec().expect("a template");
        for _ in 0..3 {
            assert!(Told::run(template.fork(), USE_TINE).exit().success());
        }
        eventually("its template has none", || {
            processes::children(processes::of(&template)).is_empty().then_some(())
        });
    });
}

tine::entry!(USE_TINE_AND_STAY = use_tine_and_stay);
fn use_tine_and_stay(worker: tine::Worker) -> tine::Result<()> {
    let template = Template::exec()?;
    Told::run(template.fork(), ENDURE).settled();
    worker.socket().write_all(b"ready")?;
    loop {
        std::thread::park();
    }
}

/// F4, F22: its own template and workers die with it, and nobody but the app is left to reap them.
fn orphans_of_a_worker_of_a_template_that_is_killed(_: &Template) {
    adopting(|| {
        let template = Template::exec().expect("a template");
        let told = Told::run(template.fork(), USE_TINE_AND_STAY);
        told.socket().read_exact(&mut [0; 5]).expect("its word");
        send(processes::of(&template), Signal::KILL);
        told.exit();
        assert!(Told::run(template.fork(), RETURN).exit().success());
    });
}

/// F4, F18: one is in the app's group, and no less a zombie of an app that adopts it.
fn orphans_that_are_programs(_: &Template) {
    adopting(leave_programs);
}

fn leave_programs() {
    let template = Template::exec().expect("a template");
    for round in 0..20 {
        let ended = Rc::new(Cell::new(false));
        let tell = Rc::clone(&ended);
        let command = template.command("sleep").arg("1000");
        let lives_on = round % 2 == 0;
        let command = if lives_on { command } else { command.dies_with_app() };
        let running = command.spawn(|_| ()).on_exit(move |_| tell.set(true));
        let pid = eventually("a process", || running.pid());
        eventually("its program", || (processes::status(pid, "Name")? == "sleep").then_some(()));
        send(processes::of(&template), Signal::KILL);
        // By when its links end, it may have its children still.
        if lives_on {
            send(pid, Signal::KILL);
        }
        eventually("its end", || ended.get().then_some(()));
    }
}

fn spares_of(template: u32, count: usize) {
    eventually("spares", || (processes::children(template).len() == count).then_some(()));
}

/// F4, B6: an app that adopts orphans is told of no spare, and has them for zombies.
fn orphans_of_a_template_that_is_killed(_: &Template) {
    adopting(|| {
        let template = Template::early().expect("no thread is running");
        template.spares(3).expect("a template");
        let told = Told::run(template.fork(), ENDURE);
        told.settled();
        spares_of(processes::of(&template), 4);
        send(processes::of(&template), Signal::KILL);
        told.exit();
        template.spares(0).expect("a template");
        assert!(Told::run(template.fork(), RETURN).exit().success());
    });
}

/// F4, B6: the same when it ends by itself.
fn orphans_of_a_template_that_is_dropped(_: &Template) {
    adopting(|| {
        let template = Template::exec().expect("a template");
        template.spares(3).expect("a template");
        assert!(Told::run(template.fork(), RETURN).exit().success());
        spares_of(processes::of(&template), 3);
    });
}

/// F2, F4, B6: of a template of a template, which the app is not the parent of.
fn orphans_of_a_prepared_template(template: &Template) {
    adopting(|| {
        let prepared = template.fork().into_template().expect("a template");
        prepared.spares(2).expect("a template");
        assert!(Told::run(prepared.fork(), RETURN).exit().success());
        spares_of(processes::of(&prepared), 2);
        send(processes::of(&prepared), Signal::KILL);
        prepared.spares(0).expect("a template");
        assert!(Told::run(prepared.fork(), RETURN).exit().success());
    });
}

/// F4, F13: of one that is known by a descriptor alone, and of what was forked from a template that has died before.
fn orphans_of_orphans(_: &Template) {
    adopting(|| {
        let template = Template::exec().expect("a template");
        let passed = template.fork().into_fd().expect("a process");
        let prepared = tine::Process::from_fd(passed).into_template().expect("a template");
        prepared.spares(2).expect("a template");
        assert!(Told::run(prepared.fork(), RETURN).exit().success());
        spares_of(processes::of(&prepared), 2);
        send(processes::of(&template), Signal::KILL);
        drop(prepared);
        assert!(Told::run(template.fork(), RETURN).exit().success());
    });
}

/// F10, F25: a fork(2) that tine knows nothing of has copies of all there was, and keeps nobody from ending.
fn an_app_that_was_forked_bare(_: &Template) {
    let before = children();
    let template = Template::early().expect("no thread is running");
    let stays = Told::run(template.fork(), STAY);
    let socket = stays.socket();
    let (mut never, writer) = std::io::pipe().expect("a pipe");
    let bare = native::fork(|| {
        set_parent_process_death_signal(Some(Signal::KILL)).expect("prctl");
        drop(never.read(&mut [0]));
    });
    let pid = processes::of(&template);
    drop(template);
    assert!(processes::is_alive(pid), "it has a worker");
    stays.running().kill(libc::SIGKILL).expect("it lives");
    assert_eq!(stays.exit().signal(), Some(libc::SIGKILL));
    eventually("its template ends", || (!processes::is_alive(pid)).then_some(()));
    drop((writer, socket));
    send(bare, Signal::KILL);
    native::reap(bare);
    eventually("nobody is left", || (children() == before).then_some(()));
}

/// B4, F4: where the kernel gives out none, as under a filter of seccomp(2), a template is killed and reaped all the
/// same, and what was asked of it is settled.
fn no_pidfds(_: &Template) {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let lines = output_of(Command::new(this()).env("TINE_TEST_ERRNO", errno.to_string()));
        assert_eq!(lines, ["all is settled"]);
    }
}

fn without_any_pidfd(errno: i32) {
    Lacking::pidfds(errno).begin();
    let template = Template::early().expect("first line of main");
    template.set_deadline(Duration::from_millis(200));
    assert!(Told::run(template.fork(), RETURN).exit().success());
    let killed = Told::run(template.fork(), ENDURE);
    killed.settled();
    killed.running().kill(libc::SIGKILL).expect("it lives");
    assert_eq!(killed.exit().signal(), Some(libc::SIGKILL));
    send(processes::of(&template), Signal::STOP);
    assert!(Told::run(template.fork(), RETURN).exit().success(), "its successor's");
    // Another process's child can neither be killed nor waited for: who has asked is told so.
    let prepared = template.fork().into_template().expect("a template");
    prepared.set_deadline(Duration::from_millis(200));
    assert!(Told::run(prepared.fork(), RETURN).exit().success());
    send(processes::of(&prepared), Signal::STOP);
    let refusal = Told::run(prepared.fork(), RETURN).refusal().to_string();
    assert!(refusal.contains("cannot be killed"), "{refusal}");
    assert!(Told::run(prepared.fork(), RETURN).exit().success(), "its successor's");
    assert_eq!(children(), 1, "the one that was stopped is reaped");
    set_child_subreaper(Some(Pid::INIT)).expect("prctl");
    leave_programs();
    eventually("what it leaves is reaped", || {
        // There is nothing that a queue could wait for: whoever comes or goes has it looked at.
        Told::run(template.fork(), RETURN).exit();
        (children() == 1).then_some(())
    });
    println!("all is settled");
}

/// Rule 10, B4: what may not be signalled, as after either side has become another user, lives on, and that is said.
fn no_signals(_: &Template) {
    let lines = output_of(Command::new(this()).env("TINE_TEST_ERRNO", "signals"));
    assert_eq!(lines, ["it lives"]);
}

fn without_signals() {
    let template = Template::early().expect("first line of main");
    let told = Told::run(template.fork(), STAY);
    let socket = told.socket();
    Lacking::signals().begin();
    let refused = told.running().kill(libc::SIGTERM).expect_err("EPERM");
    let pid = told.running().pid().expect("a process");
    assert_eq!(refused.kind(), ErrorKind::System, "{refused}");
    assert!(refused.to_string().contains(&pid.to_string()), "{refused}");
    drop(socket);
    assert!(told.exit().success());
    template.set_deadline(Duration::from_millis(200));
    send(processes::of(&template), Signal::STOP);
    let refusal = Told::run(template.fork(), RETURN).refusal().to_string();
    assert!(refusal.contains("cannot be killed"), "{refusal}");
    assert!(Told::run(template.fork(), RETURN).exit().success(), "its successor's");
    println!("it lives");
}
