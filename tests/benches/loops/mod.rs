//! What the benches of event loops share: cases that are programs of their own, run in turns.
//!
//! A case of ours is this very program, started again with `--run`; a peer is a C source that is
//! compiled first, or a script. Each prints a line for each metric: its name and value.

mod rounds;

pub use rounds::*;

/// The arguments after `--run`, if this is a case.
pub fn case() -> Option<Vec<String>> {
    let mut words = std::env::args().skip_while(|word| word != "--run");
    words.next()?;
    Some(words.collect())
}

/// The program that runs a case of ours: this one.
pub fn ours(name: &str) -> Program {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(vec![program.to_string_lossy().into_owned(), "--run".into(), name.into()])
}
