//! F3, B9: a program whose file is replaced, renamed or deleted while it runs.

use std::path::Path;
use std::process::{Command, ExitCode};

use tine::{Template, Worker};
use tine_tests::told::Told;
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    // A copy of this program, started by the tests below: without a harness, as it says what it finds.
    if let Ok(deed) = std::env::var("TINE_TEST_DEED") {
        return run_without_file(&deed);
    }
    let template = Template::early().expect("first line of main");
    runner::run(&template, cases![deleted, replaced, renamed, overwritten_by_rename])
}

tine::entry!(ANSWER = answer);
fn answer(worker: Worker) -> std::io::Result<()> {
    std::io::Write::write_all(&mut worker.socket(), b"here")
}

/// Does it to its own file; then makes templates and workers of every kind.
fn run_without_file(deed: &str) -> ExitCode {
    let early = Template::early().expect("first line of main");
    let own = std::env::current_exe().expect("this program");
    let aside = own.with_file_name("aside");
    match deed {
        "delete" => std::fs::remove_file(&own).expect("deleted"),
        "replace" => {
            std::fs::remove_file(&own).expect("deleted");
            std::fs::copy("/bin/false", &own).map(drop).expect("replaced");
        }
        "rename" => std::fs::rename(&own, &aside).expect("renamed"),
        _ => {
            std::fs::copy("/bin/false", &aside).expect("a copy");
            std::fs::rename(&aside, &own).expect("replaced");
        }
    }
    let exec = Template::exec().expect("a template");
    for process in [early.fork(), exec.fork(), exec.fresh(), early.fresh()] {
        assert_eq!(Told::run(process, ANSWER).answer(), b"here", "{deed}");
    }
    // B4: and once more when they have died.
    for template in [&early, &exec] {
        let pid = template.pid().expect("a template").cast_signed();
        let pid = rustix::process::Pid::from_raw(pid).expect("an id");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
        assert_eq!(Told::run(template.fork(), ANSWER).answer(), b"here", "{deed}");
    }
    ExitCode::SUCCESS
}

fn assert_survives(deed: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("program");
    std::fs::copy(std::env::current_exe().expect("this program"), &copy).expect("a copy");
    let output = run(&copy, deed);
    assert!(output.status.success(), "{deed}: {}", String::from_utf8_lossy(&output.stderr));
}

fn run(program: &Path, deed: &str) -> std::process::Output {
    Command::new(program).env("TINE_TEST_DEED", deed).output().expect("the copy")
}

fn deleted(_: &Template) {
    assert_survives("delete");
}

fn replaced(_: &Template) {
    assert_survives("replace");
}

fn renamed(_: &Template) {
    assert_survives("rename");
}

fn overwritten_by_rename(_: &Template) {
    assert_survives("install");
}
