//! What a process is sent arrives: in order, to the octet, and the same in every copy.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use rustix::fs::MemfdFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tine::{Cause, ErrorKind, Process, Template, Worker};
use tine_tests::told::Told;
use tine_tests::workers::{ITEMS, RETURN, STAY, Sent, items};
use tine_tests::{call, cases, descriptors, native, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        arguments_are_octets,
        arguments_of_every_awkward_length,
        ten_thousand_arguments,
        descriptors_in_order,
        three_hundred_descriptors_between_arguments,
        descriptors_that_no_socket_takes,
        copies_inherit_and_then_differ,
        copies_of_copies_share_long_arguments,
        more_long_arguments_than_descriptors,
        an_argument_longer_than_files_may_be,
        both_ends_of_the_socket_are_as_promised,
        preparing_returns_at_once_and_handles_need_not_be_kept,
        orders_that_do_not_fit_the_socket_wait_in_the_app,
        a_process_never_run_costs_nothing,
        a_sent_descriptor_is_closed_here_once_it_has_arrived,
        too_much_taken_is_an_error,
    ];
    runner::run(&template, cases)
}

/// A file in memory whose offset is at its beginning.
fn file(contents: &[u8]) -> OwnedFd {
    let mut file = File::from(
        rustix::fs::memfd_create("tine-tests", MemfdFlags::CLOEXEC).expect("a file in memory"),
    );
    file.write_all(contents).expect("memory");
    file.seek(SeekFrom::Start(0)).expect("a file");
    file.into()
}

fn sent(process: Process) -> Vec<Sent> {
    let told = Told::run(process, ITEMS);
    let items = items(told.socket());
    assert_eq!(*told.exit().cause(), Cause::Returned);
    items
}

fn octets(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8) ^ seed).collect()
}

/// F8: any octets, NUL and none at all included.
fn arguments_are_octets(template: &Template) {
    let all: Vec<u8> = (0..=255).collect();
    let given: [&[u8]; 6] = [b"", b"\0", b"a\0b\0", &all, "\u{fffd}ö".as_bytes(), b""];
    let process = given.iter().fold(template.fork(), |process, arg| process.send_arg(*arg));
    assert_eq!(sent(process), given.map(|arg| Sent::Arg(arg.to_vec())));
}

/// F8: around every size at which something changes: a page, a pipe, the longest short message.
fn arguments_of_every_awkward_length(template: &Template) {
    let around = |len: usize| [len - 1, len, len + 1];
    let lengths = [4096, 65_536, 212_992, 1 << 20].map(around).concat();
    let given: Vec<_> = lengths.iter().map(|len| octets(*len, *len as u8)).collect();
    let process = given.iter().fold(template.fork(), |process, arg| process.send_arg(arg.clone()));
    let arrived = sent(process);
    let wanted: Vec<_> = given.into_iter().map(Sent::Arg).collect();
    assert!(arrived == wanted, "{} of {} arguments", arrived.len(), wanted.len());
}

/// F8: any number.
fn ten_thousand_arguments(template: &Template) {
    let given: Vec<_> = (0..10_000).map(|n: usize| octets(n % 40, n as u8)).collect();
    let process = given.iter().fold(template.fork(), |process, arg| process.send_arg(arg.clone()));
    assert!(sent(process) == given.into_iter().map(Sent::Arg).collect::<Vec<_>>());
}

/// F7: order is kept, among descriptors and between them and arguments.
fn descriptors_in_order(template: &Template) {
    let process = template
        .fork()
        .send_fd(file(b"first"))
        .send_arg("between")
        .send_fd(file(b""))
        .send_fd(file(b"third"))
        .send_arg("");
    let wanted = [
        Sent::Fd(b"first".to_vec()),
        Sent::Arg(b"between".to_vec()),
        Sent::Fd(Vec::new()),
        Sent::Fd(b"third".to_vec()),
        Sent::Arg(Vec::new()),
    ];
    assert_eq!(sent(process), wanted);
}

/// F7: more than the kernel's 253 a message, with long arguments (descriptors too) among them.
fn three_hundred_descriptors_between_arguments(template: &Template) {
    let (mut process, mut wanted) = (template.fork(), Vec::new());
    for n in 0..300 {
        let name = format!("file {n}").into_bytes();
        process = process.send_fd(file(&name));
        wanted.push(Sent::Fd(name));
        if n % 50 == 0 {
            let long = octets(70_000 + n, n as u8);
            process = process.send_arg(long.clone());
            wanted.push(Sent::Arg(long));
        }
        if n % 7 == 0 {
            process = process.send_arg("x");
            wanted.push(Sent::Arg(b"x".to_vec()));
        }
    }
    let arrived = sent(process);
    assert!(arrived == wanted, "{} of {} things", arrived.len(), wanted.len());
}

