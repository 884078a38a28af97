//! Whatever fails, and whoever is killed, every request is settled exactly once.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use tine::{Cause, ErrorKind, Sandbox, Template, Worker};
use tine_tests::told::Told;
use tine_tests::workers::{ENDURE, RETURN};
use tine_tests::{cases, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        first_words_behind_the_word_that_it_is_ready,
        a_preparation_that_writes_to_the_socket,
        a_storm_of_kills,
        a_storm_of_kills_over_prepared_templates,
        programs_started_meanwhile_by_other_threads,
    ];
    runner::run(&template, cases)
}

tine::function!(pub NOTHING = nothing);
fn nothing(_: &mut tine::Items, _: Vec<Vec<u8>>) {}

tine::entry!(SPEAK = speak);
fn speak(mut worker: Worker) -> tine::Result<()> {
    let _ended = worker.take_fd()?;
    worker.socket().write_all(b"first words")?;
    Ok(())
}

/// F9: what the function writes before the app has heard that it was entered is the app's to read.
fn first_words_behind_the_word_that_it_is_ready(template: &Template) {
    let called = template.fork().call(NOTHING, [""; 0]);
    let confined = template.fork().sandbox(&Sandbox::new());
    for process in [called, confined] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let told = Told::run(process.send_fd(writer), SPEAK);
        // It has ended before anything is dispatched here.
        reader.read_to_end(&mut Vec::new()).expect("the end");
        assert_eq!(told.answer(), b"first words");
        assert!(told.exit().success());
    }
}

tine::function!(MEDDLE = meddle);
fn meddle(_: &mut tine::Items, _: Vec<Vec<u8>>) -> std::io::Result<()> {
    std::fs::write("/proc/self/fd/3", "x")
}
