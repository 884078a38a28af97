//! The app dies, however it does, and takes its template and all workers along.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use tine_tests::poll_readable;
use tine_tests::told::DEADLINE;

/// An app with its template and workers, all of which have its standard output.
struct App {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl App {
    fn start(workers: u32, deed: &str) -> App {
        let mut child = Command::new(env!("CARGO_BIN_EXE_doomed_app"))
            .args([&workers.to_string(), deed])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the app starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a pipe");
        assert_eq!(line, format!("{} processes\n", 1 + workers));
        App { child, output }
    }

    fn kill(mut self) -> ExitStatus {
        self.child.kill().expect("it lives");
        self.end()
    }

    /// Waits for the app, and then for the end of everyone who has its standard output.
    fn end(mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child");
        assert!(
            poll_readable(self.output.get_ref().as_fd(), DEADLINE),
            "processes of an app that has gone:\n{}",
            String::from_utf8_lossy(&ps())
        );
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).expect("a pipe");
        assert_eq!(rest, b"");
        status
    }
}

fn ps() -> Vec<u8> {
    Command::new("ps").args(["-ef"]).output().map(|output| output.stdout).unwrap_or_default()
}

/// Rule 6: SIGKILL leaves the app no last word, and takes everybody.
#[test]
fn killed_with_workers() {
    assert_eq!(App::start(20, "wait").kill().signal(), Some(libc::SIGKILL));
}

/// Rule 6: without any worker, too.
#[test]
fn killed_without_workers() {
    App::start(0, "wait").kill();
}

/// Rule 6: a template that is stopped cannot see the end of its socket.
#[test]
fn killed_while_the_template_is_stopped() {
    App::start(5, "stop-template").kill();
}

/// Rule 6: workers that are stopped cannot see anything either.
#[test]
fn killed_while_workers_are_stopped() {
    App::start(5, "stop-workers").kill();
}

/// Rule 6: some processes are being made at that moment.
#[test]
fn killed_in_the_middle_of_bursts() {
    for milliseconds in [0, 1, 3, 7, 20, 50] {
        let app = App::start(2, "burst");
        // Not a wait for something: it chooses the moment of the kill.
        assert!(!poll_readable(app.output.get_ref().as_fd(), Duration::from_millis(milliseconds)));
        app.kill();
    }
}

/// Rule 6: `main` returns while workers run.
#[test]
fn returning_from_main() {
    assert_eq!(App::start(5, "return").end().code(), Some(7));
}

/// Rule 6: exit(3), abort(3) and a panic of the app.
#[test]
fn leaving_in_other_ways() {
    assert_eq!(App::start(5, "exit").end().code(), Some(8));
    assert_eq!(App::start(5, "abort").end().signal(), Some(libc::SIGABRT));
    assert_eq!(App::start(5, "panic").end().code(), Some(101));
}
