//! Flow 2: a program that was started through its dynamic loader by hand (ld.so(8)): `ld.so --option program argument`.
//!
//! /proc/self/exe is the loader then, and has to be told again what to load.
//!
//! # Safety
//! getauxval(3) only reads what the kernel put before the program.
#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;

use rustix::io::Errno;

use super::library;

static STARTED: OnceLock<Started> = OnceLock::new();

/// What the loader was told.
pub(crate) struct Started {
    options: Vec<OsString>,
    program: OsString,
    /// Device and inode of the program.
    file: Option<(u64, u64)>,
}

/// Notes it before the program changes what the kernel tells of its command line.
pub(crate) fn note() {
    if cfg!(target_feature = "crt-static") {
        return;
    }
    // SAFETY: see the top.
    if unsafe { libc::getauxval(libc::AT_BASE) } != 0 {
        // The kernel has loaded a loader for the program.
        return;
    }
    if let Some(started) = Started::look() {
        let _ = STARTED.set(started);
    }
}

/// How the program was started, if it was by hand.
pub(crate) fn by_hand() -> Option<&'static Started> {
    STARTED.get()
}

impl Started {
    /// The loader takes its own words out of the arguments, but not out of what the kernel has.
    fn look() -> Option<Started> {
        let line = std::fs::read("/proc/self/cmdline").ok()?;
        let words: Vec<&[u8]> = line.strip_suffix(b"\0")?.split(|octet| *octet == 0).collect();
        let own = std::env::args_os().count();
        let before = words.len().checked_sub(own).filter(|before| *before > 0 && own > 0)?;
        let options = words[1..before].iter().map(|word| OsStr::from_bytes(word).into());
        let program = library::program()?.path;
        let file = rustix::fs::stat(&program).ok().map(|stat| (stat.st_dev, stat.st_ino));
        Some(Started { options: options.collect(), program: program.into(), file })
    }

    /// What the loader is to be told again.
    ///
    /// # Errors
    /// The program, and why the loader would find another one in its place.
    pub fn arguments(&self) -> Result<Vec<OsString>, (&OsStr, Errno)> {
        match rustix::fs::stat(&self.program) {
            Ok(stat) if Some((stat.st_dev, stat.st_ino)) == self.file => {
                Ok([&self.options[..], std::slice::from_ref(&self.program)].concat())
            }
            Ok(_) => Err((&self.program, Errno::STALE)),
            Err(error) => Err((&self.program, error)),
        }
    }
}
