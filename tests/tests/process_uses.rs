//! What programs do with workers: a call with its answer, loaded state, one listener.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;

use tine::{Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_call_answers,
        a_call_that_fails_says_how,
        a_call_that_leaves_a_child,
        loaded_state,
        one_listener
    ];
    runner::run(&template, cases)
}

tine::entry!(SUM = sum);
fn sum(mut worker: Worker) -> tine::Result<()> {
    let sum: u64 = worker
        .take_all()
        .map(|item| match item {
            tine::Item::Arg(octets) => octets.len() as u64,
            tine::Item::Fd(_) => 0,
        })
        .sum();
    Ok(worker.socket().write_all(&sum.to_le_bytes())?)
}

type Answer = Rc<RefCell<Option<tine::Result<Vec<u8>>>>>;

fn call(entry: impl Into<String>, args: &[&[u8]]) -> tine::Result<Vec<u8>> {
    let answer = Answer::default();
    let told = Rc::clone(&answer);
    tine::call(entry, args.iter().copied(), move |outcome| {
        assert!(told.replace(Some(outcome)).is_none(), "told once");
    });
    assert!(answer.borrow().is_none(), "told inside the call");
    eventually("the answer", || answer.borrow_mut().take())
}

/// E20: arguments there, octets back.
fn a_call_answers(_: &Template) {
    for n in 0..50_usize {
        let long = vec![0; n * 3000];
        let sum = call(SUM, &[b"abc", b"", &long]).expect("an answer");
        assert_eq!(sum, (3 + long.len() as u64).to_le_bytes());
    }
}

tine::entry!(FAIL = fail);
fn fail(_: Worker) -> Result<(), &'static str> {
    Err("did not work out")
}
tine::entry!(PANIC = panic);
fn panic(_: Worker) {
    panic!("on purpose");
}

/// E20: an error, a panic, no such entry.
fn a_call_that_fails_says_how(_: &Template) {
    let failed = |entry: String, text: &str| {
        let error = call(entry, &[]).expect_err("no answer").to_string();
        assert!(error.contains(text), "{error}");
    };
    failed(FAIL.into(), "did not work out");
    failed(PANIC.into(), "on purpose");
    failed("nobody::knows".into(), "nobody::knows");
}

static LOADED: Mutex<String> = Mutex::new(String::new());

tine::entry!(STATE = state);
fn state(worker: Worker) -> std::io::Result<()> {
    let loaded = LOADED.lock().expect("one thread").clone();
    worker.socket().write_all(loaded.as_bytes())
}

tine::entry!(LEAVE_A_CHILD = leave_a_child);
fn leave_a_child(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(&[b'x'; 100_000])?;
    // It lives until the app has closed its end.
    tine_tests::native::fork(|| drop(worker.socket().read(&mut [0])));
    worker.socket().write_all(b"y")
}

/// E20: the answer is what was written until it returned; a child that has the socket too holds nothing up.
fn a_call_that_leaves_a_child(_: &Template) {
    let octets = call(LEAVE_A_CHILD, &[]).expect("an answer");
    assert_eq!((octets.len(), octets.last()), (100_001, Some(&b'y')));
}

/// F16: a template of a later moment has what was loaded by then, and nothing of what came after.
fn loaded_state(early: &Template) {
    LOADED.lock().expect("one thread").push_str("loaded");
    let template = Template::here().expect("no thread is running");
    LOADED.lock().expect("one thread").push_str(", and more");
    assert_eq!(Told::run(template.fork(), STATE).answer(), b"loaded");
    assert_eq!(Told::run(early.fork(), STATE).answer(), b"");
    LOADED.lock().expect("one thread").clear();
}

tine::entry!(ACCEPT = accept);
fn accept(mut worker: Worker) -> tine::Result<()> {
    let listener = TcpListener::from(worker.take_fd()?);
    worker.socket().write_all(b"r")?;
    loop {
        let (mut client, _) = listener.accept()?;
        client.write_all(&std::process::id().to_le_bytes())?;
    }
}

/// F19: identical workers accept on one listener; whoever is alive answers.
fn one_listener(template: &Template) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback");
    let address = listener.local_addr().expect("an address");
    let serving = template.fork().send_fd(listener).into_template().expect("a template");
    let workers: Vec<_> = (0..4).map(|_| Told::run(serving.fork(), ACCEPT)).collect();
    for worker in &workers {
        worker.socket().read_exact(&mut [0]).expect("a worker that listens");
    }
    let answers = || {
        let mut client = TcpStream::connect(address).expect("a listener");
        let mut pid = [0; 4];
        client.read_exact(&mut pid).expect("an answer");
        u32::from_le_bytes(pid)
    };
    let own: Vec<_> = workers.iter().filter_map(|worker| worker.running().pid()).collect();
    for _ in 0..40 {
        assert!(own.contains(&answers()));
    }
    for worker in &workers[1..] {
        worker.running().kill(libc::SIGKILL).expect("it lives");
        assert_eq!(worker.exit().signal(), Some(libc::SIGKILL));
    }
    for _ in 0..10 {
        assert_eq!(answers(), own[0]);
    }
    workers[0].running().kill(libc::SIGKILL).expect("it lives");
    workers[0].exit();
}
