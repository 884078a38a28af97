//! E16, B13: what is under way is listed with its place in the source, and has a name in `ps`.

use std::process::{Command, ExitCode};
use std::rc::Rc;

use tine::{Phase, Template};
use tine_tests::told::Told;
use tine_tests::{cases, processes, runner, workers};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        processes_are_listed_until_their_end_is_told,
        commands_are_listed_by_their_program,
        the_overview_has_watchers_templates_and_processes,
        ps_shows_template_and_workers,
        ps_shows_spares_and_templates_of_other_kinds,
    ];
    runner::run(&template, cases)
}

fn processes_are_listed_until_their_end_is_told(template: &Template) {
    assert!(template.processes().is_empty());
    let running = template.fork().run(workers::STAY, |_| ());
    let line = line!() - 1;
    let listed = template.processes();
    let [asked] = &listed[..] else { panic!("{listed:#?}") };
    assert_eq!((asked.phase(), asked.pid()), (Phase::Asked, None));
    assert_eq!(asked.entry(), workers::STAY.name());
    assert_eq!((asked.place().file(), asked.place().line()), (file!(), line));

    let ended = Rc::new(std::cell::Cell::new(false));
    let told = Rc::clone(&ended);
    let running = running.on_exit(move |_| told.set(true));
    let mut before = asked.age();
    tine::queue().run_until(|| running.pid().is_some()).expect("turns");
    let [ref started] = template.processes()[..] else { panic!("one process") };
    assert!(matches!(started.phase(), Phase::Started | Phase::Running), "{started}");
    assert_eq!(started.pid(), running.pid());
    assert!(started.age() > std::mem::replace(&mut before, started.age()));
    let text = started.to_string();
    let place = format!("made at {}:{line}:", file!());
    assert!(text.starts_with(&format!("worker {} (", running.pid().unwrap_or(0))), "{text}");
    assert!(text.contains(&place), "{text}");

    // Its socket was dropped with `run`'s callback: it returns.
    tine::queue().run_until(|| ended.get()).expect("turns");
    assert!(template.processes().is_empty());
}

fn commands_are_listed_by_their_program(template: &Template) {
    let running = template.command("sleep").arg("1000").spawn(|_| ());
    let line = line!() - 1;
    let listed = template.processes();
    assert_eq!(listed[0].entry(), "sleep");
    assert_eq!((listed[0].place().file(), listed[0].place().line()), (file!(), line));
    let ended = Rc::new(std::cell::Cell::new(false));
    let told = Rc::clone(&ended);
    let running = running.on_exit(move |_| told.set(true));
    running.kill(libc::SIGKILL).expect("it is under way");
    tine::queue().run_until(|| ended.get()).expect("turns");
}

fn the_overview_has_watchers_templates_and_processes(template: &Template) {
    let _timer = tine::queue().after(tine_tests::LONG, || ());
    let line = line!() - 1;
    let told = Told::run(template.fork(), workers::STAY);
    let socket = told.socket();
    let pid = told.running().pid().expect("it runs");
    let overview = tine::overview();
    let wanted = [
        "queue on no loop: ".into(),
        format!("made at {}:{line}:", file!()),
        format!("template {}: ", processes::of(template)),
        " processes made, ".into(),
        format!("  worker {} ({}): running, made at ", pid, workers::STAY.name()),
    ];
    for wanted in wanted {
        assert!(overview.contains(&wanted), "{wanted} in {overview}");
    }
    drop(socket);
    told.exit();
}

/// The columns `comm` and `args` of procps.
fn ps(pid: u32, column: &str) -> String {
    let pid = pid.to_string();
    let output = Command::new("ps").args(["-ww", "-o", &format!("{column}="), "-p", &pid]).output();
    let output = output.expect("ps is installed");
    String::from_utf8_lossy(&output.stdout).trim().into()
}

fn ps_shows_template_and_workers(template: &Template) {
    let pid = processes::of(template);
    assert_eq!(
        (ps(pid, "comm"), ps(pid, "args")),
        ("tine template".into(), "tine template".into())
    );
    let told = Told::run(template.fork(), workers::STAY);
    let socket = told.socket();
    let worker = told.running().pid().expect("it runs");
    tine_tests::told::eventually("the worker has its name", || {
        (ps(worker, "args") == format!("tine worker: {}", workers::STAY.name())).then_some(())
    });
    assert_eq!(ps(worker, "comm"), "tine stay");
    drop(socket);
    told.exit();
    // The app keeps its own.
    assert!(ps(std::process::id(), "args").contains("process_listing"));
}

fn ps_shows_spares_and_templates_of_other_kinds(_: &Template) {
    let template = Template::exec().expect("a template");
    template.spares(1).expect("a template");
    let told = Told::run(template.fork(), workers::RETURN);
    told.exit();
    let pid = processes::of(&template);
    assert_eq!(ps(pid, "args"), "tine template");
    tine_tests::told::eventually("a spare", || {
        processes::children(pid).iter().find(|(pid, _)| ps(*pid, "args") == "tine spare").copied()
    });
    let prepared = template.fork().send_arg("x").into_template().expect("a template");
    let told = Told::run(prepared.fork(), workers::RETURN);
    told.exit();
    assert_eq!(ps(processes::of(&prepared), "args"), "tine template");
}
