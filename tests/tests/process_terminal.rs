//! Templates and workers of an app that runs in a terminal: what is typed there is for the app alone.
//!
//! Each case is a terminal with a shell that has job control, and this program once more as its job.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::{Template, Worker};
use tine_tests::told::{DEADLINE, Told, eventually};
use tine_tests::workers::RETURN;
use tine_tests::{cases, native, poll_readable, processes, runner};

fn main() -> ExitCode {
    if let Some(app) = std::env::var_os(APP) {
        play(app.to_str().expect("a name"));
        return ExitCode::SUCCESS;
    }
    // What has started this program in the background may ignore them, and so would its terminals' shells.
    [libc::SIGINT, libc::SIGQUIT].into_iter().for_each(native::default);
    let template = Template::early().expect("first line of main");
    let cases = cases![
        an_interrupt_is_the_apps,
        an_app_that_dies_takes_all_along,
        stopped_and_continued,
        a_program_is_in_the_apps_group,
        a_terminal_that_stops_background_output,
        a_terminal_that_nobody_reads,
    ];
    runner::run(&template, cases)
}

const APP: &str = "TINE_TESTS_APP";

/// A terminal in which a script runs, whose `$0` is this program as that app.
struct Terminal {
    keyboard: File,
    shell: Child,
    said: String,
}

impl Terminal {
    fn begin(app: &str, script: &str) -> Terminal {
        let (keyboard, path) = native::terminal();
        let end = || File::options().read(true).write(true).open(&path).expect("a terminal");
        let shell = Command::new("setsid")
            .args(["--ctty", "sh", "-m", "-c", script])
            .arg(std::env::current_exe().expect("this program"))
            .env(APP, app)
            .stdin(Stdio::from(end()))
            .stdout(Stdio::from(end()))
            .stderr(Stdio::from(end()))
            .spawn()
            .expect("a shell");
        Terminal { keyboard: keyboard.into(), shell, said: String::new() }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Reads until these words come; gives the rest of their line.
    fn hear(&mut self, words: &str) -> String {
        loop {
            if let Some((_, after)) = self.said.split_once(words)
                && let Some((line, rest)) = after.split_once('\n')
            {
                let line = line.trim().to_owned();
                self.said = rest.to_owned();
                return line;
            }
            let mut said = [0; 1024];
            let there = poll_readable(self.keyboard.as_fd(), DEADLINE);
            assert!(there, "waited for {words:?}, heard {:?}", self.said);
            let got = self.keyboard.read(&mut said).unwrap_or(0);
            assert!(got > 0, "it ended before {words:?}: {:?}", self.said);
            self.said.push_str(&String::from_utf8_lossy(&said[..got]));
        }
    }

    fn end(mut self) {
        assert_eq!(self.hear("ended with "), "0");
        assert!(self.shell.wait().expect("a child").success());
    }
}

const PLAIN: &str = "\"$0\"; echo ended with $?";

/// E19, F25: an app that catches it goes on, with its template, workers and spares.
fn an_interrupt_is_the_apps(_: &Template) {
    let mut terminal = Terminal::begin("catch", PLAIN);
    for keys in ["\x03", "\x1c"] {
        terminal.hear("ready");
        terminal.type_in(keys);
        assert_eq!(terminal.hear("goes on: "), "worker, template, 0 deaths");
    }
    terminal.end();
}

tine::entry!(FLOOD = flood);
fn flood(_: Worker) -> std::io::Result<()> {
    // Written at once, and of no length that the terminal's room is a multiple of.
    (3000..3300).try_for_each(|n| std::io::stderr().write_all(format!("{n:n$}\n").as_bytes()))
}

/// B3: what workers write and it does not take is lost there; nobody waits for it.
fn a_terminal_that_nobody_reads(_: &Template) {
    let (_unread, path) = native::terminal();
    let end = File::options().read(true).write(true).open(&path).expect("a terminal");
    let mut app = Command::new(std::env::current_exe().expect("this program"))
        .env(APP, "flood")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(end))
        .spawn()
        .expect("this program");
    let mut output = app.stdout.take().expect("a pipe");
    let said = poll_readable(output.as_fd(), DEADLINE);
    if !said {
        app.kill().expect("it hangs");
    }
    assert!(said, "the template waits for the terminal");
    let mut text = String::new();
    output.read_to_string(&mut text).expect("text");
    assert_eq!(text, "returned\n");
    assert!(app.wait().expect("a child").success());
}

/// Rule 6: nothing is left of an app that does not.
fn an_app_that_dies_takes_all_along(_: &Template) {
    let mut terminal = Terminal::begin("die", &format!("trap : INT; {PLAIN}"));
    let line = terminal.hear("processes ");
    terminal.type_in("\x03");
    assert_eq!(terminal.hear("ended with "), (128 + libc::SIGINT).to_string());
    let pids = line.split(' ').map(|pid| pid.parse().expect("a process id"));
    for pid in pids {
        eventually("a process's end", || (!processes::is_alive(pid)).then_some(()));
    }
    terminal.shell.wait().expect("a child");
}

