//! The example runs, and counts right.

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
fn count() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let printed = run(Command::new(example("count")).arg(readme));
    let expected = format!("{readme}: {} lines, {} octets\n", text.lines().count(), text.len());
    assert_eq!(printed, expected);
}
