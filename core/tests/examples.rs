//! The examples run and end as they should.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where cargo puts an example of this package, beside its tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("/proc");
    let target = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps");
    target.join("examples").join(name)
}

/// Runs it to its end, and gives what it printed.
fn run(program: &mut Command) -> String {
    let output = program.stdin(Stdio::null()).output().expect("it is built with the tests");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hello() {
    let printed = run(&mut Command::new(example("hello")));
    assert!(printed.contains("(hello::greet) returned\n"), "{printed}");
}

#[test]
fn plain_poll() {
    let printed = run(&mut Command::new(example("plain_poll")));
    assert!(printed.contains("hello from process"), "{printed}");
    assert!(printed.ends_with("(plain_poll::greet) returned\n"), "{printed}");
}

#[test]
fn tokio() {
    let printed = run(&mut Command::new(example("tokio")));
    assert_eq!(printed, "the sum of all numbers below 4000 is 7998000\n");
}

#[test]
fn typed() {
    let printed = run(&mut Command::new(example("typed")));
    let expected = "480 rows are drawn\n307200 octets, from 0 to 255\na picture without width\n";
    assert_eq!(printed, expected);
}
