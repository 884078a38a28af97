//! B8: what a worker needs for its work and still has inside the sandbox.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{MemfdFlags, SealFlags, memfd_create};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tine::{Hold, Rung, Sandbox};
use tine_tests::confined::{self, Ended, Lacking};
use tine_tests::native;
use tine_tests::scene::Scene;

fn main() {
    for (name, test) in [
        ("descriptors_given_can_be_read_and_written", descriptors_given as fn()),
        ("a_memory_file_is_made_sealed_and_sent", memory_file),
        ("descriptors_are_received", descriptors_received),
        ("clocks_locks_and_waiting", clocks_locks_and_waiting),
        ("memory_and_random_numbers", memory_and_random_numbers),
        ("a_panic_is_told_with_its_text", panic_with_text),
        ("an_end_is_told_as_what_it_was", ends),
        ("threads_where_they_are_allowed", threads),
        ("a_reader_reads_its_folder_and_no_other", reader),
        ("a_template_s_sandbox_lets_it_fork", template),
        ("a_sandbox_inside_a_sandbox", nested),
    ] {
        confined::as_each_user(test);
        println!("test {name} ... ok");
    }
}

fn decode(inside: impl FnOnce(&UnixStream)) -> Ended {
    let ended = confined::run(&Sandbox::decoder(), &Lacking::nothing(), inside);
    assert!(ended.status.success(), "{ended:?}");
    ended
}

fn descriptors_given() {
    let scene = Scene::new();
    let ended = decode(|mut socket| {
        let mut text = String::new();
        (&scene.picture).read_to_string(&mut text).expect("read");
        let mut part = [0; 7];
        scene.picture.read_exact_at(&mut part, 2).expect("pread");
        (&scene.picture).rewind().expect("lseek");
        assert_eq!(scene.picture.metadata().expect("fstat").len(), 10);
        socket.write_all(text.as_bytes()).expect("write");
        socket.write_all(&part).expect("write");
    });
    assert_eq!(ended.answer, b"a picture\npicture");
}

fn memory_file() {
    let scene = Scene::new();
    let (ours, theirs) = UnixStream::pair().expect("works");
    decode(|_| {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("result", flags).expect("memfd_create"));
        file.set_len(1 << 20).expect("ftruncate");
        file.write_all_at(b"pixels", 4096).expect("pwrite");
        assert_eq!(native::mapped_octet(&file, 1 << 20, 4096), b'p', "mmap");
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals).expect("seals");
        send(&theirs, file.as_fd());
        send(&theirs, scene.picture.as_fd());
    });
    let (file, picture) = (File::from(receive(&ours)), File::from(receive(&ours)));
    let mut pixels = [0; 6];
    file.read_exact_at(&mut pixels, 4096).expect("works");
    assert_eq!(&pixels, b"pixels");
    assert!(file.write_at(b"x", 0).is_err(), "it is sealed");
    assert_eq!(picture.metadata().expect("works").len(), 10);
}

fn descriptors_received() {
    let scene = Scene::new();
    let (ours, theirs) = UnixStream::pair().expect("works");
    send(&ours, scene.picture.as_fd());
    let ended = decode(|mut socket| {
        let mut text = String::new();
        File::from(receive(&theirs)).read_to_string(&mut text).expect("read");
        socket.write_all(text.as_bytes()).expect("write");
    });
    assert_eq!(ended.answer, b"a picture\n");
}

fn send(socket: &UnixStream, fd: std::os::fd::BorrowedFd<'_>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let octet = [IoSlice::new(b"f")];
    rustix::net::sendmsg(socket, &octet, &mut control, SendFlags::empty()).expect("sendmsg");
}

fn receive(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let (mut octet, flags) = ([0], RecvFlags::CMSG_CLOEXEC);
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut octet)], &mut control, flags)
        .expect("recvmsg");
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.last().expect("a descriptor")
}

fn clocks_locks_and_waiting() {
    decode(|socket| {
        let before = Instant::now();
        assert!(SystemTime::now() > SystemTime::UNIX_EPOCH);
        let lock = Mutex::new(());
        let waited =
            Condvar::new().wait_timeout(lock.lock().expect("works"), Duration::from_millis(1));
        assert!(waited.expect("works").1.timed_out(), "futex");
        std::thread::park_timeout(Duration::from_millis(1));
        assert!(before.elapsed() >= Duration::from_millis(1));
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("setsockopt");
        let (mut socket, mut octet) = (socket, [0]);
        assert!(socket.read(&mut octet).is_err(), "nothing comes");
        let queue = tine::Queue::new().expect("epoll and its timer");
        let _timer = queue.after(Duration::ZERO, || ());
        assert_eq!(queue.turn(None).expect("epoll_wait"), 1);
    });
}

fn memory_and_random_numbers() {
    decode(|_| {
        let mut octets: Vec<u8> = Vec::new();
        (0..64).for_each(|n| octets.extend(vec![n; 1 << 20])); // brk, mmap, mremap, munmap
        assert_eq!(octets.iter().map(|octet| u64::from(*octet)).sum::<u64>(), 2016 << 20);
        assert!(HashMap::from([(1, 2)]).contains_key(&1), "getrandom");
        assert!(std::thread::available_parallelism().is_ok(), "sched_getaffinity");
        std::thread::yield_now();
    });
}

