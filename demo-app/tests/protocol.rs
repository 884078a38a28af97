//! Between the two flows: the app's end of the socket against workers that behave, and against
//! workers that do their worst.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use tine_viewer::protocol::{
    Answer, Caller, Failure, Layout, Outcome, PixelFormat, ProtocolError, Reply, Request, Size,
    receive_request, send_answer,
};
use tine_viewer::worker::serve;

const WANT: Size = Size::new(64, 64);
const ALL_SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);
/// Nothing here takes longer unless it hangs.
const DEADLINE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

fn request(job: u64) -> Request {
    Request { job, want: WANT, thumbnail: 0 }
}

fn picture(name: &str, width: u32, height: u32) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    image::RgbImage::from_pixel(width, height, image::Rgb([10, 200, 30])).save(&path).unwrap();
    path
}

/// The next answer or error, waiting for it as an event loop does.
fn wait(caller: &mut Caller) -> Result<Reply, ProtocolError> {
    loop {
        if let Some(reply) = caller.receive()? {
            return Ok(reply);
        }
        let mut fds = [PollFd::new(caller, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&DEADLINE)).unwrap(), 1, "no answer: {caller:?}");
    }
}

/// What the app makes of a worker that has been asked job 1 and then does `misdeed`.
fn against(misdeed: impl FnOnce(UnixStream)) -> Result<Reply, ProtocolError> {
    let (app, worker) = UnixStream::pair().unwrap();
    let mut caller = Caller::new(app);
    let null = File::open("/dev/null").unwrap();
    caller.send(request(1), null.as_fd()).unwrap();
    receive_request(&worker).unwrap().unwrap();
    misdeed(worker);
    wait(&mut caller)
}

fn memory(len: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("test", flags).unwrap();
    rustix::fs::ftruncate(&memory, len).unwrap();
    rustix::fs::fcntl_add_seals(&memory, seals).unwrap();
    memory
}

fn drawn(job: u64, width: u32, height: u32) -> Answer {
    let layout = Layout {
        size: Size::new(width, height),
        stride: width * 4,
        format: PixelFormat::Rgba8Premultiplied,
    };
    let outcome = Outcome::Drawn {
        layout,
        original: layout.size,
        orientation: 1,
        thumbnail: 0,
        animated: false,
    };
    Answer { job, outcome }
}

fn failed(job: u64) -> Answer {
    Answer { job, outcome: Outcome::Failed(Failure::passing("it is broken")) }
}

/// Sends `octets` with all of `descriptors` on the first.
fn send_raw(socket: &UnixStream, octets: &[u8], descriptors: &[BorrowedFd<'_>]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    let sent = sendmsg(socket, &[io::IoSlice::new(octets)], &mut control, SendFlags::empty());
    assert_eq!(sent.unwrap(), octets.len());
}

/// The octets of an answer, as [`send_answer`] makes them.
fn octets(answer: &Answer) -> Vec<u8> {
    let (mut reader, writer) = UnixStream::pair().unwrap();
    send_answer(&writer, answer, &[]).unwrap();
    drop(writer);
    let mut octets = Vec::new();
    reader.read_to_end(&mut octets).unwrap();
    octets
}

#[test]
fn pictures_and_failures_come_back_in_order() {
    let (app, worker) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || serve(&worker));
    let large = picture("order.png", 640, 320);
    let garbage = Path::new(env!("CARGO_TARGET_TMPDIR")).join("order-garbage.jpg");
    fs::write(&garbage, "garbage").unwrap();

    let mut caller = Caller::new(app);
    for job in 0..40 {
        let path = if job % 2 == 0 { &large } else { &garbage };
        caller.send(request(job), File::open(path).unwrap().as_fd()).unwrap();
    }
    assert_eq!(caller.unanswered().len(), 40);
    for job in 0..40 {
        let reply = wait(&mut caller).unwrap();
        assert_eq!(reply.job, job);
        match reply.result {
            Ok(drawing) => {
                assert_eq!(job % 2, 0);
                assert_eq!(drawing.original, Size::new(640, 320));
                assert_eq!(drawing.layout.size, Size::new(64, 32));
                assert_eq!(drawing.to_bytes().unwrap(), [10, 200, 30].repeat(64 * 32));
            }
            Err(failure) => {
                assert_eq!(job % 2, 1);
                assert_eq!(failure.reason, "not a picture: unknown format");
                assert!(failure.lasting);
            }
        }
    }
    drop(caller);
    serving.join().unwrap().unwrap();
}

#[test]
fn nobody_can_change_what_was_drawn() {
    let (app, worker) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || serve(&worker));
    let mut caller = Caller::new(app);
    let path = picture("sealed.png", 20, 20);
    caller.send(request(1), File::open(path).unwrap().as_fd()).unwrap();
    let drawing = wait(&mut caller).unwrap().result.unwrap();
    let before = drawing.to_bytes().unwrap();
    assert!(rustix::fs::ftruncate(&drawing, 0).is_err());
    assert!(rustix::io::pwrite(&drawing, &[1], 0).is_err());
    assert!(rustix::fs::fcntl_get_seals(&drawing).unwrap().contains(ALL_SEALS));
    assert_eq!(drawing.to_bytes().unwrap(), before);
    drop(caller);
    serving.join().unwrap().unwrap();
}

#[test]
fn nothing_to_receive_is_no_wait() {
    let (app, _worker) = UnixStream::pair().unwrap();
    assert!(Caller::new(app).receive().unwrap().is_none());
}

