//! The threads that touch files: opening one can take as long as a network takes to give up, and
//! neither the main loop nor the other pictures must wait for it.

use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustix::fs::{FileType, Mode, OFlags};

/// Runs what it is given in threads of its own, in the order given. They end when this is dropped.
pub struct Files {
    tasks: mpsc::Sender<Task>,
}

type Task = Box<dyn FnOnce() + Send>;

impl Files {
    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (tasks, receiver) = mpsc::channel::<Task>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let receiver = Arc::clone(&receiver);
            let run = move || {
                while let Some(task) = next(&receiver) {
                    task();
                }
            };
            thread::Builder::new().name("files".into()).spawn(run)?;
        }
        Ok(Self { tasks })
    }

    /// Runs `task` when those before it have begun.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) {
        // The threads end after the sender only; a task that panicked has said so.
        let _gone = self.tasks.send(Box::new(task));
    }
}

/// The lock is held while waiting: the others would wait as well.
fn next(tasks: &Mutex<mpsc::Receiver<Task>>) -> Option<Task> {
    let tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
    tasks.recv().ok()
}

/// Opens a picture for reading, and nothing that is not a regular file: a device, a FIFO or a
/// socket might wait for ever or do who knows what.
///
/// # Errors
///
/// Why the file cannot be opened, in words for people.
pub fn open_picture(path: &Path) -> Result<OwnedFd, String> {
    let told = |errno: rustix::io::Errno| describe(&errno.into());
    // Without NONBLOCK a FIFO would wait for its writer right here.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(told)?;
    let status = rustix::fs::fstat(&file).map_err(told)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok(file),
        FileType::Directory => Err("is a directory".into()),
        FileType::Fifo => Err("is a pipe".into()),
        FileType::Socket => Err("is a socket".into()),
        _ => Err("is a device".into()),
    }
}

/// What the kernel means, without its number.
pub fn describe(error: &io::Error) -> String {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "does not exist".into(),
        Some(Errno::ACCESS | Errno::PERM) => "permission denied".into(),
        Some(Errno::LOOP) => "is a link that leads to itself".into(),
        Some(Errno::NXIO) => "is a socket".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// Writes a file as a whole or not at all, as far as its readers can see. On a full disk nothing is left of it.
///
/// # Errors
///
/// What the kernel says of the folder or the disk.
pub fn write_whole(path: &Path, octets: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // For all to read whom the umask lets; gone if it is not persisted.
    let mut partial = tempfile::Builder::new();
    let partial = partial.prefix(".tine-viewer-").permissions(Permissions::from_mode(0o666));
    let mut partial = partial.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    io::Write::write_all(&mut partial, octets)?;
    partial.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.png"), "x").unwrap();
        std::fs::create_dir(path("dir.png")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo.png"), Mode::RUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket.png")).unwrap();
        symlink("gone.png", path("dangling.png")).unwrap();
        symlink("loop.png", path("loop.png")).unwrap();
        symlink("a.png", path("link.png")).unwrap();
        symlink("/dev/null", path("null.png")).unwrap();
        let reason = |name: &str| open_picture(&path(name)).err();
        assert_eq!(reason("a.png"), None);
        assert_eq!(reason("link.png"), None);
        assert_eq!(reason("dir.png").unwrap(), "is a directory");
        assert_eq!(reason("fifo.png").unwrap(), "is a pipe");
        assert_eq!(reason("socket.png").unwrap(), "is a socket");
        assert_eq!(reason("dangling.png").unwrap(), "does not exist");
        assert_eq!(reason("loop.png").unwrap(), "is a link that leads to itself");
        assert_eq!(reason("null.png").unwrap(), "is a device");
    }

    #[test]
    fn a_file_is_written_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_whole(&folder.path().join("no/folder"), b"x").is_err());
    }
}
