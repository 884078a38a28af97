//! Programs that tests start in unusual places: they say `main`, and then what they find.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tine::{Process, Worker};

use crate::told::Told;

tine::entry!(
    /// Says that it is here, and with how much.
    pub ANSWER = answer
);
fn answer(mut worker: Worker) -> tine::Result<()> {
    let args: Vec<_> = worker.take_all().collect();
    Ok(write!(worker.socket(), "here with {} items", args.len())?)
}

/// What a process answers that is sent one argument, or why it does not.
pub fn answer_of(process: tine::Result<Process>) -> String {
    let told = match process {
        Ok(process) => Told::run(process.send_arg("one"), ANSWER),
        Err(error) => return format!("no template: {error}"),
    };
    match told.settled() {
        true => String::from_utf8_lossy(&told.answer()).into_owned(),
        false => format!("no worker: {}", told.refusal()),
    }
}

/// What it is when all is well.
pub const HERE: &str = "here with 1 items";

/// This program.
///
/// # Panics
/// Where /proc is not mounted.
pub fn this() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// This program, which other users can execute as well.
///
/// # Panics
/// When there is no room for it.
pub fn copy_into(folder: &Path) -> PathBuf {
    let copy = folder.join("program");
    std::fs::copy(this(), &copy).expect("a copy");
    mark(&copy, 0o755);
    copy
}

/// Sets a file's mode.
///
/// # Panics
/// When it is not ours.
pub fn mark(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
}

/// What a program says after `main`.
///
/// # Panics
/// When it fails, or its main runs more than once.
pub fn output_of(command: &mut Command) -> Vec<String> {
    let Output { status, stdout, stderr } = command.output().expect("a program");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}: {stdout}{stderr}");
    let lines: Vec<String> = stdout.lines().map(String::from).collect();
    assert_eq!(lines.iter().filter(|line| *line == "main").count(), 1, "{lines:?} {stderr}");
    lines[1..].to_vec()
}

/// The dynamic loader that this program names.
///
/// # Panics
/// Where /proc is not mounted.
pub fn loader() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let loaders = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let found = loaders.filter(|path| path.contains("/ld-")).map(PathBuf::from).next();
    if found.is_none() {
        println!("not tried: no loader of a known name");
    }
    found
}
