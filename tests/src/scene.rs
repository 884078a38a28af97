//! What an escape could touch: a folder with a picture, a memory file, another process of the user, and
//! sockets of the app. A scene is looked at before and after; what differs was touched.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{confined, native};

const SECRET: &str = "a picture\n";

/// Things to be touched, and descriptors as a worker may be given them.
#[derive(Debug)]
pub struct Scene {
    /// The folder, removed with the scene.
    pub folder: PathBuf,
    /// The picture in it, open for reading.
    pub picture: File,
    /// The folder, open.
    pub directory: File,
    /// A memory file, open for reading only.
    pub frozen: File,
    /// A datagram socket without address or peer.
    pub datagram: UnixDatagram,
    /// A process of the same user, that was there before.
    pub victim: u32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    memory: File,
    ping: UnixStream,
    inbox: UnixDatagram,
    inbox_name: String,
}

impl Scene {
    /// Sets up a scene of its own.
    ///
    /// # Panics
    /// When the system lacks what it takes.
    pub fn new() -> Scene {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
        let name = format!("tine-scene-{}-{now}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("picture"), SECRET).expect("a picture");
        let mut memory = File::from(memfd_create("tine", MemfdFlags::CLOEXEC).expect("memfd"));
        memory.write_all(SECRET.as_bytes()).expect("room");
        let frozen = File::open(format!("/proc/self/fd/{}", memory.as_raw_fd())).expect("again");
        let (ping, pong) = UnixStream::pair().expect("a pair");
        let victim = native::fork(|| answer_pings(&pong));
        let pid = Pid::from_raw(victim.cast_signed()).expect("an id");
        let inbox_name = name;
        let address = SocketAddr::from_abstract_name(&inbox_name).expect("an address");
        let inbox = UnixDatagram::bind_addr(&address).expect("an inbox");
        inbox.set_nonblocking(true).expect("a flag");
        Scene {
            picture: File::open(folder.join("picture")).expect("the picture"),
            directory: File::open(&folder).expect("the folder"),
            frozen,
            datagram: UnixDatagram::unbound().expect("a socket"),
            victim,
            pidfd: pidfd_open(pid, PidfdFlags::empty()).expect("a pidfd"),
            folder,
            memory,
            ping,
            inbox,
            inbox_name,
        }
    }

    /// The name of something in the folder, as calls take it.
    ///
    /// # Panics
    /// When it has a NUL in it.
    pub fn name(&self, file: &str) -> CString {
        CString::new(self.folder.join(file).into_os_string().into_encoded_bytes()).expect("a name")
    }

    /// The address of the app's datagram socket: a sockaddr_un with an abstract name.
    pub fn inbox_address(&self) -> Vec<u8> {
        let family = (libc::AF_UNIX as u16).to_ne_bytes();
        [&family[..], &[0], self.inbox_name.as_bytes()].concat()
    }

    /// Everything that an escape could have changed, as text.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn look(&mut self) -> String {
        let mut lines = vec![self.look_at_victim()];
        let mut files: Vec<_> = fs::read_dir(&self.folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        for path in files {
            let meta = fs::symlink_metadata(&path).expect("the file");
            let text = if meta.is_file() { fs::read(&path) } else { Ok(Vec::new()) };
            lines.push(format!(
                "{} mode {:o} owner {} changed {} links {} {text:?}",
                path.display(),
                meta.mode(),
                meta.uid(),
                meta.mtime(),
                meta.nlink()
            ));
        }
        let mut text = String::new();
        self.memory.seek(SeekFrom::Start(0)).expect("the memory file");
        self.memory.read_to_string(&mut text).expect("the memory file");
        lines.push(format!("memory file {text:?}"));
        let mail = self.inbox.recv(&mut [0; 64]);
        lines.push(format!("inbox {:?}", mail.map_err(|error| error.kind())));
        lines.join("\n")
    }

    /// A signal that was sent before is handled before the answer: it ends the victim, or never will.
    fn look_at_victim(&mut self) -> String {
        let mut pong = [0];
        let alive = self.ping.write_all(&pong).is_ok() && self.ping.read_exact(&mut pong).is_ok();
        if !alive {
            return "victim: dead".into();
        }
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{}/{file}", self.victim)).expect("the victim's file")
        };
        let limits = read("limits");
        let files = limits.lines().find(|line| line.starts_with("Max open files"));
        let status = read("status");
        let processors = status.lines().find(|line| line.starts_with("Cpus_allowed:"));
        let stat = read("stat");
        let nice = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16));
        format!("victim: alive, nice {nice:?}, {processors:?}, {files:?}")
    }
}

impl Default for Scene {
    fn default() -> Self {
        Scene::new()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        confined::kill(self.victim);
        // The test has its verdict; a folder more in the temporary one does not change it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn answer_pings(mut pong: &UnixStream) {
    let mut octet = [0];
    while matches!(pong.read(&mut octet), Ok(1)) {
        pong.write_all(&octet).expect("the app reads");
    }
}

/// The descriptors of a scene by number, for calls.
impl Scene {
    /// The number of the picture's descriptor.
    pub fn picture_fd(&self) -> i32 {
        self.picture.as_fd().as_raw_fd()
    }

    /// The number of the folder's descriptor.
    pub fn directory_fd(&self) -> i32 {
        self.directory.as_fd().as_raw_fd()
    }
}