/// A pipe's reading end, with octets in it: unlike a file's, its contents are read once.
fn pipe(contents: &[u8]) -> OwnedFd {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(contents).expect("room in a pipe");
    reader.into()
}

/// One of io_uring, which the kernel takes in no message; None, where it gives out none.
fn ring() -> Option<OwnedFd> {
    let number = call!(libc::SYS_io_uring_setup, 1, &mut [0; 120][..]);
    (number >= 0).then(|| native::owned(number as i32))
}

/// F7, rule 10: an error that says so, be it the first descriptor or one that waits in the app for room. The process, which
/// waits for the rest, ends.
fn descriptors_that_no_socket_takes(template: &Template) {
    if ring().is_none() {
        // As in containers: then there is no such descriptor.
        return println!("io_uring_setup(2) is refused here: nothing is sent");
    }
    let many = (0..253).fold(template.fork(), |process, _| process.send_fd(pipe(b"")));
    let waiting = (0..100).fold(many, |process, _| process.send_arg(octets(60_000, 0)));
    for (process, may_have_begun) in [(template.fork(), false), (waiting, true)] {
        let told = Told::run(process.send_fd(ring().expect("it was there")), ITEMS);
        let error = told.refusal();
        assert_eq!(
            error.io().and_then(|error| error.raw_os_error()),
            Some(libc::EINVAL),
            "{error}"
        );
        assert!(error.to_string().contains("descriptor"), "{error}");
        if may_have_begun {
            assert_eq!(*told.exit().cause(), Cause::Dropped);
        }
    }
}

/// F2: what was sent before is in each copy, what was sent later in one.
fn copies_inherit_and_then_differ(template: &Template) {
    let common = template.fork().send_arg("common").send_fd(file(b"shared"));
    let (one, two) = (common.fork().send_arg("one"), common.fork().send_fd(pipe(b"two")));
    let deeper = one.fork().send_arg("deeper");
    let common = common.send_arg("later");
    let [one, two, deeper, common] = [one, two, deeper, common].map(sent);
    // The copies share the file's offset, as dup(2) has it: the first to read it leaves nothing.
    let with = |file: &[u8], more: &[Sent]| {
        [&[Sent::Arg(b"common".to_vec()), Sent::Fd(file.to_vec())], more].concat()
    };
    let arg = |octets: &[u8]| Sent::Arg(octets.to_vec());
    assert_eq!(one, with(b"shared", &[arg(b"one")]));
    assert_eq!(two, with(b"", &[Sent::Fd(b"two".to_vec())]));
    assert_eq!(deeper, with(b"", &[arg(b"one"), arg(b"deeper")]));
    assert_eq!(common, with(b"", &[arg(b"later")]));
}

/// F8: any number, whatever the app may have open; in their order, with descriptors between.
fn more_long_arguments_than_descriptors(template: &Template) {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..before }).expect("lower");
    let (mut process, mut wanted) = (template.fork(), Vec::new());
    for number in 0..200 {
        let long = octets(65_537 + number * 700, number as u8);
        process = process.send_arg(long.clone());
        wanted.push(Sent::Arg(long));
        if number % 20 == 0 {
            process = process.send_fd(file(b""));
            wanted.push(Sent::Fd(Vec::new()));
        }
    }
    let copy = process.fork().send_arg("the copy's");
    assert!(sent(process) == wanted, "not what was sent");
    wanted.push(Sent::Arg(b"the copy's".to_vec()));
    assert!(sent(copy) == wanted, "not what was sent to the copy");
    setrlimit(Resource::Nofile, before).expect("what it was");
}

/// F8: setrlimit(2), `RLIMIT_FSIZE`; whoever writes more to a file is killed.
fn an_argument_longer_than_files_may_be(template: &Template) {
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(100_000), ..before }).expect("lower");
    for len in [80_000, 200_000] {
        let long = octets(len, 3);
        assert!(sent(template.fork().send_arg(long.clone())) == [Sent::Arg(long)], "{len}");
    }
    setrlimit(Resource::Fsize, before).expect("what it was");
}

/// F2, F8: a long argument is in every copy, whoever reads it first.
fn copies_of_copies_share_long_arguments(template: &Template) {
    let long = octets(300_000, 5);
    let mut process = template.fork().send_arg(long.clone());
    let mut told = Vec::new();
    for n in 0..8_u8 {
        process = process.fork().send_arg([n]);
        told.push(Told::run(process.fork(), ITEMS));
    }
    drop(process);
    for (n, told) in told.into_iter().enumerate() {
        let mut wanted = vec![Sent::Arg(long.clone())];
        wanted.extend((0..=n as u8).map(|n| Sent::Arg(vec![n])));
        assert!(items(told.socket()) == wanted, "copy {n}");
        assert!(told.exit().success());
    }
}

