//! Examples, run as their users would: for the tests of each package that has some.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where cargo puts an example of this package, beside its tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("/proc");
    let target = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps");
    target.join("examples").join(name)
}

/// Runs it to its end, and gives what it printed.
pub fn run(program: &mut Command) -> String {
    let output = program.stdin(Stdio::null()).output().expect("it is built with the tests");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
