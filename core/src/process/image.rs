//! Flow 2, its beginning: templates in an image of their own, executed.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use super::body::Body;
use crate::serve::image::{OWN_IMAGE, command};
use crate::wire::{Message, socket};
use crate::{Error, Result};

/// What is executed.
pub(super) enum Image {
    /// The program's own image, whatever has become of its file.
    Own,
    /// Another program that links tine, opened once: the same image every time.
    Program { path: PathBuf, file: OwnedFd },
}

impl Image {
    pub fn program(path: &Path) -> Result<Image> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::system(format_args!("open {}", path.display()), error))?;
        Ok(Image::Program { path: path.into(), file })
    }

    /// Executes it as a template. The C library's posix_spawn does it, so that the app's size costs nothing.
    pub fn execute(&self) -> Result<Body> {
        let (near, far) =
            socket::link_pair().map_err(|error| Error::system("make a link", error))?;
        let (begin, _) = Message::Begin.encode(0, 0);
        socket::send(&near, &begin, &[]).map_err(|error| Error::system("begin a link", error))?;
        let (path, name) = match self {
            Image::Own => (OWN_IMAGE.to_owned(), Path::new("the program's own image")),
            Image::Program { path, file } => {
                (format!("/proc/self/fd/{}", file.as_raw_fd()), path.as_path())
            }
        };
        let mut command = command(&path, &role(), far);
        // From its first moment, as what a terminal sends to the app's group is not meant for it.
        command.process_group(0);
        if let Image::Program { path, .. } = self {
            command.arg0(path);
        }
        let child = command
            .spawn()
            .map_err(|error| Error::system(format_args!("execute {}", name.display()), error))?;
        // Its end of the link makes room for the template's pidfd, where descriptors have just run out.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.map(|pid| Body::of_child(near, pid))
            .ok_or_else(|| Error::system("execute a template", rustix::io::Errno::SRCH))
    }
}

/// The parent-death signal is bound to the thread that makes the child (prctl(2)): only the main thread
/// surely lives as long as the app. Made by another, the template goes by the end of its links alone.
fn role() -> String {
    let pid = rustix::process::getpid();
    if rustix::thread::gettid() == pid {
        format!("template-of {}", pid.as_raw_nonzero())
    } else {
        "template".into()
    }
}
