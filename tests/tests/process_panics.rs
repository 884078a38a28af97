//! A worker that panics: the app hears the text and the place, and what is no end is none.

use std::process::ExitCode;

use tine::{Cause, Template, Worker};
use tine_tests::told::end_of;
use tine_tests::workers::number;
use tine_tests::{cases, native, runner};

fn main() -> ExitCode {
    // Else a trace, whose length is the builder's, would push out of what is kept of standard error what is looked for.
    native::set_variable("RUST_BACKTRACE", "0");
    let template = Template::early().expect("first line of main");
    let cases = cases![
        panicking_with_text_and_place,
        panicking_with_a_formatted_text_of_many_lines,
        panicking_with_something_that_is_no_text,
        panicking_with_something_that_panics_when_dropped,
        panicking_anew_with_other_words,
        panicking_where_nothing_unwinds,
        a_panic_that_was_caught_is_no_end,
        a_panic_of_another_thread_is_no_end,
        a_panic_text_too_long_for_the_account,
    ];
    runner::run(&template, cases)
}

tine::entry!(PANIC = panic_plainly);
fn panic_plainly(_: Worker) {
    panic!("the picture bites");
}

/// F11, B3: text and place of a panic.
fn panicking_with_text_and_place(template: &Template) {
    let exit = end_of(template, PANIC, &[]);
    let Cause::Panicked { message, place } = exit.cause() else { panic!("{exit}") };
    assert_eq!(message, "the picture bites");
    assert_is_place(place);
    assert_eq!((exit.success(), exit.code(), exit.signal()), (false, Some(101), None));
    assert!(exit.stderr().contains("the picture bites"), "{:?}", exit.stderr());
    assert!(exit.to_string().contains(&format!("panicked at {place}: {message}")), "{exit}");
}

tine::entry!(PANIC_WITH = panic_with);
fn panic_with(mut worker: Worker) {
    let text = String::from_utf8(worker.take_arg().expect("a text")).expect("text");
    panic!("{text}");
}

/// B3: many lines, and a NUL among them.
fn panicking_with_a_formatted_text_of_many_lines(template: &Template) {
    let exit = end_of(template, PANIC_WITH, &["left: 1\nright: 2\n\u{1f980}"]);
    let Cause::Panicked { message, .. } = exit.cause() else { panic!("{exit}") };
    assert_eq!(message, "left: 1\nright: 2\n\u{1f980}");
    let exit = end_of(template, PANIC_WITH, &["before\0behind"]);
    let Cause::Panicked { message, place } = exit.cause() else { panic!("{exit}") };
    assert_eq!(message, "before\0behind");
    assert_is_place(place);
}

/// `file:line:column`.
fn assert_is_place(place: &str) {
    let numbers = place.split_once("process_panics.rs:").map(|(_, numbers)| numbers.split(':'));
    let numbers: Vec<u32> = numbers.expect(place).map(|n| n.parse().expect(place)).collect();
    assert_eq!(numbers.len(), 2, "{place}");
}

tine::entry!(PANIC_ANY = panic_any);
fn panic_any(_: Worker) {
    std::panic::panic_any(7_u64);
}

/// B3: a payload that is no text still has a place.
fn panicking_with_something_that_is_no_text(template: &Template) {
    let exit = end_of(template, PANIC_ANY, &[]);
    let Cause::Panicked { place, message } = exit.cause() else { panic!("{exit}") };
    assert_is_place(place);
    assert_eq!(message, "(not a string)");
}

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

tine::entry!(PANIC_BOMB = panic_with_a_bomb);
fn panic_with_a_bomb(_: Worker) {
    std::panic::panic_any(Bomb);
}

/// B3: the panic that ended the worker is told, and not how what it carried ended.
fn panicking_with_something_that_panics_when_dropped(template: &Template) {
    let exit = end_of(template, PANIC_BOMB, &[]);
    let Cause::Panicked { place, message } = exit.cause() else { panic!("{exit}") };
    assert_is_place(place);
    assert_eq!(message, "(not a string)");
}

