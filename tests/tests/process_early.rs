//! Early adoption is correct or refuses, naming what is in the way.

use std::process::{Command, Stdio};

use tine::{ErrorKind, Template};

/// What a program that does something first, and then adopts tine, tells of it.
fn early_after(deed: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_early_after"))
        .arg(deed)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{deed}: {} {errors}", output.status);
    assert_eq!(errors, "", "the library is silent");
    String::from_utf8_lossy(&output.stdout).trim_end().into()
}

fn assert_refused(deed: &str, names: &[&str]) {
    let told = early_after(deed);
    assert!(told.starts_with("TooLate: "), "{deed}: {told}");
    assert!(names.iter().all(|name| told.contains(name)), "{deed}: {told}");
}

/// F15: first thing in `main`.
#[test]
fn adopted_at_once() {
    assert_eq!(early_after("nothing"), "adopted");
}

/// F15, B1: a thread, by its name.
#[test]
fn refused_with_a_thread() {
    assert_refused("thread", &["thread", "gdbus"]);
}

/// F15, B1: a thread that was waited for is none, though the kernel may list it for a while still.
#[test]
fn adopted_after_threads_that_end() {
    assert_eq!(early_after("threads that end"), "adopted");
}

/// F15, B1: GLib's types.
#[test]
fn refused_after_glib_types() {
    assert_refused("glib type", &["GLib"]);
}

/// F15, B1: GLib's main context, which no type shows, but its wake-up does.
#[test]
fn refused_after_a_glib_context() {
    assert_refused("glib context", &["eventfd"]);
}

/// F15, B1: another event loop, by what it polls with.
#[test]
fn refused_after_an_event_loop() {
    assert_refused("epoll", &["epoll", "descriptor "]);
    assert_refused("eventfd", &["eventfd", "descriptor "]);
}

/// F15: tine's own queue is no obstacle.
#[test]
fn adopted_after_the_own_queue() {
    assert_eq!(early_after("queue"), "adopted");
}

/// F15: a descriptor that is not close-on-exec came from the parent, and says nothing of this program.
#[test]
fn adopted_with_inherited_descriptors() {
    assert_eq!(early_after("inherited eventfd"), "adopted");
}

/// F23: the numbers of closed standard descriptors are given out again, to tine's sockets first.
#[test]
fn adopted_with_standard_descriptors_closed() {
    assert_eq!(early_after("closed input"), "adopted");
    assert_eq!(early_after("closed input and errors"), "adopted");
}

/// Style: a template that is dropped while it starts has nothing to complain of.
#[test]
fn dropped_at_once_in_silence() {
    assert_eq!(early_after("twenty templates dropped"), "adopted");
}

/// F15: under `cargo test` it is too late, and the harness's thread is named.
#[test]
fn refused_under_libtest() {
    let error = Template::early().expect_err("the harness has threads");
    assert_eq!(error.kind(), ErrorKind::TooLate);
    assert!(error.to_string().contains("thread "), "{error}");
    assert!(error.to_string().contains("Template::exec"), "what works there: {error}");
    assert_eq!(Template::here().expect_err("neither later").kind(), ErrorKind::TooLate);
}
