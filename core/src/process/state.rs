//! Flow 2: what of the app's process-wide state a fresh process takes over.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::wire::State;
use crate::{Error, Result, sys};

/// The app's environment, umask, locale and directory at one moment.
pub(super) struct AppState {
    environment: Vec<u8>,
    umask: u32,
    locale: CString,
    /// None when it cannot be entered.
    directory: Option<Directory>,
}

/// The directory itself: a name could lead elsewhere by the time it is followed.
#[derive(Clone)]
struct Directory {
    fd: Arc<OwnedFd>,
    /// Device and inode.
    which: (u64, u64),
}

impl Directory {
    /// Opens the one that the app is in, unless it is the last one still: of requests that wait, many may have seen
    /// other states than the one before, and descriptors are few.
    fn enter(last: Option<&Directory>) -> Result<Option<Directory>> {
        if let Some(last) = last
            && which(rustix::fs::stat(c".")) == Some(last.which)
        {
            return Ok(Some(last.clone()));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(c".", flags, Mode::empty()) {
            // What was opened is what is noted: other threads may enter another one meanwhile.
            Ok(fd) => {
                Ok(which(rustix::fs::fstat(&fd)).map(|which| Directory { fd: Arc::new(fd), which }))
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                Err(Error::system("open the directory that the app is in", error))
            }
            Err(_) => Ok(None),
        }
    }
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

    /// Gives the state as of now.
    pub fn look(&self, last: Option<&AppState>) -> Result<AppState> {
        let directory = Directory::enter(last.and_then(|last| last.directory.as_ref()))?;
        let (umask, locale) = (self.umask()?, sys::locale());
        Ok(AppState { environment: environment(), umask, locale, directory })
    }

    /// Tells whether the state is what it was, without making another.
    pub fn still_sees(&self, last: &AppState) -> Result<bool> {
        Ok(self.umask()? == last.umask
            && which(rustix::fs::stat(c"."))
                == last.directory.as_ref().map(|directory| directory.which)
            && sys::is_locale(&last.locale)
            && is_environment(&last.environment))
    }

    fn umask(&self) -> Result<u32> {
        // Cheaper than a read of /proc. Nobody is there to make a file meanwhile; should a signal's handler, then none
        // that is open to others.
        if sys::is_single_threaded()
            && let Some(umask) = sys::umask(Mode::RWXG | Mode::RWXO)
        {
            sys::umask(umask);
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
    pub fn directory(&self) -> Option<Arc<OwnedFd>> {
        self.directory.as_ref().map(|directory| Arc::clone(&directory.fd))
    }

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
