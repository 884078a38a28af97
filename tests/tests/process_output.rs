//! What workers print without ending the line: each word once, and none of another process's.
//!
//! Each case is an app, run again for it with a pipe as its standard output.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tine::{Items, Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::{cases, native, processes, runner};

fn main() -> ExitCode {
    if let Some(app) = std::env::var_os(APP) {
        return play(app.to_str().expect("a name"));
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![
        unfinished_lines_are_written,
        what_the_app_has_printed_is_its_own,
        what_the_app_could_not_write_is_its_own,
        what_a_preparation_has_printed_is_no_copys,
        a_thread_that_holds_standard_output_holds_nobody,
        standard_descriptors_that_the_app_has_closed,
        a_standard_error_that_may_grow_no_more,
    ];
    runner::run(&template, cases)
}

const APP: &str = "TINE_TESTS_APP";

/// All that an app and its workers write.
fn output(app: &str) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let mut child = command.env(APP, app).stdout(Stdio::piped()).spawn().expect("an app");
    let mut output = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut output).expect("a pipe");
    assert!(child.wait().expect("a child").success(), "{output}");
    output
}

fn play(app: &str) -> ExitCode {
    match app {
        "plain" => {
            let template = Template::early().expect("first line of main");
            ["return", "fail", "panic", "exit"].iter().for_each(|deed| ends(&template, deed));
            template.spares(1).expect("a living template");
            let pid = processes::of(&template);
            eventually("a spare", || (!processes::children(pid).is_empty()).then_some(()));
            ends(&template, "spare");
            assert_eq!(template.report().from_spares, 1);
        }
        "loaded" => {
            print!("app ");
            let template = Template::here().expect("no thread is running");
            print!("later ");
            (0..3).for_each(|_| ends(&template, "w"));
        }
        "full" => full(),
        "limited" => limited(),
        numbers if numbers.bytes().all(|octet| octet.is_ascii_digit()) => closed(numbers),
        "prepared" => {
            let template = Template::early().expect("first line of main");
            let prepared = template.fork().call(PRINT, ["prepared "]);
            (0..3).for_each(|_| ends_of(prepared.fork(), "w"));
        }
        _ => {
            let template = Template::early().expect("first line of main");
            ends(&template, "thread");
        }
    }
    ExitCode::SUCCESS
}

/// An app whose standard output takes nothing while it forks its template.
fn full() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let own = rustix::stdio::stdout().try_clone_to_owned().expect("a descriptor");
    rustix::io::ioctl_fionbio(&writer, true).expect("a pipe");
    while (&writer).write(&[b'.'; 4096]).is_ok() {}
    while (&writer).write(b".").is_ok() {}
    rustix::stdio::dup2_stdout(&writer).expect("standard output");
    drop(writer);
    print!("app ");
    let template = Template::here().expect("no thread is running");
    take(&mut reader);
    ends(&template, "w");
    std::io::stdout().flush().expect("there is room");
    rustix::stdio::dup2_stdout(&own).expect("standard output");
    print!("{}", take(&mut reader));
}

/// An app that has closed standard descriptors, as programs in the background do.
fn closed(numbers: &str) {
    let is_closed = |number: usize| numbers.contains(&number.to_string());
    let closed = (0..3).filter(|number| is_closed(*number));
    closed.clone().for_each(|number| native::close(number as i32));
    let forked = Template::early().expect("first line of main");
    let executed = Template::exec().expect("a template");
    // Whatever is there by now, it is not what a template is spoken to by.
    closed.for_each(|number| native::write(number as i32, b"to nobody"));
    for process in [forked.fork(), executed.fork(), forked.fresh(), executed.fresh()] {
        let told = Told::run(process, STANDARD);
        let answer = String::from_utf8(told.answer()).expect("text");
        let targets: Vec<_> = answer.lines().collect();
        assert_eq!(targets.len(), 4, "{targets:?}");
        assert_eq!(targets[0], "/dev/null", "{targets:?}");
        assert_eq!(targets[1] == "/dev/null", is_closed(1), "{targets:?}");
        assert!(targets[2].starts_with("pipe:"), "{targets:?}");
        let exit = told.exit();
        assert!(exit.success() && exit.stderr() == "error\n", "{exit}: {}", exit.stderr());
    }
}

