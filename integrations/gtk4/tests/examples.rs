//! K2: the example runs on an X server without a screen, and ends when both promises are settled.

// tine-tests depends on this package, and so cannot be a dependency of it that is published.
#[path = "../../../tests/src/examples.rs"]
mod examples;

use examples::{example, run};
use std::process::Command;

#[test]
fn promised() {
    let mut server = Command::new("xvfb-run");
    let client = server.arg("-a").arg(example("promised")).arg("--quit");
    run(client.env_remove("WAYLAND_DISPLAY").env("GDK_BACKEND", "x11"));
}
