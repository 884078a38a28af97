//! A template is killed or stopped: every request is settled once, every end is told, nothing hangs.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tine::{Cause, Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, ITEMS, RETURN, STAY, Sent, items};
use tine_tests::{LONG, cases, native, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        killed_while_idle,
        killed_before_its_first_request,
        killed_in_the_middle_of_a_burst,
        killed_with_living_workers,
        killed_under_a_worker_that_outlives_it,
        stopped_and_continued,
        stopped_and_killed,
        stopped_and_dropped,
        killed_and_dropped_at_once,
        siblings_go_on_when_workers_are_killed_at_random,
        a_deadline_that_has_passed_when_it_begins,
        ended_by_its_own_preparation,
        prepared_by_a_thread_that_hears_nothing,
        prepared_by_two_that_come_back,
    ];
    runner::run(&template, cases)
}

fn another() -> Template {
    Template::early().expect("no thread is running")
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
    kill_process(pid, signal).expect("a process");
}

fn kill(template: &Template) -> u32 {
    let pid = processes::of(template);
    signal(pid, Signal::KILL);
    pid
}

fn gone(pid: u32) {
    eventually("no process, not even a zombie", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}

/// Settled once, and consistently: with a socket there is an end to tell, with a refusal there is none.
fn check(told: &Told) {
    match told.exit_if_ran() {
        Some(exit) => {
            assert!(
                matches!(exit.cause(), Cause::Returned | Cause::TemplateDied),
                "neither its own end nor the template's: {exit}"
            );
            assert_eq!(told.words(), ["socket", "exit"]);
        }
        None => {
            let reason = told.refusal().to_string();
            assert!(reason.contains("template") && !reason.is_empty(), "{reason}");
        }
    }
}

/// B4: the next request is settled, and so are those after it.
fn killed_while_idle(_: &Template) {
    let template = another();
    assert!(Told::run(template.fork(), RETURN).exit().success());
    let pid = kill(&template);
    (0..3).for_each(|_| check(&Told::run(template.fork(), RETURN)));
    gone(pid);
    drop(template);
}

/// B4: before this thread has ever talked to it.
fn killed_before_its_first_request(_: &Template) {
    let template = another();
    let pid = kill(&template);
    eventually("its death", || (!processes::is_alive(pid)).then_some(()));
    check(&Told::run(template.fork(), RETURN));
    drop(template);
    gone(pid);
}

/// B4, F10: whatever had been asked, answered or begun.
fn killed_in_the_middle_of_a_burst(_: &Template) {
    for settled_before in [0, 1, 5, 40, 64, 65, 150, 299] {
        let template = another();
        let told: Vec<_> = (0..300).map(|_| Told::run(template.fork(), RETURN)).collect();
        let settled = || told.iter().filter(|told| !told.words().is_empty()).count();
        eventually("the middle", || (settled() >= settled_before).then_some(()));
        let pid = kill(&template);
        told.iter().for_each(check);
        drop(template);
        gone(pid);
    }
}

/// B3, rule 6: workers die with their template, and that is what is told.
fn killed_with_living_workers(_: &Template) {
    let template = another();
    let told: Vec<_> = (0..20).map(|_| Told::run(template.fork(), ENDURE)).collect();
    let sockets: Vec<_> = told.iter().map(Told::socket).collect();
    kill(&template);
    for (told, mut socket) in told.iter().zip(sockets) {
        let exit = told.exit();
        assert_eq!(*exit.cause(), Cause::TemplateDied);
        assert_eq!((exit.signal(), exit.code()), (Some(libc::SIGKILL), None));
        assert!(!processes::is_alive(exit.pid()), "told before it was so");
        let mut rest = Vec::new();
        // What it wrote before is still there; a reset says that it died over orders that it had not read.
        match socket.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty() || rest == b"ready"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

tine::entry!(OUTLIVE = outlive);
fn outlive(worker: Worker) -> std::io::Result<()> {
    native::outlive_parent();
    std::io::Write::write_all(&mut worker.socket(), b"ready")?;
    worker.socket().read_exact(&mut [0])?;
    Ok(())
}

/// Rule 4: its end is told when it ends, and not when its template does.
fn killed_under_a_worker_that_outlives_it(_: &Template) {
    let template = another();
    let told = Told::run(template.fork(), OUTLIVE);
    let mut socket = told.socket();
    socket.read_exact(&mut [0; 5]).expect("ready");
    let pid = kill(&template);
    eventually("the template's death", || (!processes::is_alive(pid)).then_some(()));
    check(&Told::run(template.fork(), RETURN));
    assert_eq!(told.words(), ["socket"], "it lives");
    assert!(processes::is_alive(told.running().pid().expect("a pid")));
    drop(socket);
    assert_eq!(*told.exit().cause(), Cause::TemplateDied);
}

/// F10: the app goes on meanwhile, and what it asked for happens then.
fn stopped_and_continued(_: &Template) {
    let template = another();
    let living = Told::run(template.fork(), STAY);
    let socket = living.socket();
    let pid = processes::of(&template);
    signal(pid, Signal::STOP);
    let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), RETURN)).collect();
    drop(socket);
    while tine::queue().dispatch().expect("a queue") > 0 {}
    assert_eq!(living.words(), ["socket"]);
    signal(pid, Signal::CONT);
    told.iter().for_each(|told| assert!(told.exit().success()));
    assert!(living.exit().success());
}

