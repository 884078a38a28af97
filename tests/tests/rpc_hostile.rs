//! Workers that send what no worker should: each costs the app bounded memory and time, and one clear error.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use tine::rpc::{Client, Error};
use tine::{ErrorKind, Process, Shared, SharedMut, Template, Worker};
use tine_tests::rpc::{Fate, call};
use tine_tests::told::eventually;
use tine_tests::{cases, descriptors, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_worker_that_keeps_to_the_protocol,
        garbage,
        lengths_that_are_wrong,
        answers_that_nobody_asked_for,
        half_a_message_for_ever,
        descriptors_that_no_message_has,
        a_flood_of_descriptors,
        memory_that_is_not_sealed,
        memory_truncated_after_it_was_sent,
        a_flood_of_events,
        an_end_that_is_closed_while_the_worker_lives_on,
        a_process_of_the_workers_that_keeps_its_socket,
    ];
    runner::run(&template, cases)
}

/// A message as octets; `claimed` descriptors.
fn message(kind: u8, claimed: u16, id: u64, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u32;
    let fields = [&[kind, 0][..], &claimed.to_le_bytes(), &len.to_le_bytes(), &id.to_le_bytes()];
    [&fields.concat(), body].concat()
}

const REQUEST: u8 = 2;
const REPLY: u8 = 16;
const PART: u8 = 19;
const EVENT: u8 = 20;

/// What a worker for `entry` says first.
fn hello(entry: &str) -> Vec<u8> {
    let body = format!("\u{1}{entry}\0a build");
    message(1, 0, u64::from_le_bytes(*b"tinerpc\x01"), body.as_bytes())
}

tine::entry!(RAW = raw);
/// Greets, writes what it was given, and stays.
fn raw(mut worker: Worker) -> tine::Result<()> {
    let octets = worker.take_arg()?;
    let mut socket = greet(worker)?;
    socket.write_all(&octets)?;
    Ok(socket.read_to_end(&mut Vec::new()).map(drop)?)
}

fn greet(worker: Worker) -> tine::Result<UnixStream> {
    let entry = worker.entry();
    let mut socket = worker.into_socket();
    socket.write_all(&hello(entry))?;
    Ok(socket)
}

type Texts = Client<str, String>;

fn run(process: Process, entry: tine::Entry) -> (Texts, Rc<Fate>) {
    Fate::run(Client::builder().build("a build").limit(1 << 20), process, entry)
}

fn run_raw(template: &Template, octets: impl Into<Vec<u8>>) -> (Texts, Rc<Fate>) {
    run(template.fork().send_arg(octets), RAW)
}

/// Every call and the program hear the same, once, and the worker is gone.
fn refused<Rep: serde::de::DeserializeOwned + 'static>(
    (client, fate): (Client<str, Rep>, Rc<Fate>),
    why: &str,
) {
    let answers = [call(&client, "one"), call(&client, "two")];
    for answer in &answers {
        let Err(error) = answer.get() else { panic!("answered, instead of: {why}") };
        assert!(
            matches!(&error, Error::Lost(error) if error.kind() == ErrorKind::Protocol),
            "{error}"
        );
        assert!(error.to_string().contains(why), "{error}");
    }
    let (error, exit) = fate.end();
    assert!(error.expect("told").to_string().contains(why));
    assert_eq!(exit.signal(), Some(libc::SIGKILL), "{exit}");
    assert!(matches!(call(&client, "three").get(), Err(Error::Lost(_))));
}

/// The others below differ in what they send only.
fn a_worker_that_keeps_to_the_protocol(template: &Template) {
    let octets = [message(EVENT, 0, 0, b""), message(REPLY, 0, 1, b"\x03yes")].concat();
    let (client, fate) = run_raw(template, octets);
    assert_eq!(call(&client, "").get().expect("an answer"), "yes");
    drop(client);
    assert!(fate.end().0.is_none());
}

/// Numbers that look random, the same each time (Marsaglia's xorshift).
fn noise(octets: usize) -> Vec<u8> {
    let mut state = 0x7469_6e65_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..octets).map(|_| next()).collect()
}

/// B11.
fn garbage(template: &Template) {
    refused(run_raw(template, noise(1 << 20)), "is no message");
    refused(run_raw(template, message(99, 0, 1, b"x")), "is no message");
    refused(run_raw(template, message(REPLY, 0, 1, &noise(1000))), "is no alloc::string::String");
    refused(
        run_raw(template, message(REPLY, 0, 1, b"\x02\xff\xff")),
        "is no alloc::string::String",
    );
}

/// B11.
fn lengths_that_are_wrong(template: &Template) {
    let mut long = message(REPLY, 0, 1, b"");
    long[4..8].copy_from_slice(&((1_u32 << 20) + 1).to_le_bytes());
    refused(run_raw(template, long.clone()), "the limit is 1048576");
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(run_raw(template, long), "a message of 4294967295 octets");
    refused(run_raw(template, message(REPLY, 0, 1, b"\x03yesno")), "2 octets are left over");
    refused(run_raw(template, message(REPLY, 0, 1, b"\x7fyes")), "is no alloc::string::String");
    refused(run_raw(template, message(REPLY, 0, 1, b"")), "is no alloc::string::String");
}

