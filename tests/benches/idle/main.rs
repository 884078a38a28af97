//! Bench `idle`: how often an app wakes up for a queue that has nothing to do, with a worker that is idle, a
//! watcher and a timer that is far off.
//!
//! The app is looked at from outside: the kernel counts how often each of its threads gave its processor
//! away (`/proc/PID/task/TID/status`). That it still runs then, and that a wake-up would have been seen, is
//! checked at the end: a line on its standard input has to be one. `--case NAME` (also several times) runs only some of the cases.

#[path = "../loops/hosts.rs"]
mod hosts;
#[path = "../loops/mod.rs"]
mod loops;

use hosts::{display, on_display};
use loops::{Bound, Case, Plan, ours};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tine::{Interest, Template, Worker};

tine::entry!(WAIT = wait);

/// In the worker: waits until the app ends.
fn wait(worker: Worker) -> Result<(), Box<dyn std::error::Error>> {
    std::io::copy(&mut worker.socket(), &mut std::io::sink())?;
    Ok(())
}

const SECONDS: u32 = 10;
const LOOPS: [&str; 5] =
    ["tine-embedded", "tine-glib", "tine-calloop", "tine-winit", "tine-async-io"];

fn main() {
    match loops::case().as_deref() {
        Some([case, app]) if app == "app" => return idle(case),
        Some([case, seconds]) => return watch(case, seconds.parse().expect("a number")),
        _ => (),
    }
    let plan = Plan {
        bench: "idle",
        sized: "seconds",
        note: "wake-ups of all threads of an app that has nothing to do",
        sizes: vec![(SECONDS.into(), vec![SECONDS.to_string()])],
        metrics: &[("wakeups", "wake-ups")],
        rounds: 1,
    };
    let server = display();
    let program = |name| match name {
        "tine-winit" => on_display(&server, ours(name)),
        _ => ours(name),
    };
    let cases = LOOPS.map(|name| Case { name, program: program(name) });
    let none = |case| Bound { figure: (case, SECONDS.into(), "wakeups"), other: None, limit: 0.0 };
    loops::run(&plan, cases.into(), &LOOPS.map(none));
}

/// The app.
fn idle(case: &str) {
    let queue = tine::queue();
    let run = hosts::attach(case, &queue).unwrap_or_else(|| panic!("no case {case}"));
    let template = Template::exec().expect("a template");
    template.fork().run(WAIT, |socket| {
        let watched = tine::queue().io(socket.expect("a worker"), Interest::READABLE, |_, _| ());
        watched.expect("a watcher").detach();
        println!("attached");
    });
    let input = queue.io(std::io::stdin(), Interest::READABLE, |input, _| {
        match input.read_line(&mut String::new()).expect("a pipe") {
            // Whoever measures is gone.
            0 => std::process::exit(1),
            _ => println!("awake"),
        }
    });
    let _input = input.expect("a watcher");
    let _timer = queue.every(Duration::from_secs(3600), || ());
    run(&mut || false);
}

/// Counts the wake-ups of an app after it has come to rest.
fn watch(case: &str, seconds: u64) {
    let program = std::env::current_exe().expect("/proc");
    let mut app = Command::new(program)
        .args(["--run", case, "app"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let mut input = app.stdin.take().expect("a pipe");
    let mut said = BufReader::new(app.stdout.take().expect("a pipe")).lines();
    let mut wait_for = |line: &str| {
        let found = said.by_ref().find(|said| said.as_ref().is_ok_and(|said| said == line));
        assert!(found.is_some(), "{case} ended before it was {line}");
    };
    wait_for("attached");
    let (moment, mut before) = (Duration::from_secs(1), None);
    // async-io's own thread falls asleep by and by.
    while before != Some(wakeups(&app)) {
        before = Some(wakeups(&app));
        sleep(moment);
    }
    let before = wakeups(&app);
    sleep(Duration::from_secs(seconds));
    let after = wakeups(&app);
    writeln!(input).expect("it runs");
    wait_for("awake");
    assert!(wakeups(&app) > after, "a wake-up of {case} is not seen");
    println!("wakeups {}", after - before);
    app.kill().expect("it runs");
    app.wait().expect("our child");
}

/// How often the threads of a process went to sleep, or had to give way, since they began.
fn wakeups(app: &Child) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", app.id())).expect("it runs");
    // A thread may have ended meanwhile.
    let statuses =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let count = |status: String| {
        let counts = status.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
        counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>()
    };
    statuses.map(count).sum()
}
