//! F20, E15: where a filter of seccomp(2) refuses a call, as a container's may, templates do without it or say which.

use std::cell::Cell;
use std::fs::File;
use std::io::Read as _;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::Template;
use tine_tests::confined::Lacking;
use tine_tests::places::{HERE, answer_of, output_of, this};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, ITEMS, RETURN, Sent, items};
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    // Started by a test below.
    if let (Ok(call), Ok(errno)) =
        (std::env::var("TINE_TEST_CALL"), std::env::var("TINE_TEST_ERRNO"))
    {
        println!("main");
        let number = |text: String| text.parse().expect("a number");
        let filter = Lacking::call(number(call), number(errno) as i32);
        if std::env::var_os("TINE_TEST_LATE").is_some() {
            with_a_template_from_before(filter);
        } else {
            filter.begin();
            try_everything();
        }
        return ExitCode::SUCCESS;
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![
        without_waits_to_the_nanosecond,
        without_memory_of_its_own,
        without_limits,
        without_a_look_at_the_dead,
        without_changes_of_the_umask,
        without_death_with_the_parent,
        without_numbers_for_descriptors,
    ];
    runner::run(&template, cases)
}

fn try_everything() {
    let early = Template::early().expect("first line of main");
    let exec = Template::exec().expect("a template");
    for template in [early, exec] {
        let told = Told::run(template.fork(), RETURN);
        match told.exit_if_ran() {
            None => println!("{}", told.refusal()),
            Some(exit) if !exit.success() => println!("{exit}"),
            Some(_) => {
                works(&template);
                println!("all of it works");
            }
        }
    }
}

fn with_a_template_from_before(filter: Lacking) {
    let template = Template::early().expect("first line of main");
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    filter.begin();
    print!("{}", said_by(template.command("sh").arg("-c").arg("umask")));
}

tine::function!(PREPARE = prepare);
fn prepare(_: &mut tine::Items, _: Vec<Vec<u8>>) {}

/// What a template can be asked for.
fn works(template: &Template) {
    assert_eq!(answer_of(Ok(template.fork())), HERE);
    assert_eq!(answer_of(Ok(template.fresh())), HERE);
    assert_eq!(answer_of(Ok(template.fork().call(PREPARE, [""; 0]))), HERE);
    assert_eq!(answer_of(Ok(template.fork().call(PREPARE, [""; 0]).fork())), HERE);
    let long = vec![7; 300_000];
    let null = File::open("/dev/null").expect("/dev/null");
    let told = Told::run(template.fork().send_arg(long.clone()).send_fd(null), ITEMS);
    assert!(items(told.socket()) == [Sent::Arg(long), Sent::Fd(Vec::new())]);
    template.spares(2).expect("a template");
    let spared = || template.report().from_spares > 0;
    eventually("a spare", || {
        assert!(Told::run(template.fork(), RETURN).exit().success());
        spared().then_some(())
    });
    assert_eq!(said_by(template.command("echo").arg("hi")), "hi\n");
    let killed = Told::run(template.fork(), ENDURE);
    drop(killed.socket());
    killed.running().kill(libc::SIGKILL).expect("it lives");
    assert_eq!(killed.exit().signal(), Some(libc::SIGKILL));
    waits_are_exact();
}

fn said_by(program: tine::Command) -> String {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let ended = Rc::new(Cell::new(false));
    let succeeded = Rc::clone(&ended);
    let _running = program
        .stdout(writer)
        .spawn(|program| drop(program.expect("it starts")))
        .on_exit(move |exit| succeeded.set(exit.success()));
    eventually("its end", || ended.get().then_some(()));
    let mut all = String::new();
    reader.read_to_string(&mut all).expect("a pipe");
    all
}

/// E2: a timer of a fraction of a millisecond comes no sooner.
fn waits_are_exact() {
    let queue = tine::queue();
    let (begun, done) = (Instant::now(), Rc::new(Cell::new(false)));
    let fired = Rc::clone(&done);
    let _timer = queue.after(Duration::from_micros(2_300), move || fired.set(true));
    let mut turns = 0;
    while !done.get() {
        queue.turn(None).expect("a queue");
        turns += 1;
    }
    assert!(begun.elapsed() >= Duration::from_micros(2_300));
    assert!(turns < 10, "{turns} turns: it does not spin up to it");
}

/// What this program says where the call is refused, with each errno that filters use.
fn assert_says(call: i64, expected: &str) {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut program = Command::new(this());
        program.env("TINE_TEST_CALL", call.to_string()).env("TINE_TEST_ERRNO", errno.to_string());
        let lines = output_of(&mut program);
        assert!(lines.len() == 2, "call {call}: {lines:?}");
        assert!(lines.iter().all(|line| line.contains(expected)), "call {call}: {lines:?}");
    }
}

/// F20: epoll_pwait2(2) is of Linux 5.11, and older filters refuse what they do not know.
fn without_waits_to_the_nanosecond(_: &Template) {
    assert_says(libc::SYS_epoll_pwait2, "all of it works");
}

fn without_memory_of_its_own(_: &Template) {
    assert_says(libc::SYS_madvise, "all of it works");
}

fn without_limits(_: &Template) {
    assert_says(libc::SYS_prlimit64, "all of it works");
}

fn without_a_look_at_the_dead(_: &Template) {
    assert_says(libc::SYS_waitid, "all of it works");
}

/// Rule 6: what the umask is, /proc tells too.
fn without_changes_of_the_umask(_: &Template) {
    assert_says(libc::SYS_umask, "all of it works");
    // What is told of it to a template from before is right, too.
    let mut program = Command::new(this());
    program.env("TINE_TEST_CALL", libc::SYS_umask.to_string());
    program.env("TINE_TEST_ERRNO", libc::EPERM.to_string()).env("TINE_TEST_LATE", "");
    assert_eq!(output_of(&mut program), ["0027"]);
}

/// Rule 6: a worker that would outlive its app is none; the call is named.
fn without_death_with_the_parent(_: &Template) {
    assert_says(libc::SYS_prctl, "prctl");
}

/// Rule 10: what no worker can do without is told as its end, with the reason.
fn without_numbers_for_descriptors(_: &Template) {
    assert_says(libc::SYS_dup3, "cannot sort its descriptors");
}
