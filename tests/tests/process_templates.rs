//! Templates without help from `main`, under libtest's threads: executed, prepared, passed on, made anew.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tine::testing::Faults;
use tine::{Cause, ErrorKind, Items, Process, Template, Worker};
use tine_tests::processes;
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, ITEMS, RETURN, STAY, Sent, items};

fn signal(template: &Template, signal: Signal) -> u32 {
    let pid = eventually("the template's id", || template.pid());
    let raw = Pid::from_raw(pid.cast_signed()).expect("a process id");
    kill_process(raw, signal).expect("a process");
    pid
}

fn arg(text: &str) -> Sent {
    Sent::Arg(text.into())
}

/// F3, F20, F21: the program's own image; its `main`, libtest's, does not run again.
#[test]
fn executed_from_the_own_image() {
    let template = Template::exec().expect("a template");
    let told = Told::run(template.fork().send_arg("hello"), ITEMS);
    assert_eq!(items(told.socket()), [arg("hello")]);
    assert_eq!(*told.exit().cause(), Cause::Returned);
}

/// F1: one default template, shared by all threads.
#[test]
fn the_default_is_shared() {
    let pid = || {
        let template = tine::template().expect("a template");
        assert!(Told::run(template.fork(), RETURN).exit().success());
        template.pid()
    };
    let pids = [(); 3].map(|()| std::thread::spawn(pid)).map(|thread| thread.join().expect("pid"));
    assert!(pids[0].is_some() && pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

/// B12, F3: a fresh image for one worker, which has another address-space layout than its siblings.
#[test]
fn a_fresh_image_each_time() {
    let template = Template::exec().expect("a template");
    let place = |process: Process| {
        let told = Told::run(process, PLACE);
        let place = told.answer();
        assert!(told.exit().success());
        place
    };
    assert_eq!(place(template.fork()), place(template.fork()), "copies share their layout");
    let fresh = [(); 3].map(|()| place(template.fresh()));
    assert!(fresh[0] != fresh[1] || fresh[1] != fresh[2], "{fresh:?}");
}

tine::entry!(PLACE = place);
fn place(worker: Worker) -> std::io::Result<()> {
    write!(worker.socket(), "{:p}", place as *const ())
}

/// F3: another program that links tine.
#[test]
fn executed_from_another_program() {
    let template = Template::program(env!("CARGO_BIN_EXE_early_after")).expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    // It has its own entries, and not this program's.
    let exit = Told::run(template.fork(), PLACE).exit();
    assert!(matches!(exit.cause(), Cause::NoSuchEntry { .. }), "{exit}");
    let error = Template::program("/no/such/program").expect_err("no such file");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

/// F3: a program that is none of tine's is an error, told once to each who asks, and no hang.
#[test]
fn executed_from_a_foreign_program() {
    let template = Template::program("/bin/true").expect("it can be executed");
    let told: Vec<_> = (0..3).map(|_| Told::run(template.fork(), RETURN)).collect();
    for told in told {
        let error = told.refusal();
        assert_eq!(error.kind(), ErrorKind::NoTemplate, "{error}");
        assert!(error.to_string().contains("/bin/true a program that links tine?"), "{error}");
    }
}

tine::function!(NOTE = note);
fn note(sent: &mut Items, args: Vec<Vec<u8>>) -> Result<(), String> {
    let text = args.concat();
    match text.as_slice() {
        b"fail" => Err("no colour profile".into()),
        b"fail at length" => Err("no colour profile ".repeat(10_000)),
        b"panic" => panic!("over a profile"),
        b"exit" => std::process::exit(5),
        b"hang" => loop {
            std::thread::park();
        },
        b"take" => sent.take_arg().map(drop).map_err(|error| error.to_string()),
        _ => {
            NOTED.with_borrow_mut(|noted| noted.extend(text));
            Ok(())
        }
    }
}

thread_local! {
    static NOTED: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

tine::entry!(TELL = tell);
fn tell(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(&NOTED.take())
}

/// F5, F2: what a function leaves in memory is in the process, and in its copies.
#[test]
fn functions_prepare_a_process_and_its_copies() {
    let template = Template::exec().expect("a template");
    let warm = template.fork().call(NOTE, ["one ", "two"]);
    for process in [warm.fork(), warm.fork().call(NOTE, [" three"]), warm] {
        let told = Told::run(process, TELL);
        let answer = String::from_utf8(told.answer()).expect("text");
        assert!(answer == "one two" || answer == "one two three", "{answer}");
        assert!(told.exit().success());
    }
}

/// F14: a function takes what was sent before; the entry gets what is left.
#[test]
fn functions_take_what_was_sent() {
    let template = Template::exec().expect("a template");
    let process = template.fork().send_arg("early").call(NOTE, ["take"]).send_arg("late");
    let told = Told::run(process, ITEMS);
    assert_eq!(items(told.socket()), [arg("late")]);
}

/// F5: failures are told to `run`'s callback, with text, name and process; and no stale word elsewhere.
#[test]
fn functions_that_fail_are_told() {
    let template = Template::exec().expect("a template");
    let cases =
        [("fail", "no colour profile"), ("panic", "over a profile"), ("exit", "exited with 5")];
    for (deed, text) in cases {
        let told = Told::run(template.fork().call(NOTE, [deed]), RETURN);
        let error = told.refusal().to_string();
        assert!(error.contains(text), "{deed}: {error}");
        assert!(deed == "exit" || error.contains(NOTE.name()), "{deed}: {error}");
    }
    let none: [&str; 0] = [];
    let told = Told::run(template.fork().call("no::such::function", none), RETURN);
    let error = told.refusal().to_string();
    assert!(error.contains("no::such::function") && error.contains(NOTE.name()), "{error}");
    let told = Told::run(template.fork().load("/no/such/plugin.so"), RETURN);
    let error = told.refusal();
    assert!(error.to_string().contains("/no/such/plugin.so"), "{error}");
    assert_eq!(error.io().map(io::Error::kind), Some(io::ErrorKind::NotFound), "{error}");
    let text = std::env::temp_dir().join(format!("tine-tests-{}.so", std::process::id()));
    std::fs::write(&text, "no shared object").expect("written");
    let told = Told::run(template.fork().load(&text), RETURN);
    let error = told.refusal().to_string();
    std::fs::remove_file(&text).expect("removed");
    assert!(error.contains("tine-tests-"), "{error}");
    assert!(Told::run(template.fork(), RETURN).exit().success());
}

/// F5: of a text of any length there is the beginning, also where the process was to be a template.
#[test]
fn functions_that_fail_at_length_are_told() {
    let template = Template::exec().expect("a template");
    let failing = || template.fork().call(NOTE, ["fail at length"]);
    let prepared = failing().into_template().expect("a template to be");
    for process in [failing(), prepared.fork()] {
        let error = Told::run(process, RETURN).refusal().to_string();
        let told = [NOTE.name(), &"no colour profile ".repeat(100)];
        assert!(told.iter().all(|part| error.contains(part)), "{} octets: {error}", error.len());
    }
}

/// F2, B4: a prepared template, and its successor, which is prepared in the same way.
#[test]
fn a_prepared_template_is_prepared_anew() {
    let template = Template::exec().expect("a template");
    let prepared = template.fork().send_arg("sent").call(NOTE, ["noted"]).into_template();
    let prepared = prepared.expect("a template");
    let check = || {
        let told = Told::run(prepared.fork(), TELL);
        assert_eq!(told.answer(), b"noted");
        assert!(told.exit().success());
        let told = Told::run(prepared.fork().send_arg("more"), ITEMS);
        assert_eq!(items(told.socket()), [arg("sent"), arg("more")]);
    };
    check();
    let pid = eventually("its id", || prepared.pid());
    signal(&template, Signal::KILL);
    // Until then a request may be one that its dying process has begun, which fails once.
    eventually("its death", || (!processes::is_alive(pid)).then_some(()));
    check();
    assert!(template.report().deaths >= 1 || prepared.report().deaths >= 1);
}

/// F5, B4: a preparation that never returns is given up with its template, and nobody waits for it or keeps it.
#[test]
fn a_preparation_that_never_returns() {
    let template = Template::exec().expect("a template");
    let hung = template.fork().call(NOTE, ["hang"]).into_template().expect("to be made");
    hung.set_deadline(Duration::from_millis(100));
    let told: Vec<_> = (0..3).map(|_| Told::run(hung.fork(), RETURN)).collect();
    for told in told {
        assert_eq!(told.refusal().kind(), ErrorKind::NoTemplate);
    }
    let pid = eventually("the template's id", || template.pid());
    drop(hung);
    eventually("no process of it", || processes::children(pid).is_empty().then_some(()));
    assert!(Told::run(template.fork(), RETURN).exit().success());
}

/// F5, B4: and also if it was given up before it existed.
#[test]
fn a_preparation_that_was_given_up_before_it_began() {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    let pid = signal(&template, Signal::STOP);
    eventually("it is stopped", || {
        processes::status(pid, "State").filter(|state| state.starts_with('T'))
    });
    let hung = template.fork().call(NOTE, ["hang"]).into_template().expect("to be made");
    hung.set_deadline(Duration::from_millis(20));
    let told = Told::run(hung.fork(), RETURN);
    eventually("it is given up", || hung.fork().into_fd().err());
    assert_eq!(told.words(), [""; 0]);
    signal(&template, Signal::CONT);
    assert_eq!(told.refusal().kind(), ErrorKind::NoTemplate);
    eventually("no process of it", || processes::children(pid).is_empty().then_some(()));
    assert!(Told::run(template.fork(), RETURN).exit().success());
    assert_eq!(template.report().deaths, 0);
}

/// F3, B6: what ends before it can be told how many spares are wanted is no template, as without them.
#[test]
fn spares_of_a_foreign_program() {
    for _ in 0..10 {
        let template = Template::program("/bin/true").expect("it can be executed");
        template.spares(2).expect("not seen yet");
        let error = Told::run(template.fork(), RETURN).refusal();
        assert_eq!(error.kind(), ErrorKind::NoTemplate, "{error}");
        assert!(error.to_string().contains("died 5 times"), "{error}");
    }
}

/// F13: through a descriptor and back.
#[test]
fn a_process_becomes_a_descriptor_and_a_process() {
    let template = Template::exec().expect("a template");
    let fd = template.fork().send_arg("one").into_fd().expect("a descriptor");
    let told = Told::run(Process::from_fd(fd).send_arg("two"), ITEMS);
    assert_eq!(items(told.socket()), [arg("one"), arg("two")]);
    assert!(told.exit().success());
}

/// B4: stopped past its deadline, it is made anew; what waited is settled once.
#[test]
fn a_stuck_template_is_made_anew() {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    template.set_deadline(Duration::from_millis(200));
    let before = signal(&template, Signal::STOP);
    let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), RETURN)).collect();
    for told in &told {
        if let Some(exit) = told.exit_if_ran() {
            assert!(matches!(exit.cause(), Cause::Returned | Cause::TemplateDied), "{exit}");
        }
    }
    assert!(Told::run(template.fork(), RETURN).exit().success());
    assert_ne!(template.pid(), Some(before));
    assert!(!processes::is_alive(before));
    assert_eq!(template.report().deaths, 1);
}

/// B4: only deaths in a row do.
#[test]
fn deaths_with_work_in_between_do_not_count() {
    let template = Template::exec().expect("a template");
    for _ in 0..8 {
        assert!(Told::run(template.fork(), RETURN).exit().success());
        let pid = signal(&template, Signal::KILL);
        eventually("its death", || (!processes::is_alive(pid)).then_some(()));
    }
    assert!(Told::run(template.fork(), RETURN).exit().success());
}

/// B6: from a spare or not, a worker is the same; a killed one costs none.
#[test]
fn spares_are_as_good_as_others() {
    let template = Template::exec().expect("a template");
    template.spares(4).expect("a living template");
    for round in 0..40 {
        let told = Told::run(template.fork().send_arg(format!("{round}")), ITEMS);
        assert_eq!(items(told.socket()), [arg(&round.to_string())]);
        assert!(told.exit().success());
    }
    let pid = template.pid().expect("it lives");
    let spares = eventually("four spares", || {
        let children = processes::children(pid);
        (children.len() == 4).then_some(children)
    });
    for (spare, _) in &spares[..2] {
        let spare = Pid::from_raw(spare.cast_signed()).expect("a process id");
        kill_process(spare, Signal::KILL).expect("a spare");
    }
    let told: Vec<_> = (0..20).map(|_| Told::run(template.fork(), RETURN)).collect();
    told.iter().for_each(|told| assert!(told.exit().success(), "{}", told.exit()));
    assert!(template.report().from_spares > 0, "{:?}", template.report());
    template.spares(0).expect("a living template");
    eventually("no spare", || processes::children(pid).is_empty().then_some(()));
}

/// B6: spares that were given up for lack of memory come back by themselves when that has been over for a while; requests
/// are served meanwhile, and make none.
#[test]
fn spares_come_back_after_a_shortage_of_memory() {
    let template = Template::exec().expect("a template");
    template.spares(2).expect("a living template");
    let pid = eventually("the template's id", || template.pid());
    let spares = || processes::children(pid).len();
    eventually("two spares", || (spares() == 2).then_some(()));
    let since = Instant::now();
    template.inject(Faults::new().short_of_memory()).expect("a living template");
    eventually("no spare", || (spares() == 0).then_some(()));
    for _ in 0..3 {
        assert!(Told::run(template.fork(), RETURN).exit().success());
        eventually("it is gone", || (spares() == 0).then_some(()));
    }
    assert_eq!(template.report().from_spares, 0);
    eventually("two spares", || (spares() == 2).then_some(()));
    assert!(since.elapsed() > Duration::from_secs(9), "{:?}", since.elapsed());
    assert!(Told::run(template.fork(), RETURN).exit().success());
    assert_eq!(template.report().from_spares, 1);
}

/// The one spare of a template, stopped: it takes no request.
fn stopped_spare(template: &Template) -> Pid {
    template.spares(1).expect("a living template");
    let pid = eventually("the template's id", || template.pid());
    let spare = eventually("a spare", || {
        let children = processes::children(pid);
        children.first().filter(|_| children.len() == 1).map(|(spare, _)| *spare)
    });
    let stopped = Pid::from_raw(spare.cast_signed()).expect("a process id");
    kill_process(stopped, Signal::STOP).expect("a spare");
    eventually("it is stopped", || {
        processes::status(spare, "State").filter(|state| state.starts_with('T'))
    });
    stopped
}

/// B6: what was given to a spare that is killed before it takes it is another process's, and nobody is told.
#[test]
fn a_request_outlives_the_spare_that_it_was_given_to() {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    for _ in 0..10 {
        let spare = stopped_spare(&template);
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let told = Told::run(template.fork().send_arg("kept").send_fd(writer), KEEP);
        kill_process(spare, Signal::KILL).expect("a spare");
        let mut socket = told.socket();
        let mut answer = String::new();
        eventually("an answer", || tine_tests::readable(&socket).then_some(()));
        socket.read_to_string(&mut answer).expect("an answer");
        assert_eq!(answer, "kept");
        reader.read_to_string(&mut answer).expect("a pipe");
        assert_eq!(answer, "keptkept");
        let exit = told.exit();
        assert!(exit.success() && exit.pid() != spare.as_raw_nonzero().get().cast_unsigned());
        assert_eq!(told.words(), ["socket", "exit"]);
    }
}

tine::entry!(KEEP = keep);
fn keep(mut worker: Worker) -> tine::Result<()> {
    let (kept, fd) = (worker.take_arg()?, worker.take_fd()?);
    worker.socket().write_all(&kept)?;
    std::fs::File::from(fd).write_all(&kept)?;
    Ok(())
}

/// B6, F10: a worker that the app kills stays killed, though it was a spare that had not begun.
#[test]
fn a_spare_killed_by_the_app_is_killed() {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    stopped_spare(&template);
    let told = Told::run(template.fork(), ENDURE);
    told.running().kill(libc::SIGKILL).expect("it will be");
    assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
    assert_eq!(told.words(), ["socket", "exit"]);
}

/// B6, F10: nor does another process do its work, from beginning to end.
#[test]
fn a_spare_killed_by_the_app_is_not_replaced() {
    let template = Template::exec().expect("a template");
    assert!(Told::run(template.fork(), RETURN).exit().success());
    for _ in 0..10 {
        let spare = stopped_spare(&template);
        let told = Told::run(template.fork(), RETURN);
        told.running().kill(libc::SIGKILL).expect("it will be");
        let exit = told.exit();
        assert_eq!(exit.signal(), Some(libc::SIGKILL), "{exit}");
        assert_eq!(exit.pid(), spare.as_raw_nonzero().get().cast_unsigned());
        assert_eq!(told.words(), ["socket", "exit"]);
    }
}

/// B4, B6: a spare that is stopped goes on when it has left its request unanswered; its template is not blamed for it.
#[test]
fn a_stopped_spare_takes_nobody_along() {
    let template = Template::exec().expect("a template");
    template.set_deadline(Duration::from_millis(400));
    let living = Told::run(template.fork(), STAY);
    let socket = living.socket();
    template.spares(1).expect("a living template");
    let pid = eventually("the template's id", || template.pid());
    let spare = eventually("a spare", || {
        let living = living.running().pid();
        let children = processes::children(pid);
        children.into_iter().map(|(pid, _)| pid).find(|pid| Some(*pid) != living)
    });
    let stopped = Pid::from_raw(spare.cast_signed()).expect("a process id");
    kill_process(stopped, Signal::STOP).expect("a spare");
    let exit = Told::run(template.fork(), RETURN).exit();
    assert!(exit.success() && exit.pid() == spare, "{exit}");
    assert_eq!((living.words(), template.report().deaths), (vec!["socket"], 0));
    drop(socket);
    assert!(living.exit().success());
}

/// B3, B4: living workers of a template that dies are told, and the next ones come from its successor.
#[test]
fn workers_of_a_template_that_is_made_anew() {
    let template = Template::exec().expect("a template");
    let told: Vec<_> = (0..5).map(|_| Told::run(template.fork(), ENDURE)).collect();
    for told in &told {
        told.socket().read_exact(&mut [0; 5]).expect("ready");
    }
    signal(&template, Signal::KILL);
    let next = Told::run(template.fork(), STAY);
    for told in &told {
        assert_eq!(*told.exit().cause(), Cause::TemplateDied);
    }
    drop(next.socket());
    assert!(next.exit().success());
}