/// B4: an app that was stopped for longer than its template may take does not blame it.
fn stopped_and_continued(_: &Template) {
    let script = "\"$0\"; echo stopped $?; sleep 1.2; fg %1; echo ended with $?";
    let mut terminal = Terminal::begin("stop", script);
    terminal.hear("ready");
    terminal.type_in("\x1a");
    terminal.hear("stopped ");
    assert_eq!(terminal.hear("goes on: "), "worker, template, 0 deaths");
    terminal.end();
}

/// F18: as one of `std::process::Command`, which reads what is typed and is interrupted.
fn a_program_is_in_the_apps_group(_: &Template) {
    let mut terminal = Terminal::begin("program", PLAIN);
    for _ in 0..3 {
        terminal.hear("program begins");
        terminal.type_in("words\n");
        assert_eq!(terminal.hear("program read "), "words");
    }
    terminal.end();
}

/// B3: what a worker writes to its standard error is passed on all the same.
fn a_terminal_that_stops_background_output(_: &Template) {
    let mut terminal = Terminal::begin("errors", &format!("stty tostop; {PLAIN}"));
    for number in 0..3 {
        assert_eq!(terminal.hear("a worker's word "), number.to_string());
    }
    terminal.end();
}

fn play(app: &str) {
    let template = Template::early().expect("first line of main");
    if app == "flood" {
        let exit = Told::run(template.fork(), FLOOD).exit();
        return println!("{}", if exit.success() { "returned".into() } else { exit.to_string() });
    }
    let worker = Told::run(template.fork(), ANSWER);
    let mut app_play = Play { socket: worker.socket(), worker, template };
    match app {
        "catch" => app_play.catch(),
        "die" => app_play.die(),
        "stop" => app_play.stop(),
        "program" => app_play.program(),
        _ => app_play.errors(),
    }
}

/// An app with a template and a worker that lives.
struct Play {
    template: Template,
    worker: Told,
    socket: UnixStream,
}

impl Play {
    fn goes_on(&mut self) {
        self.socket.write_all(b"?").expect("a worker");
        self.socket.read_exact(&mut [0]).expect("a worker's answer");
        assert!(Told::run(self.template.fork(), RETURN).exit().success());
        println!("goes on: worker, template, {} deaths", self.template.report().deaths);
    }

    fn catch(&mut self) {
        self.template.spares(1).expect("a living template");
        for signal in [libc::SIGINT, libc::SIGQUIT] {
            let caught = Rc::new(Cell::new(false));
            let tell = caught.clone();
            let watcher = tine::queue().signal(signal, move || tell.set(true)).expect("a signal");
            println!("ready");
            eventually("the signal", || caught.get().then_some(()));
            drop(watcher);
            self.goes_on();
        }
    }

    fn die(&mut self) {
        let pids =
            [self.template.pid(), self.worker.running().pid()].map(|pid| pid.expect("it lives"));
        println!("processes {} {}", pids[0], pids[1]);
        loop {
            tine::queue().turn(None).expect("a queue");
        }
    }

    /// Asks for one worker after another, so that it is stopped in the middle.
    fn stop(&mut self) {
        self.template.set_deadline(Duration::from_millis(500));
        let mut begun = Instant::now();
        println!("ready");
        loop {
            let told = Told::run(self.template.fork(), RETURN);
            if !told.settled() {
                return println!("goes on: not, {}", told.refusal());
            }
            assert!(told.exit().success(), "{}", told.exit());
            if begun.elapsed() > Duration::from_millis(1000) {
                return self.goes_on();
            }
            begun = Instant::now();
        }
    }

    fn program(&mut self) {
        for _ in 0..3 {
            let ended = Rc::new(Cell::new(false));
            let tell = ended.clone();
            self.template
                .command("sh")
                .args(["-c", "echo program begins; read words; echo program read $words"])
                .stdin(rustix::stdio::stdin().try_clone_to_owned().expect("a terminal"))
                .spawn(|started| drop(started.expect("a shell")))
                .on_exit(move |exit| tell.set(exit.success()));
            eventually("the program's end", || ended.get().then_some(()));
        }
    }

    fn errors(&mut self) {
        for number in 0..3 {
            let told = Told::run(self.template.fork().send_arg(format!("{number}")), COMPLAIN);
            assert!(told.exit().success());
        }
    }
}

tine::entry!(ANSWER = answer);
fn answer(worker: Worker) -> std::io::Result<()> {
    let mut socket = worker.socket();
    std::io::copy(&mut &*socket, &mut socket).map(drop)
}

tine::entry!(COMPLAIN = complain);
fn complain(mut worker: Worker) -> tine::Result<()> {
    eprintln!("a worker's word {}", String::from_utf8_lossy(&worker.take_arg()?));
    Ok(())
}