#[test]
fn a_worker_that_does_not_read_is_told_and_nothing_is_half_sent() {
    let (app, worker) = UnixStream::pair().unwrap();
    let mut caller = Caller::new(app);
    let null = File::open("/dev/null").unwrap();
    let mut job = 0;
    let error = loop {
        match caller.send(request(job), null.as_fd()) {
            Ok(()) => job += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(caller.unanswered().len() as u64, job);
    drop(caller);
    for expected in 0..job {
        assert_eq!(receive_request(&worker).unwrap().unwrap().0, request(expected));
    }
    assert!(receive_request(&worker).unwrap().is_none());
}

#[test]
fn an_answer_in_pieces_is_put_together() {
    let reply = against(|mut worker| {
        let octets = octets(&drawn(1, 2, 2));
        send_raw(&worker, &octets[..1], &[memory(16, ALL_SEALS).as_fd()]);
        for piece in octets[1..].chunks(50) {
            worker.write_all(piece).unwrap();
        }
    });
    assert_eq!(reply.unwrap().result.unwrap().to_bytes().unwrap(), [0; 16]);
}

#[test]
fn a_worker_that_leaves_is_told_with_what_it_owes() {
    let (app, worker) = UnixStream::pair().unwrap();
    let mut caller = Caller::new(app);
    let null = File::open("/dev/null").unwrap();
    for job in [5, 6] {
        caller.send(request(job), null.as_fd()).unwrap();
    }
    // All is read first: what is left unread turns the end into a reset.
    receive_request(&worker).unwrap();
    receive_request(&worker).unwrap();
    send_answer(&worker, &failed(5), &[]).unwrap();
    drop(worker);
    assert_eq!(wait(&mut caller).unwrap().job, 5);
    assert!(matches!(wait(&mut caller), Err(ProtocolError::Closed)));
    assert_eq!(caller.unanswered().copied().collect::<Vec<_>>(), [request(6)]);
}

#[test]
fn a_torn_answer_is_told() {
    let result = against(|mut worker| worker.write_all(&octets(&failed(1))[..100]).unwrap());
    assert!(matches!(result, Err(ProtocolError::Torn)), "{result:?}");
}

#[test]
fn answers_that_nobody_asked_for_are_refused() {
    let result = against(|worker| send_answer(&worker, &failed(2), &[]).unwrap());
    assert!(matches!(result, Err(ProtocolError::Unasked(2))), "{result:?}");
    let (app, worker) = UnixStream::pair().unwrap();
    send_answer(&worker, &failed(1), &[]).unwrap();
    let result = wait(&mut Caller::new(app));
    assert!(matches!(result, Err(ProtocolError::Unasked(1))), "{result:?}");
}

#[test]
fn garbage_is_refused() {
    let result = against(|mut worker| worker.write_all(&[0xFF; 4096]).unwrap());
    assert!(matches!(result, Err(ProtocolError::Malformed("status"))), "{result:?}");
}

#[test]
fn exactly_one_descriptor_belongs_to_a_picture_and_none_to_a_failure() {
    let count = |answer: Answer, count: usize| {
        let memories: Vec<_> = (0..count).map(|_| memory(16, ALL_SEALS)).collect();
        let result = against(|worker| {
            let fds: Vec<_> = memories.iter().map(AsFd::as_fd).collect();
            send_raw(&worker, &octets(&answer), &fds);
        });
        match result {
            Err(ProtocolError::Descriptors(count)) => count,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count(drawn(1, 2, 2), 0), 0);
    assert_eq!(count(drawn(1, 2, 2), 2), 2);
    assert!(count(drawn(1, 2, 2), 8) > 1);
    assert_eq!(count(failed(1), 1), 1);
}

#[test]
fn a_second_descriptor_later_in_the_answer_is_refused() {
    let result = against(|worker| {
        let octets = octets(&drawn(1, 2, 2));
        let memory = memory(16, ALL_SEALS);
        send_raw(&worker, &octets[..10], &[memory.as_fd()]);
        send_raw(&worker, &octets[10..], &[memory.as_fd()]);
    });
    assert!(matches!(result, Err(ProtocolError::Descriptors(2))), "{result:?}");
}

#[test]
fn memory_must_be_sealed_memory_and_large_enough() {
    let with = |memory: OwnedFd| {
        let answer = drawn(1, 2, 2);
        match against(|worker| send_answer(&worker, &answer, &[memory.as_fd()]).unwrap()) {
            Err(ProtocolError::Memory(what)) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(memory(15, ALL_SEALS)), "is smaller than the picture");
    for missing in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE] {
        assert_eq!(with(memory(16, ALL_SEALS - missing)), "is not sealed", "without {missing:?}");
    }
    assert_eq!(with(File::open("/dev/zero").unwrap().into()), "is not a memory file");
}

#[test]
fn a_picture_larger_than_wanted_is_refused() {
    let memory = memory(65 * 4, ALL_SEALS);
    let answer = drawn(1, 65, 1);
    let result = against(|worker| send_answer(&worker, &answer, &[memory.as_fd()]).unwrap());
    assert!(matches!(result, Err(ProtocolError::Malformed("size"))), "{result:?}");
}

#[test]
fn a_request_without_its_descriptor_ends_the_worker() {
    let (mut app, worker) = UnixStream::pair().unwrap();
    app.write_all(&[0; 20]).unwrap();
    assert_eq!(serve(&worker).unwrap_err().kind(), ErrorKind::InvalidData);
    app.write_all(&[0; 7]).unwrap();
    drop(app);
    assert_eq!(serve(&worker).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
