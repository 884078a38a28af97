//! K2: the example runs on an X server without a screen, and ends when all is shown.

// tine-tests depends on this package, and so cannot be a dependency of it that is published.
#[path = "../../../tests/src/examples.rs"]
mod examples;

use examples::{example, run};
use std::process::Command;

#[test]
fn thumbnails() {
    let mut server = Command::new("xvfb-run");
    let client = server.arg("-a").arg(example("thumbnails")).arg("--once");
    let printed = run(client.env_remove("WAYLAND_DISPLAY"));
    assert_eq!(printed, "");
}
