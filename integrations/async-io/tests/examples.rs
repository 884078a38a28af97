//! K2: the example runs, and adds up right.

// tine-tests depends on this package, and so cannot be a dependency of it that is published.
#[path = "../../../tests/src/examples.rs"]
mod examples;

use examples::{example, run};
use std::process::Command;

#[test]
fn smol() {
    let printed = run(&mut Command::new(example("smol")));
    assert_eq!(printed, "the sum of all numbers below 4000 is 7998000\n");
}
