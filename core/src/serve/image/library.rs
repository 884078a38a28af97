//! Flow 2: a library with a copy of tine of its own, and how a fresh image of the program gets it.

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{ANY, PROGRAM};
use crate::{Error, Result, sys};

/// What the dynamic linker loads before what the program names: a list, with colons and spaces between.
const LIST: &str = "LD_PRELOAD";

/// The library that this copy of tine lies in, kept open: the same one every time, whatever becomes of its name.
pub(crate) struct Library {
    path: PathBuf,
    file: OwnedFd,
    /// What its copy knows itself by.
    copy: String,
}

impl Library {
    /// Finds it. None: this copy is the program's own.
    ///
    /// # Errors
    /// It is not where it was loaded from any more.
    pub fn find() -> Result<Option<Library>> {
        if sys::library::is_program() {
            return Ok(None);
        }
        let unknown =
            || Error::system("find the library that uses tine by /proc/self/maps", Errno::NOENT);
        let mapped = sys::library::own().ok_or_else(unknown)?;
        // The linker goes on without what it cannot read, and the program's main would run.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(&mapped.path, flags, Mode::empty()).map_err(|error| {
            let path = mapped.path.display();
            Error::system(format_args!("find the library that uses tine, {path}"), error)
        })?;
        Ok(Some(Library { path: mapped.path, file, copy: mapped.file }))
    }

    /// Has a command load it first; gives what its copy knows itself by.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn preload(&self, command: &mut Command) -> Result<&str> {
        let mut list = self.entry()?;
        if let Some(before) = std::env::var_os(LIST) {
            list.push(":");
            list.push(before);
        }
        command.env(LIST, list);
        Ok(&self.copy)
    }

    /// As it can stand in the list: by its path, so that libraries beside it are found, or else by this process's
    /// descriptor, which stays open for longer than the linker needs it.
    fn entry(&self) -> Result<OsString> {
        let own = rustix::fs::fstat(&self.file)?;
        let there = rustix::fs::stat(&self.path);
        let is_there = there.is_ok_and(|it| (it.st_dev, it.st_ino) == (own.st_dev, own.st_ino));
        if is_there && !self.path.as_os_str().as_bytes().iter().any(|octet| b": ".contains(octet)) {
            return Ok(self.path.clone().into());
        }
        // This process, as /proc numbers it: that may be the one of an outer PID namespace.
        let own = std::fs::read_link("/proc/self")
            .map_err(|error| Error::system("find this process in /proc", error))?;
        Ok(format!("/proc/{}/fd/{}", own.display(), self.file.as_raw_fd()).into())
    }
}

/// Tells whether this is what this copy knows itself by. If it is in a library, takes that out of the list again: what
/// is executed from here has no need of it.
pub(super) fn is_for(copy: &str) -> bool {
    match copy {
        ANY => is_preferred(),
        PROGRAM => sys::library::is_program(),
        _ => {
            let own = sys::library::own().is_some_and(|own| own.file == copy);
            if own {
                forget();
            }
            own
        }
    }
}

/// Tells whether what may be for any copy is for this one: that of the program, if it has one, goes before those of its
/// libraries, which come to run first.
pub(super) fn is_preferred() -> bool {
    sys::library::is_program() || !sys::library::program_has_one()
}

fn forget() {
    let list = std::env::var_os(LIST).unwrap_or_default().into_vec();
    let before = list.iter().position(|octet| *octet == b':').map(|colon| &list[colon + 1..]);
    match before.map(CString::new) {
        Some(Ok(before)) => sys::set_variable(c"LD_PRELOAD", &before),
        _ => sys::remove_variable(c"LD_PRELOAD"),
    }
}