fn panic_with_text() {
    let (mut read, write) = std::io::pipe().expect("works");
    let ended = confined::run(&Sandbox::decoder(), &Lacking::nothing(), |_| {
        rustix::stdio::dup2_stderr(&write).expect("dup2");
        panic!("no picture of {} by 0", 7);
    });
    drop(write);
    let mut text = String::new();
    read.read_to_string(&mut text).expect("works");
    assert_eq!(ended.status.code(), Some(101));
    assert!(text.contains("no picture of 7 by 0"), "{text}");
}

fn ends() {
    let end =
        |inside: fn()| confined::run(&Sandbox::decoder(), &Lacking::nothing(), |_| inside()).status;
    assert_eq!(end(|| native::leave(7)).code(), Some(7));
    let aborted = end(|| std::process::abort());
    assert_eq!((aborted.signal(), aborted.core_dumped()), (Some(libc::SIGABRT), false));
    assert_eq!(end(|| native::raise(libc::SIGTERM)).signal(), Some(libc::SIGTERM));
}

fn threads() {
    let sandbox = Sandbox::decoder().threads();
    let ended = confined::run(&sandbox, &Lacking::nothing(), |mut socket| {
        let sum: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || n)).collect();
            threads.into_iter().map(|thread| thread.join().expect("works")).sum()
        });
        socket.write_all(&[sum as u8]).expect("write");
        let process = std::process::Command::new("/bin/true").spawn();
        assert!(process.is_err(), "a process is no thread");
    });
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.answer, [6]);
    assert_eq!(ended.posture.hold(Rung::Processes), Hold::Partly);
}

fn reader() {
    let (scene, other) = (Scene::new(), Scene::new());
    let sandbox = Sandbox::reader(&scene.folder);
    let ended = confined::run(&sandbox, &Lacking::nothing(), |_| {
        let listed: Vec<_> = fs::read_dir(&scene.folder).expect("its folder").collect();
        assert_eq!(listed.len(), 1);
        let picture = scene.folder.join("picture");
        assert_eq!(fs::read(&picture).expect("its file"), b"a picture\n");
        assert_eq!(fs::metadata(&picture).expect("its file").len(), 10);
        let denied = |error: std::io::Error| error.raw_os_error();
        let refused = |result: std::io::Result<()>| result.map_err(denied).expect_err("refused");
        for change in [
            File::options().write(true).open(&picture).map(drop),
            File::options().append(true).open(&picture).map(drop),
            File::create(scene.folder.join("new")).map(drop),
            fs::remove_file(&picture),
            fs::rename(&picture, scene.folder.join("new")),
            fs::create_dir(scene.folder.join("new")),
            fs::set_permissions(&picture, std::os::unix::fs::PermissionsExt::from_mode(0o0)),
            scene.picture.set_modified(SystemTime::UNIX_EPOCH),
        ] {
            assert_eq!(refused(change), Some(libc::EPERM));
        }
        for elsewhere in [other.folder.join("picture"), "/etc/passwd".into()] {
            assert_eq!(refused(fs::read(elsewhere).map(drop)), Some(libc::EACCES), "Landlock");
        }
        assert_eq!(refused(fs::read_dir("/").map(drop)), Some(libc::EACCES));
        assert!(UnixStream::pair().is_err(), "no sockets");
    });
    // Landlock decides what is read, and this test's kernel may have none.
    if ended.posture.hold(Rung::Files) != Hold::Missing {
        assert!(ended.status.success(), "{ended:?}");
    }
    let nowhere = Sandbox::reader("/no such folder");
    let posture = confined::run(&nowhere, &Lacking::nothing(), |_| ()).posture;
    assert!(posture.detail(Rung::Files).expect("works").contains("/no such folder"), "{posture}");
}

fn template() {
    let ended = confined::run(&Sandbox::new(), &Lacking::nothing(), |_| {
        let output = std::process::Command::new("/bin/echo").arg("there").output().expect("exec");
        assert_eq!(output.stdout, b"there\n");
        // Its workers can be confined further, and still be told to die with it.
        let worker = native::fork(|| {
            let death = rustix::process::Signal::KILL;
            rustix::process::set_parent_process_death_signal(Some(death)).expect("prctl");
            let posture = Sandbox::decoder().apply();
            assert_eq!(posture.hold(Rung::Seccomp), Hold::Full, "{posture}");
            assert_eq!(posture.hold(Rung::Undumpable), Hold::Full, "{posture}");
            assert!(File::open("/etc/passwd").is_err());
        });
        assert_eq!(native::wait(worker).0, 0);
    });
    assert!(ended.status.success(), "{ended:?}");
}

fn nested() {
    decode(|_| {
        let again = Sandbox::decoder().memory(1 << 20).apply();
        for rung in [Rung::Undumpable, Rung::NoNewPrivs, Rung::Files, Rung::Seccomp] {
            assert_eq!(again.hold(rung), Hold::Full, "{again}");
        }
    });
}
