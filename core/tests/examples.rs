//! The examples run and end as they should.

// tine-tests depends on this package, and so cannot be a dependency of it that is published.
#[path = "../../tests/src/examples.rs"]
mod examples;

use examples::{example, run};
use std::process::Command;

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
fn pool() {
    let printed = run(&mut Command::new(example("pool")));
    assert!(printed.starts_with("picture 57: 2 workers died of it"), "{printed}");
    assert!(printed.ends_with("89 done, {Poison: 1, Cancelled: 10}\n"), "{printed}");
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