tine::entry!(STANDARD = tell_standard);
fn tell_standard(worker: Worker) -> std::io::Result<()> {
    print!("out ");
    eprintln!("error");
    let mut descriptors = processes::descriptors(std::process::id());
    // The listing's own is gone by now.
    descriptors.retain(|_, target| !target.starts_with("/proc/"));
    descriptors.values().try_for_each(|target| writeln!(worker.socket(), "{target}"))
}

/// What is in the pipe now: others may have it open still.
fn take(reader: &mut std::io::PipeReader) -> String {
    let there = rustix::io::ioctl_fionread(&*reader).expect("a pipe");
    let mut octets = vec![0; there as usize];
    reader.read_exact(&mut octets).expect("what is in it");
    String::from_utf8(octets).expect("text")
}

fn ends(template: &Template, deed: &str) {
    ends_of(template.fork(), deed);
}

fn ends_of(process: tine::Process, deed: &str) {
    Told::run(process.send_arg(deed), SAY).exit();
}

tine::function!(PRINT = print_args);
fn print_args(_: &mut Items, args: Vec<Vec<u8>>) {
    print!("{}", String::from_utf8_lossy(&args.concat()));
}

tine::entry!(SAY = say);
fn say(mut worker: Worker) -> Result<(), String> {
    let deed = String::from_utf8(worker.take_arg().expect("an argument")).expect("text");
    print!("{deed} ");
    match deed.as_str() {
        "fail" => Err("as told".into()),
        "panic" => std::panic::resume_unwind(Box::new("as told")),
        "exit" => std::process::exit(3),
        "thread" => {
            let (tell, held) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let _lock = std::io::stdout().lock();
                let _ = tell.send(());
                loop {
                    std::thread::park();
                }
            });
            held.recv().map_err(|error| error.to_string())
        }
        _ => Ok(()),
    }
}

/// F24: what a worker itself has printed, however its function ends.
fn unfinished_lines_are_written(_: &Template) {
    assert_eq!(output("plain"), "return fail panic exit spare ");
}

/// F24, F16: once, by the app.
fn what_the_app_has_printed_is_its_own(_: &Template) {
    assert_eq!(output("loaded"), "app w w w later ");
}

/// F24: a template forgets it.
fn what_the_app_could_not_write_is_its_own(_: &Template) {
    assert_eq!(output("full"), "w app ");
}

/// F2, F5: once, by the process that was prepared.
fn what_a_preparation_has_printed_is_no_copys(_: &Template) {
    assert_eq!(output("prepared"), "prepared w w w ");
}

/// F11: it ends all the same.
fn a_thread_that_holds_standard_output_holds_nobody(_: &Template) {
    output("thread");
}

/// F23, rule 9: nothing of tine's gets the number of one, here or there, and what is printed goes nowhere.
fn standard_descriptors_that_the_app_has_closed(_: &Template) {
    for numbers in ["0", "1", "2", "01", "02", "12", "012"] {
        let printed = if numbers.contains('1') { "" } else { "out out out out " };
        assert_eq!(output(numbers), printed, "{numbers} closed");
    }
}

tine::entry!(COMPLAIN = complain);
fn complain(_: Worker) {
    (0..LIMIT).for_each(|_| eprintln!("a line"));
}

/// How long a file may be for the app with the limit.
const LIMIT: u64 = 4096;

fn limited() {
    let limit = Rlimit { current: Some(LIMIT), ..getrlimit(Resource::Fsize) };
    setrlimit(Resource::Fsize, limit).expect("less than before");
    let template = Template::early().expect("first line of main");
    let told = Told::run(template.fork(), COMPLAIN);
    assert!(told.exit().success());
    ends(&template, "w");
    assert_eq!(template.report().deaths, 0);
}

/// B3, rule 9: setrlimit(2), `RLIMIT_FSIZE`; whoever writes more to a file is killed, which is not to be the template for
/// what a worker has said.
fn a_standard_error_that_may_grow_no_more(_: &Template) {
    let log = tempfile::tempfile().expect("a file");
    let mut app = Command::new(std::env::current_exe().expect("this program"));
    app.env(APP, "limited").stdout(Stdio::null()).stderr(log.try_clone().expect("a descriptor"));
    assert!(app.status().expect("an app").success());
    assert_eq!(log.metadata().expect("a file").len(), LIMIT);
}