tine::entry!(PANIC_ANEW = panic_anew);
fn panic_anew(mut worker: Worker) {
    let _ = std::panic::catch_unwind(|| panic!("caught and forgotten"));
    let payload: Box<dyn std::any::Any + Send> = match number(&mut worker) {
        0 => Box::new("resumed".to_string()),
        number => Box::new(number),
    };
    std::panic::resume_unwind(payload);
}

/// B3: the panic that ends the worker is told, not one that it caught before.
fn panicking_anew_with_other_words(template: &Template) {
    for (what, text) in [("0", "resumed"), ("7", "(not a string)")] {
        let exit = end_of(template, PANIC_ANEW, &[what]);
        let Cause::Panicked { message, .. } = exit.cause() else { panic!("{exit}") };
        assert_eq!(message, text);
    }
}

tine::entry!(PANIC_IN_C = panic_in_c);
fn panic_in_c(_: Worker) {
    extern "C" fn callback() {
        panic!("called by C");
    }
    let _ = std::panic::catch_unwind(|| panic!("caught and forgotten"));
    callback();
}

tine::entry!(PANIC_IN_C_OF_A_THREAD = panic_in_c_of_a_thread);
fn panic_in_c_of_a_thread(worker: Worker) {
    // It ends the process, whatever the thread that has entered the function does.
    let _ = std::thread::spawn(|| panic_in_c(worker)).join();
}

struct Clumsy;
impl Drop for Clumsy {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

tine::entry!(PANIC_TWICE = panic_twice);
fn panic_twice(_: Worker) {
    let _clumsy = Clumsy;
    panic!("first");
}

/// B3: the program aborts where a panic can go no further, in whatever thread, and the account has it all the same.
fn panicking_where_nothing_unwinds(template: &Template) {
    for (entry, text) in [
        (PANIC_IN_C, "called by C"),
        (PANIC_TWICE, "in a destructor"),
        (PANIC_IN_C_OF_A_THREAD, "called by C"),
    ] {
        let exit = end_of(template, entry, &[]);
        let Cause::Panicked { message, place } = exit.cause() else { panic!("{exit}") };
        assert_eq!(message, text);
        assert_is_place(place);
        assert_eq!((exit.code(), exit.signal()), (None, Some(libc::SIGABRT)));
    }
}

tine::entry!(CATCH = catch);
fn catch(_: Worker) {
    let _ = std::panic::catch_unwind(|| panic!("caught"));
}

/// F11: what the worker caught is its own business.
fn a_panic_that_was_caught_is_no_end(template: &Template) {
    let exit = end_of(template, CATCH, &[]);
    assert_eq!(*exit.cause(), Cause::Returned);
}

tine::entry!(THREAD_PANICS = thread_panics);
fn thread_panics(_: Worker) -> Result<(), &'static str> {
    match std::thread::spawn(|| panic!("in a thread")).join() {
        Ok(()) => Ok(()),
        Err(_) => Err("a thread panicked"),
    }
}

/// F11: a worker may have threads, and it is the entry that decides.
fn a_panic_of_another_thread_is_no_end(template: &Template) {
    let exit = end_of(template, THREAD_PANICS, &[]);
    assert_eq!(*exit.cause(), Cause::Failed("a thread panicked".into()));
}

/// B3: too long for the account, and still a panic at its place; no part of a character is left of its text.
fn a_panic_text_too_long_for_the_account(template: &Template) {
    for offset in ["", "1", "12", "123"] {
        let text = format!("{offset}{}", "\u{1f980}".repeat(5000));
        let exit = end_of(template, PANIC_WITH, &[&text]);
        let Cause::Panicked { message, place } = exit.cause() else { panic!("{exit}") };
        assert!(message.len() > 1000 && text.starts_with(message.as_str()), "{}", message.len());
        assert_is_place(place);
    }
}
