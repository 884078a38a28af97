//! Flow 2: code that runs in a process while it is prepared: functions called, libraries loaded.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::enter::{Panic, catch};
use super::items::Items;
use super::object;
use super::worker::Worker;
use crate::entry::{Ending, Entry, Function};
use crate::error::named;
use crate::fault::{self, Stage};
use crate::sys;
use crate::sys::plugin::{Export, Kind, Plugin};
use crate::wire::How;

/// What libraries that were loaded have added, oldest first.
static LOADED: Mutex<Vec<Export>> = Mutex::new(Vec::new());

/// Calls a function by its name.
pub(super) fn call(name: &[u8], items: &mut Items, args: Vec<Vec<u8>>) -> Result<(), String> {
    fault::process_at(Stage::Preparing);
    let own = std::process::id();
    let ending = match Function::find(name) {
        Ok(Some(function)) => catch(|| function.call(items, args)),
        Ok(None) => match find(Kind::Function, name) {
            Some(export) => {
                catch(|| export.call(None, args.into_iter().map(super::Item::Arg).collect()))
            }
            None => {
                let known = known_functions().join(", ");
                Ok(Err(format!("there is no such function; there are: {known}")))
            }
        },
        Err(why) => Ok(Err(why)),
    };
    if std::process::id() != own {
        // One that the function has forked, and that comes back from it too. The orders are not its own.
        sys::exit_now(i32::from(!matches!(ending, Ok(Ok(())))));
    }
    ending.unwrap_or_else(|panic| Err(panic.to_string())).map_err(|text| {
        format!("function {} in process {own}: {text}", named(OsStr::from_bytes(name)))
    })
}

/// Loads a shared object: the very file that the app opened.
pub(super) fn load(path: &[u8], file: &OwnedFd) -> Result<(), String> {
    let path = Path::new(OsStr::from_bytes(path));
    let failed =
        |text: String| format!("load {} into process {}: {text}", named(path), std::process::id());
    object::check(file).map_err(|text| failed(text.into()))?;
    let (reached, _kept) = reach(path, file).map_err(|error| failed(error.to_string()))?;
    let plugin = catch(|| Plugin::load(&reached)).map_err(|panic| failed(panic.to_string()))?;
    let exports = plugin.map_err(failed)?.exports();
    LOADED.lock().unwrap_or_else(PoisonError::into_inner).extend(exports);
    Ok(())
}

/// The path by which the dynamic linker finds `file`.
///
/// The file's own, if it still leads there, so that libraries beside it are found; else one through the
/// descriptor, under a number not used for this before: the linker takes equal paths for equal objects.
fn reach(path: &Path, file: &OwnedFd) -> std::io::Result<(PathBuf, Option<OwnedFd>)> {
    let wanted = rustix::fs::fstat(file)?;
    if path.is_absolute()
        && rustix::fs::stat(path)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino))
    {
        return Ok((path.into(), None));
    }
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner).len();
    let unused = rustix::io::fcntl_dupfd_cloexec(file, 64 + loaded as i32)?;
    Ok((format!("/proc/self/fd/{}", unused.as_raw_fd()).into(), Some(unused)))
}

fn find(kind: Kind, name: &[u8]) -> Option<Export> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded
        .iter()
        .rev()
        .find(|export| export.kind() == kind && export.name().as_bytes() == name)
        .cloned()
}

fn loaded(kind: Kind) -> Vec<String> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded
        .iter()
        .filter(|export| export.kind() == kind)
        .map(|export| export.name().into())
        .collect()
}

fn known_functions() -> Vec<String> {
    [Function::names(), loaded(Kind::Function)].concat()
}

/// The names of all entries that this process knows.
fn known_entries() -> Vec<String> {
    [Entry::names(), loaded(Kind::Entry)].concat()
}

/// Enters a function by its name, and tells how that ended.
///
/// A small closure for the program's own, so that the compiler makes no function of it, which would lie elsewhere: each
/// 64 KiB of code that a process enters costs it a page fault.
#[inline(always)]
pub(super) fn enter(name: &[u8], worker: Worker) -> (How, Vec<u8>) {
    match Entry::find(name) {
        Ok(Some(entry)) => ended(catch(|| entry.enter(worker))),
        Ok(None) => enter_loaded(name, worker),
        Err(text) => (How::BadOrders, text.into_bytes()),
    }
}

#[cold]
fn enter_loaded(name: &[u8], mut worker: Worker) -> (How, Vec<u8>) {
    let Some(export) = find(Kind::Entry, name) else {
        return (How::NotFound, known_entries().join("\n").into_bytes());
    };
    let items = worker.take_all().collect();
    ended(catch(|| export.call(Some(worker.into_socket()), items)))
}

#[inline(always)]
fn ended(ending: Result<Ending, Panic>) -> (How, Vec<u8>) {
    match ending {
        Ok(Ok(())) => (How::Returned, Vec::new()),
        Ok(Err(text)) => (How::Failed, text.into_bytes()),
        Err(panic) => (How::Panicked, panic.words()),
    }
}
