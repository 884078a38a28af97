//! Flow 2: a process becomes another program, or says why it does not.
//!
//! The C library's execvp(3), which the standard library calls, hands a file that is no program to a shell. Who has
//! named a picture, or a program of another machine, would have its octets run as commands.
//!
//! # Safety
//! execve(2) is given arrays of strings that end with a NUL, each array with a null pointer. The closure runs in a
//! process that has one thread and only waits to be replaced, so it may do what it likes.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Where programs are looked for when the environment does not say (confstr(3), `_CS_PATH`).
const USUAL: &[u8] = b"/bin:/usr/bin";

/// Executes `command`, called by its first argument `arg0` if that is another than its program, and in the environment
/// of this process unless that is `cleared`. Comes back with the reason only when that cannot be done.
pub(crate) fn execute(mut command: Command, arg0: Option<&OsStr>, cleared: bool) -> io::Error {
    let arguments = [arg0.unwrap_or(command.get_program())].into_iter().chain(command.get_args());
    let arguments: Vec<CString> = arguments.filter_map(string).collect();
    let environment = environment(&command, cleared);
    let strings = environment.iter().filter_map(|(name, value)| {
        string([name.as_os_str(), OsStr::new("="), value].into_iter().collect::<OsString>())
    });
    let strings: Vec<CString> = strings.collect();
    let path =
        environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_bytes());
    let places = places(command.get_program().as_bytes(), path.unwrap_or(USUAL));
    let replace = move || Err(first_of(&places, &arguments, &strings));
    // SAFETY: see the top.
    unsafe { command.pre_exec(replace) };
    command.exec()
}

/// What is to be added where a file that is there is said not to be (execve(2)).
pub(crate) fn hint(program: &Path, error: &io::Error) -> &'static str {
    let is_there = error.raw_os_error() == Some(libc::ENOENT) && program.exists();
    if is_there { ", whose interpreter is missing" } else { "" }
}

/// A string with a NUL in it is refused by the command itself, and first.
fn string(text: impl AsRef<OsStr>) -> Option<CString> {
    CString::new(text.as_ref().as_bytes()).ok()
}

fn environment(command: &Command, cleared: bool) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<_> = if cleared { Vec::new() } else { std::env::vars_os().collect() };
    for (name, value) in command.get_envs() {
        variables.retain(|(known, _)| known != name);
        variables.extend(value.map(|value| (name.into(), value.into())));
    }
    variables
}

/// The paths by which a program may be found: its own, if it is one.
fn places(program: &[u8], path: &[u8]) -> Vec<CString> {
    let whole = |folder: &[u8]| match folder {
        b"" => program.to_vec(),
        folder => [folder, b"/", program].concat(),
    };
    let paths = match program.contains(&b'/') || program.is_empty() {
        true => vec![program.to_vec()],
        false => path.split(|octet| *octet == b':').map(whole).collect(),
    };
    paths.into_iter().filter_map(|path| string(OsString::from_vec(path))).collect()
}

/// Executes the first that can be, as execvp(3) does; gives the reason if none can.
fn first_of(places: &[CString], arguments: &[CString], environment: &[CString]) -> io::Error {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let mut reason = libc::ENOENT;
    for place in places {
        // SAFETY: see the top; the strings outlive the call.
        unsafe { libc::execve(place.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        let error = io::Error::last_os_error();
        match error.raw_os_error().unwrap_or(0) {
            // Another folder may have one that can be executed.
            libc::EACCES => reason = libc::EACCES,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => (),
            _ => return error,
        }
        if places.len() == 1 {
            return error;
        }
    }
    io::Error::from_raw_os_error(reason)
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}
