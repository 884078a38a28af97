//! The peers that are Perl scripts, and what is missing on this machine for them.

use crate::loops::{Program, output};
use crate::peers::source;
use std::process::Command;

/// One of our Perl scripts, with AnyEvent on a backend, if `modules` are installed.
pub fn script(name: &str, backend: &str, modules: &[&str]) -> Program {
    for module in modules {
        let found = output(Command::new("perl").arg(format!("-M{module}")).args(["-e", "1"]));
        found.map_err(|_| format!("needs the Perl module {module}"))?;
    }
    let model = format!("PERL_ANYEVENT_MODEL={backend}");
    let words = ["env", &model, "perl"].map(String::from).into_iter();
    Ok(words.chain([source(name).to_string_lossy().into_owned()]).collect())
}
