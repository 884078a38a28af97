//! The example runs on an X server without a screen, and ends when all is shown.

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
fn thumbnails() {
    let mut server = Command::new("xvfb-run");
    let client = server.arg("-a").arg(example("thumbnails")).arg("--once");
    let printed = run(client.env_remove("WAYLAND_DISPLAY"));
    assert_eq!(printed, "");
}