tine::entry!(SOCKET = tell_socket);
fn tell_socket(worker: Worker) -> tine::Result<()> {
    let socket = worker.socket();
    let blocking = !rustix::fs::fcntl_getfl(socket)?.contains(rustix::fs::OFlags::NONBLOCK);
    let flags = rustix::io::fcntl_getfd(socket)?;
    write!(&*socket, "{blocking} {}", flags.contains(rustix::io::FdFlags::CLOEXEC))?;
    Ok(())
}

/// F9: non-blocking in the app, blocking in the worker, close-on-exec in both.
fn both_ends_of_the_socket_are_as_promised(template: &Template) {
    let seen = std::rc::Rc::new(std::cell::Cell::new(None));
    let tell = seen.clone();
    let running = template.fork().run(SOCKET, move |socket| {
        let socket = socket.expect("a process");
        let flags = rustix::fs::fcntl_getfl(&socket).expect("open");
        let fd = rustix::io::fcntl_getfd(&socket).expect("open");
        let as_promised = flags.contains(rustix::fs::OFlags::NONBLOCK)
            && fd.contains(rustix::io::FdFlags::CLOEXEC);
        tell.set(Some((as_promised, socket)));
    });
    drop(running);
    let (as_promised, mut socket) = tine_tests::told::eventually("the callback", || seen.take());
    assert!(as_promised, "the app's end");
    socket.set_nonblocking(false).expect("open");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "true true", "the worker's end: blocking, close-on-exec");
}

/// F10: no handle is kept, nothing waits: what was asked for happens when the queue turns.
fn preparing_returns_at_once_and_handles_need_not_be_kept(template: &Template) {
    let (far, near) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_read_timeout(Some(tine_tests::told::DEADLINE)).expect("a socket");
    template.fork().send_fd(OwnedFd::from(far)).run(SAY, |_| ());
    // Nobody turns the queue: the process has had its orders with the request.
    let mut answer = [0; 4];
    (&near).read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"said");
}

tine::entry!(SAY = say);
fn say(mut worker: Worker) -> tine::Result<()> {
    File::from(worker.take_fd()?).write_all(b"said")?;
    Ok(())
}

/// F10, F8: 8 MiB of arguments, more than any socket takes; the app goes on meanwhile.
fn orders_that_do_not_fit_the_socket_wait_in_the_app(template: &Template) {
    let given: Vec<_> = (0..128_u8).map(|n| octets(65_000, n)).collect();
    let process = given.iter().fold(template.fork(), |process, arg| process.send_arg(arg.clone()));
    let (told, other) = (Told::run(process, ITEMS), Told::run(template.fork(), RETURN));
    assert!(other.exit().success());
    assert!(items(told.socket()) == given.into_iter().map(Sent::Arg).collect::<Vec<_>>());
    assert!(told.exit().success());
}

/// F10: dropped before `run`, a process never was; what was sent is closed.
fn a_process_never_run_costs_nothing(template: &Template) {
    let before = descriptors();
    let process = template.fork().send_fd(file(b"x")).send_arg(octets(100_000, 1));
    let copy = process.fork().send_fd(pipe(b"y"));
    assert_eq!(descriptors().len(), before.len() + 3);
    drop(process);
    drop(copy);
    assert_eq!(descriptors(), before);
}

/// F7: the handle keeps it open until it is passed, then closes its own.
fn a_sent_descriptor_is_closed_here_once_it_has_arrived(template: &Template) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let told = Told::run(template.fork().send_fd(OwnedFd::from(writer)), RETURN);
    assert!(told.exit().success());
    let mut rest = Vec::new();
    // The end comes only when nobody has the writing end: not the app, not the template.
    File::from(OwnedFd::from(reader)).read_to_end(&mut rest).expect("the end");
    drop(told);
    let told = Told::run(template.fork(), STAY);
    drop(told.socket());
    assert!(told.exit().success());
}

tine::entry!(GREEDY = greedy);
fn greedy(mut worker: Worker) -> tine::Result<()> {
    worker.take_arg()?;
    let kinds = [worker.take_arg().err(), worker.take_fd().err()];
    let misuse = kinds.iter().flatten().filter(|error| error.kind() == ErrorKind::Misuse).count();
    let none = worker.take().is_none();
    write!(worker.socket(), "{misuse} {none}")?;
    Ok(())
}

/// F9: what was not sent cannot be taken, and it says so.
fn too_much_taken_is_an_error(template: &Template) {
    let told = Told::run(template.fork().send_arg("only"), GREEDY);
    assert_eq!(told.answer(), b"2 true");
    assert!(told.exit().success());
}
