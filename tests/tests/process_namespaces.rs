//! B1, F4, F20: apps in PID namespaces of their own, whose /proc may be an outer one's (pid_namespaces(7)).

use std::cell::Cell;
use std::process::{Command, ExitCode};
use std::rc::Rc;

use tine::Template;
use tine_tests::places::{HERE, answer_of, output_of, this};
use tine_tests::told::eventually;
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    // Started by a test below.
    if std::env::var_os("TINE_TEST_DEED").is_some() {
        println!("main");
        let early = Template::early();
        let exec = Template::exec();
        for (what, template) in [("early", early), ("exec", exec)] {
            match template {
                Ok(template) => {
                    println!("{what}: {}", answer_of(Ok(template.fork())));
                    println!("{what}, fresh: {}", answer_of(Ok(template.fresh())));
                    println!("{what}, programs: {}", programs(&template));
                }
                Err(error) => println!("{what}: {error}"),
            }
        }
        return ExitCode::SUCCESS;
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![in_one_of_its_own, in_one_with_another_s_proc, before_one_for_its_children];
    runner::run(&template, cases)
}

/// How many of 20 are said to have been executed, and to have succeeded.
fn programs(template: &Template) -> usize {
    let counts = Rc::new((Cell::new(0), Cell::new(0)));
    for number in 1..=20 {
        let (spawned, ended) = (Rc::clone(&counts), Rc::clone(&counts));
        let _running = template
            .command("true")
            .spawn(move |executed| spawned.0.set(spawned.0.get() + usize::from(executed.is_ok())))
            .on_exit(move |_| ended.1.set(ended.1.get() + 1));
        eventually("its end", || (counts.1.get() == number).then_some(()));
    }
    counts.0.get()
}

/// What this program says where unshare(1) starts it; None, where a test cannot have that.
fn unshared(options: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("-Ur");
    }
    command.args(options);
    let mut probe = Command::new("unshare");
    let probed = probe.args(command.get_args()).arg("true").output().expect("unshare");
    if !probed.status.success() {
        println!("not tried: {}", String::from_utf8_lossy(&probed.stderr));
        return None;
    }
    Some(output_of(command.arg(this()).env("TINE_TEST_DEED", "")))
}

fn assert_works(options: &[&str]) {
    let Some(lines) = unshared(options) else { return };
    for what in ["early", "exec"] {
        for line in [
            format!("{what}: {HERE}"),
            format!("{what}, fresh: {HERE}"),
            format!("{what}, programs: 20"),
        ] {
            assert!(lines.contains(&line), "{line}: {lines:?}");
        }
    }
}

fn in_one_of_its_own(_: &Template) {
    assert_works(&["-pf", "--mount-proc"]);
}

/// Threads are counted there by other numbers, and what stands under a process's number is told of another one.
fn in_one_with_another_s_proc(_: &Template) {
    assert_works(&["-pf"]);
}

/// The first child would be its process 1, and none could be made after it: refused, with the reason.
fn before_one_for_its_children(_: &Template) {
    let Some(lines) = unshared(&["-p"]) else { return };
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, what) in lines.iter().zip(["early: ", "exec: "]) {
        assert!(line.starts_with(what) && line.contains("another PID namespace"), "{line}");
    }
}