/// B11.
fn answers_that_nobody_asked_for(template: &Template) {
    refused(run_raw(template, message(REPLY, 0, 77, b"\x03yes")), "call 77");
    refused(run_raw(template, message(PART, 0, 78, b"\x03yes")), "call 78");
    refused(run_raw(template, message(REQUEST, 0, 1, b"\x03yes")), "does not send Request");
    refused(run_raw(template, hello("another")), "does not send Hello");
    let twice = message(REPLY, 0, 1, b"\x03yes").repeat(2);
    let (client, fate) = run_raw(template, twice);
    let (first, second) = (call(&client, ""), call(&client, ""));
    assert_eq!(first.get().expect("the first one"), "yes");
    assert!(second.get().expect_err("the second one").to_string().contains("call 1 was answered"));
    fate.end();
}

/// Resident memory of this process, in KiB; its own, without files.
fn memory() -> usize {
    let anonymous = processes::status(std::process::id(), "RssAnon").expect("/proc");
    anonymous.trim_end_matches(" kB").parse().expect("a number")
}

/// B11: it waits, at the cost of what has come, and the app goes on; until it is told to end it.
fn half_a_message_for_ever(template: &Template) {
    let before = memory();
    let half = message(REPLY, 0, 1, &vec![0; 1 << 20]);
    let clients: Vec<_> = (0..20).map(|_| run_raw(template, &half[..100])).collect();
    let answers: Vec<_> = clients.iter().map(|(client, _)| call(client, "")).collect();
    // Meanwhile another works.
    a_worker_that_keeps_to_the_protocol(template);
    let grown = memory().saturating_sub(before);
    assert!(grown < 20 * 160, "{grown} KiB for 20 workers that announce a MiB and send 100 octets");
    for ((client, fate), answer) in clients.iter().zip(&answers) {
        assert!(!answer.is_settled());
        client.kill(libc::SIGKILL).expect("lives");
        assert!(matches!(answer.get(), Err(Error::Ended(_))));
        fate.end();
    }
}

tine::entry!(SCATTER = scatter);
/// Sends descriptors with every octet of what it was given, again and again.
fn scatter(mut worker: Worker) -> tine::Result<()> {
    let octets = worker.take_arg()?;
    let step: usize =
        String::from_utf8_lossy(&worker.take_arg()?).parse().map_err(tine::Error::other)?;
    let socket = greet(worker)?;
    let null = std::fs::File::open("/dev/null")?;
    let fds = [null.as_fd(); 253];
    // Until the app has closed its end.
    loop {
        for piece in octets.chunks(step) {
            let sent = tine::send_fds(&socket, piece, &fds)?;
            (&socket).write_all(&piece[sent..])?;
        }
    }
}

/// B7, B11: as many as the kernel lets through, with messages that have fewer or none.
fn descriptors_that_no_message_has(template: &Template) {
    let run = |octets: Vec<u8>, step: usize| {
        run(template.fork().send_arg(octets).send_arg(step.to_string()), SCATTER)
    };
    let event = message(EVENT, 0, 0, b"x");
    let len = event.len();
    refused(run(event, len), "descriptors came with");
    let long = message(REPLY, 253, 1, &[0; 100_000]);
    refused(run(long, 20), "descriptors came with a message of 253");
    refused(
        run_raw(template, message(EVENT, 1, 0, b"x")),
        "a message of 1 descriptors came with 0",
    );
    refused(run_raw(template, message(EVENT, 60_000, 0, b"x")), "a message of 60000 descriptors");
}

