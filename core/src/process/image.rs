//! Flow 2, its beginning: templates in an image of their own, executed.

use std::fmt;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::body::Body;
use super::{obstacles, orphans};
use crate::error::named;
use crate::serve::image::{self, Library};
use crate::wire::{Message, socket};
use crate::{Error, ErrorKind, Result, sys};

/// What is executed.
pub(super) enum Image {
    /// The program's own image, whatever has become of its file; with the library that uses tine, if that is one.
    Own(Option<Library>),
    /// Another program that links tine, opened once: the same image every time.
    Program { path: PathBuf, file: OwnedFd },
    /// A program that is run by another one (a script): that one looks for it by its path.
    Script(PathBuf),
}

impl Image {
    pub fn own() -> Result<Image> {
        Library::find().map(Image::Own)
    }

    pub fn program(path: &Path) -> Result<Image> {
        let opening = |error| Error::system(format_args!("open {}", named(path)), error);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(opening)?;
        if is_script(path, &file) {
            let path = std::path::absolute(path)
                .map_err(|error| Error::system(format_args!("find {}", path.display()), error))?;
            return Ok(Image::Script(path));
        }
        Ok(Image::Program { path: path.into(), file })
    }

    /// Executes it as a template. The C library's posix_spawn does it, so that the app's size costs nothing.
    pub fn execute(&self) -> Result<Body> {
        if let Some(elsewhere) = obstacles::elsewhere() {
            let message =
                format!("cannot execute {self} as a template of this program: {elsewhere}");
            return Err(Error::new(ErrorKind::Misuse, message));
        }
        let (near, far) =
            socket::link_pair().map_err(|error| Error::system("make a link", error))?;
        let (begin, _) = Message::Begin.encode(0, 0);
        socket::send(&near, &begin, &[]).map_err(|error| Error::system("begin a link", error))?;
        let mut command = self.command(far)?;
        if orphans::need_a_group() {
            // From its first moment, as what a terminal sends to the app's group is not meant for it.
            command.process_group(0);
        }
        let child = command.spawn().map_err(|error| match self {
            Image::Own(_) => image::not_executed(error),
            Image::Program { path, .. } | Image::Script(path) => {
                let hint = sys::program::hint(path, &error);
                Error::system(format_args!("execute {self}{hint}"), error)
            }
        })?;
        // Its end of the link makes room for the template's pidfd, where descriptors have just run out.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.map(|pid| Body::of_child(near, pid))
            .ok_or_else(|| Error::system("execute a template", Errno::SRCH))
    }

    fn command(&self, link: OwnedFd) -> Result<Command> {
        match self {
            Image::Own(library) => image::own(&role(), link, library.as_ref()),
            Image::Program { path, file } => image::other(&reach(path, file)?, path, &role(), link),
            Image::Script(path) => image::other(path, path, &role(), link),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Image::Own(_) => f.write_str("the program's own image"),
            Image::Program { path, .. } | Image::Script(path) => path.display().fmt(f),
        }
    }
}

/// The path by which an open file is executed: that of the descriptor, or its own where there is no /proc.
fn reach(path: &Path, file: &OwnedFd) -> Result<PathBuf> {
    let opened = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if rustix::fs::stat(&opened).is_ok() {
        return Ok(opened);
    }
    let failed = |error| {
        let path = path.display();
        Error::system(
            format_args!("execute {path}, which is not what it was when it was opened"),
            error,
        )
    };
    let (own, there) = (rustix::fs::fstat(file)?, rustix::fs::stat(path).map_err(failed)?);
    match (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino) {
        true => Ok(path.into()),
        false => Err(failed(Errno::STALE)),
    }
}

/// Tells whether a file is none that the kernel itself loads, as far as it can be read.
fn is_script(path: &Path, file: &OwnedFd) -> bool {
    let is_file = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode).is_file();
    if !rustix::fs::fstat(file).is_ok_and(is_file) {
        return false;
    }
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start != *b"\x7fELF"
}

/// The parent-death signal is bound to the thread that makes the child (prctl(2)): only the main thread
/// surely lives as long as the app. Made by another, the template goes by the end of its links alone.
fn role() -> String {
    let (pid, group) = (rustix::process::getpid(), sys::group());
    if rustix::thread::gettid() == pid {
        format!("template-of {} {group}", pid.as_raw_nonzero())
    } else {
        format!("template {group}")
    }
}