/// B4: as good as dead, and then dead.
fn stopped_and_killed(_: &Template) {
    let template = another();
    signal(processes::of(&template), Signal::STOP);
    let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), RETURN)).collect();
    let pid = kill(&template);
    told.iter().for_each(check);
    drop(template);
    gone(pid);
}

/// F10: dropping does not wait for it; it ends when it can.
fn stopped_and_dropped(_: &Template) {
    let template = another();
    let told = Told::run(template.fork(), RETURN);
    assert!(told.exit().success());
    let pid = processes::of(&template);
    signal(pid, Signal::STOP);
    drop(template);
    assert!(processes::is_alive(pid));
    signal(pid, Signal::CONT);
    gone(pid);
}

/// F10: requests are settled whose template has neither a handle nor a process left.
fn killed_and_dropped_at_once(_: &Template) {
    let template = another();
    let told: Vec<_> = (0..150).map(|_| Told::run(template.fork(), RETURN)).collect();
    let pid = kill(&template);
    drop(template);
    told.iter().for_each(check);
    gone(pid);
}

/// Rule 9: hundreds of workers, a third of them killed at a moment of their own.
fn siblings_go_on_when_workers_are_killed_at_random(template: &Template) {
    let mut random = 12345_u32;
    let mut next = move || {
        random = random.wrapping_mul(1_103_515_245).wrapping_add(12345);
        random >> 16
    };
    let told: Vec<_> = (0..400).map(|_| Told::run(template.fork(), RETURN)).collect();
    let mut shot = Vec::new();
    for told in &told {
        shot.push(next() % 3 == 0 && told.running().kill(libc::SIGKILL).is_ok());
        if next() % 4 == 0 {
            tine::queue().dispatch().expect("a queue");
        }
    }
    for (told, shot) in told.iter().zip(shot) {
        let exit = told.exit();
        let killed = exit.signal() == Some(libc::SIGKILL);
        assert!(killed && shot || exit.success(), "shot: {shot}, {exit}");
    }
}

/// B4: it is as short as can be, and comes.
fn a_deadline_that_has_passed_when_it_begins(_: &Template) {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    template.set_deadline(Duration::ZERO);
    let stopped = Pid::from_raw(processes::of(&template).cast_signed()).expect("an id");
    kill_process(stopped, Signal::STOP).expect("it lives");
    // Its successor may be as late.
    Told::run(template.fork(), RETURN).settled();
    assert!(template.report().deaths > 0);
    let told = Told::run(template.command("cat").deadline(Duration::ZERO).remote(), RETURN);
    told.refusal();
}

tine::function!(END = end);
fn end(_: &mut tine::Items, args: Vec<Vec<u8>>) {
    if args.concat() == b"exit" {
        std::process::exit(3);
    }
    native::raise(libc::SIGABRT);
}

/// F5, B3: how it ended is told with it.
fn ended_by_its_own_preparation(template: &Template) {
    for (how, told_as) in [("exit", "exited with 3"), ("abort", "killed by SIGABRT")] {
        let told = Told::run(template.fork().call(END, [how]).fork(), RETURN);
        let refusal = told.refusal().to_string();
        assert!(refusal.contains("in a row") && refusal.contains(told_as), "{refusal}");
    }
}

tine::function!(TWO = two);
fn two(_: &mut tine::Items, args: Vec<Vec<u8>>) -> Result<(), String> {
    match native::fork_in_two() {
        Some(pid) => native::reap(pid),
        None if args.concat() == b"panic" => panic!("the child's"),
        None if args.concat() == b"fail" => return Err("the child's".into()),
        None => (),
    }
    Ok(())
}

/// F5: a process that a prepared function has forked comes back from it, too: the orders are not its own.
fn prepared_by_two_that_come_back(template: &Template) {
    for child in ["return", "fail", "panic"] {
        let process = template.fork().call(TWO, [child]).send_arg("once");
        let told = Told::run(process, ITEMS);
        assert_eq!(items(told.socket()), [Sent::Arg(b"once".to_vec())], "{child}");
        assert!(told.exit().success(), "{child}: {}", told.exit());
    }
}

tine::function!(NOTHING = do_nothing);
fn do_nothing(_: &mut tine::Items, _: Vec<Vec<u8>>) {}

/// B4, F25: whoever has prepared it need not turn its queue for others to hear of what they have asked.
fn prepared_by_a_thread_that_hears_nothing(template: &Template) {
    let prepared = template.fork().call(NOTHING, [""; 0]).into_template().expect("a template");
    prepared.set_deadline(Duration::from_millis(200));
    let of = processes::of(template);
    let (pid, deadline) = (|| processes::children(of).first().map(|(pid, _)| *pid), Instant::now());
    while !pid().is_some_and(processes::is_asleep) {
        assert!(deadline.elapsed() < LONG, "no process: {}", processes::picture());
    }
    let pid = pid().expect("a process");
    let heard = move || {
        signal(pid, Signal::STOP);
        // What it does not read any more lies in a link that it does not know yet.
        let told = [(); 2].map(|()| Told::run(prepared.fork(), RETURN));
        signal(pid, Signal::KILL);
        told.iter().for_each(|told| assert!(told.exit().success()));
        assert_eq!(prepared.report().deaths, 1);
    };
    std::thread::spawn(heard).join().expect("a thread that hears");
}
