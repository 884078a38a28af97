//! K2, and K6 by what README shows: the examples run: one without a display, one on an X server without a screen.

// tine-tests depends on this package, and so cannot be a dependency of it that is published.
#[path = "../../../tests/src/examples.rs"]
mod examples;

use examples::{example, run};
use std::process::Command;

#[test]
fn worker() {
    let printed = run(&mut Command::new(example("worker")));
    assert!(printed.starts_with("20 + 22 = 42\n"), "{printed}");
}

#[test]
fn gtk_app() {
    let mut server = Command::new("xvfb-run");
    let client = server.arg("-a").arg(example("gtk_app")).arg("--quit");
    run(client.env_remove("WAYLAND_DISPLAY").env("GDK_BACKEND", "x11"));
}
