//! Flow 2: what of the app's process-wide state a fresh process takes over.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Mode, OFlags, Stat};

use crate::wire::State;
use crate::{Error, Result, sys};

/// The app's environment, umask, locale and directory at one moment.
pub(super) struct AppState {
    environment: Vec<u8>,
    umask: u32,
    locale: CString,
    /// Device and inode; None when it cannot be entered.
    directory: Option<(u64, u64)>,
}

/// Looks at the state; keeps open what it looks at each time.
pub(super) struct Observer {
    /// /proc/self/status: the one place that tells a umask without changing it (Linux 4.7). None where there is no /proc.
    status: Option<File>,
}

impl Observer {
    pub fn new() -> Result<Self> {
        let status = match File::open("/proc/self/status") {
            Ok(status) => Some(status),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::system("open /proc/self/status", error)),
        };
        sys::look_up_threads();
        Ok(Observer { status })
    }

    /// Gives the state, and the directory itself: a name could lead elsewhere by the time it is followed.
    pub fn look(&self) -> Result<(AppState, Option<OwnedFd>)> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(c".", flags, Mode::empty()).ok();
        // What was opened is what is noted: other threads may enter another one meanwhile.
        let directory = opened.as_ref().and_then(|opened| which(rustix::fs::fstat(opened)));
        let (umask, locale) = (self.umask()?, sys::locale());
        Ok((AppState { environment: environment(), umask, locale, directory }, opened))
    }

    /// Tells whether the state is what it was, without making another.
    pub fn still_sees(&self, last: &AppState) -> Result<bool> {
        Ok(self.umask()? == last.umask
            && which(rustix::fs::stat(c".")) == last.directory
            && sys::is_locale(&last.locale)
            && is_environment(&last.environment))
    }

    fn umask(&self) -> Result<u32> {
        if sys::is_single_threaded() {
            // Cheaper than a read of /proc. Nobody is there to make a file meanwhile; should a signal's handler, then
            // none that is open to others.
            let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
            rustix::process::umask(umask);
            return Ok(umask.as_raw_mode());
        }
        // It stands in the second line, after a name of at most 64 octets.
        let mut start = [0; 128];
        let read = self.status.as_ref().map_or(Ok(0), |status| status.read_at(&mut start, 0));
        let got = read.map_err(|error| Error::system("read /proc/self/status", error))?;
        let mut lines = start[..got].split(|octet| *octet == b'\n');
        let umask = lines.find_map(|line| str::from_utf8(line.strip_prefix(b"Umask:")?).ok());
        // No /proc, and one without it (gVisor), leaves what most systems have.
        Ok(umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok()).unwrap_or(0o022))
    }
}

impl AppState {
    pub fn message(&self) -> State<'_> {
        State { umask: self.umask, locale: self.locale.to_bytes(), environment: &self.environment }
    }
}

/// Device and inode.
fn which(looked: rustix::io::Result<Stat>) -> Option<(u64, u64)> {
    looked.ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn is_environment(block: &[u8]) -> bool {
    if sys::is_single_threaded() {
        return sys::is_environment(block);
    }
    // Other threads may change it, by `std::env::set_var`, which nobody who reads it by the standard library sees
    // half done.
    environment() == block
}

fn environment() -> Vec<u8> {
    let mut block = Vec::with_capacity(4096);
    for (name, value) in std::env::vars_os() {
        for part in parts(&name, &value) {
            block.extend(part);
        }
    }
    block
}

fn parts<'a>(name: &'a OsStr, value: &'a OsStr) -> [&'a [u8]; 4] {
    [name.as_bytes(), b"=", value.as_bytes(), b"\0"]
}
