//! The peers' sources: where they lie, and how those in C are compiled.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program and its first arguments, or why it cannot be had.
pub type Program = Result<Vec<String>, String>;

/// Compiles one of our C sources; `flags` come last.
pub fn compile(source: &str, name: &str, flags: &[String]) -> Result<String, String> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-o"]).arg(&out).arg(path(source)).args(flags);
    output(&mut cc)?;
    Ok(out.to_string_lossy().into_owned())
}

/// The linker flags with which a C program loads the same libraries as `program`, used or not, and as a
/// Rust program does: all symbols bound at the start.
pub fn linked_like(program: &str) -> Result<Vec<String>, String> {
    let dynamic = output(Command::new("readelf").args(["-dW", program]))?;
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let names = needed.filter_map(|line| Some(line.rsplit_once('[')?.1.trim_end_matches(']')));
    let flags = ["-Wl,--no-as-needed", "-Wl,-z,relro,-z,now"].map(String::from);
    Ok(flags.into_iter().chain(names.map(|name| format!("-l:{name}"))).collect())
}

/// Where one of our sources lies.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}

/// Runs a program to its end and gives what it printed, or says why it cannot.
pub fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: io::Error| format!("{name}: {error}");
    let done = command.stdin(Stdio::null()).output().map_err(failed)?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{name}: {}", why.trim()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
