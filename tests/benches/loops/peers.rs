//! The peers: where their sources lie; those in C are compiled, or what is missing on this machine is said.

use crate::loops::{Program, output};
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

/// Where one of our peers' sources lies.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}