/// B7, B11: a million of them, each claimed by its message. The app has no more than one call's at a time.
fn a_flood_of_descriptors(template: &Template) {
    let event = message(EVENT, 253, 0, b"x");
    let len = event.len();
    let process = template.fork().send_arg(event).send_arg(len.to_string());
    let (heard, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (hears, counts) = (Rc::clone(&heard), Rc::clone(&most));
    let builder = Client::<str, String>::builder().build("a build").on_event(move |_: u8| {
        hears.set(hears.get() + 1);
        if hears.get() % 500 == 0 {
            counts.set(counts.get().max(descriptors().len()));
        }
    });
    let (client, fate) = Fate::run(builder, process, SCATTER);
    let before = descriptors().len();
    eventually("a million descriptors", || (heard.get() * 253 > 1_000_000).then_some(()));
    assert!(most.get() < before + 300, "{} were open at a time", most.get());
    client.kill(libc::SIGKILL).expect("lives");
    assert!(matches!(fate.end().0, Some(Error::Ended(_))));
}

fn memfd(seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = rustix::fs::memfd_create("loose", flags).expect("memory");
    rustix::fs::ftruncate(&memfd, 1 << 20).expect("memory");
    rustix::fs::fcntl_add_seals(&memfd, seals).expect("a memfd");
    memfd
}

tine::entry!(LOOSE = loose);
/// Replies with the descriptor that it was given, in place of sealed memory, and truncates it.
fn loose(mut worker: Worker) -> tine::Result<()> {
    let fd = worker.take_fd()?;
    let mut socket = greet(worker)?;
    tine::send_fds(&socket, &message(REPLY, 1, 1, &[0]), &[fd.as_fd()])?;
    // Where it is sealed, or no file, this does nothing.
    let _ = rustix::fs::ftruncate(&fd, 0);
    Ok(socket.read_to_end(&mut Vec::new()).map(drop)?)
}

fn run_loose(template: &Template, fd: impl Into<OwnedFd>) -> (Client<str, Shared>, Rc<Fate>) {
    let builder = Client::builder().build("a build");
    Fate::run(builder, template.fork().send_fd(fd), LOOSE)
}

/// B7: it could be changed while it is read, or the reader be killed by SIGBUS.
fn memory_that_is_not_sealed(template: &Template) {
    for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::WRITE | SealFlags::GROW] {
        refused(run_loose(template, memfd(seals)), "is not sealed against every change");
    }
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    refused(run_loose(template, reader), "is not sealed against every change");
}

/// B7: what is sealed stays what it is.
fn memory_truncated_after_it_was_sent(template: &Template) {
    let mut memory = SharedMut::new(1 << 20).expect("memory");
    memory.fill(7);
    let (client, fate) = run_loose(template, memory.seal().expect("memory"));
    let memory = call(&client, "").get().expect("memory");
    drop(client);
    fate.end();
    assert!(memory.len() == 1 << 20 && memory.iter().all(|octet| *octet == 7));
}

tine::entry!(FLOOD = flood);
/// Writes the same message again and again, until the app has closed its end.
fn flood(mut worker: Worker) -> tine::Result<()> {
    let octets = worker.take_arg()?.repeat(1000);
    let mut socket = greet(worker)?;
    loop {
        socket.write_all(&octets)?;
    }
}

/// B11: they are heard a socketful at a time; in between, everything else has its turn.
fn a_flood_of_events(template: &Template) {
    let heard = Rc::new(Cell::new(0_u64));
    let hears = Rc::clone(&heard);
    let builder = Client::<str, String>::builder()
        .build("a build")
        .on_event(move |_: u8| hears.set(hears.get() + 1));
    let process = template.fork().send_arg(message(EVENT, 0, 0, b"x"));
    let (client, fate) = Fate::run(builder, process, FLOOD);
    eventually("the flood", || (heard.get() > 10_000).then_some(()));
    let (before, ticks) = (memory(), Rc::new(Cell::new(0)));
    let counts = Rc::clone(&ticks);
    let timer = tine::queue().every(Duration::from_millis(1), move || counts.set(counts.get() + 1));
    let mut most = 0;
    while ticks.get() < 100 {
        let already = heard.get();
        tine::queue().turn(None).expect("a queue");
        most = most.max(heard.get() - already);
    }
    drop(timer);
    assert!(most <= 64 * 1024 / 17 + 1, "{most} events in one turn");
    let grown = memory().saturating_sub(before);
    assert!(grown < 512, "{grown} KiB");
    client.kill(libc::SIGKILL).expect("lives");
    fate.end();
}

tine::entry!(MUTE = mute);
/// Closes the socket, and lives on until it is killed.
fn mute(worker: Worker) -> tine::Result<()> {
    drop(greet(worker)?);
    loop {
        std::thread::park();
    }
}

/// B4: its calls are settled, though no end can be told of it.
fn an_end_that_is_closed_while_the_worker_lives_on(template: &Template) {
    refused(run(template.fork(), MUTE), "closed its end, owes answers, and lives on");
}

tine::entry!(BEQUEATH = bequeath);
/// Leaves its socket to a process that goes on writing to it.
fn bequeath(worker: Worker) -> tine::Result<()> {
    let socket = OwnedFd::from(greet(worker)?);
    let event =
        message(EVENT, 0, 0, b"x").iter().map(|octet| format!("\\{octet:03o}")).collect::<String>();
    let script = format!("while printf '{event}'; do :; done");
    Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::from(socket))
        .stderr(Stdio::null())
        .spawn()?;
    Ok(())
}

/// B4: the worker's end is the end.
fn a_process_of_the_workers_that_keeps_its_socket(template: &Template) {
    let (client, fate) = run(template.fork(), BEQUEATH);
    let answer = call(&client, "");
    let error = answer.get().expect_err("nobody answers");
    assert!(matches!(&error, Error::Ended(exit) if exit.success()), "{error}");
    assert!(matches!(fate.end().0, Some(Error::Ended(_))));
}
