//! The peers: C sources compiled, scripts found, and what is missing on this machine said.

use super::rounds::{Program, output};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles one of our C sources; `flags` come last.
pub fn compile(name: &str, flags: &[&str]) -> Program {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-o"]).arg(&out).arg(source(&format!("{name}.c")));
    output(cc.args(flags)).map_err(|why| format!("needs a C compiler and {flags:?}: {why}"))?;
    Ok(vec![out.to_string_lossy().into_owned()])
}

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

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}
