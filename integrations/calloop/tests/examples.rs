//! K2: the example runs, and counts right.

// tine-tests depends on this package, and so cannot be a dependency of it that is published.
#[path = "../../../tests/src/examples.rs"]
mod examples;

use examples::{example, run};
use std::process::Command;

#[test]
fn count() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let printed = run(Command::new(example("count")).arg(readme));
    let expected = format!("{readme}: {} lines, {} octets\n", text.lines().count(), text.len());
    assert_eq!(printed, expected);
}
