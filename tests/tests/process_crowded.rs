//! Rule 4, B4: where as many descriptors are under way as a user may have (unix(7), ETOOMANYREFS), whoever has sent them,
//! requests wait without turning round, and are refused in the end; no template is to blame. Calls and answers wait.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tine::rpc::{self, Client, Responder};
use tine::{Template, Worker};
use tine_tests::places::{copy_into, mark, output_of};
use tine_tests::rpc::{Fate, call};
use tine_tests::told::Told;
use tine_tests::workers::{ITEMS, RETURN, STAY};
use tine_tests::{cases, native, runner};

/// How long a template may leave a request without an answer.
const DEADLINE: Duration = Duration::from_millis(600);

fn main() -> ExitCode {
    // Started by a test below.
    if let Ok(deed) = std::env::var("TINE_TEST_DEED") {
        println!("main");
        // Root may have any number.
        if rustix::process::geteuid().is_root() {
            native::become_user(65534);
        }
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) })
            .expect("lower");
        let template = Template::early().expect("first line of main");
        template.set_deadline(DEADLINE);
        match deed.as_str() {
            "passes" => passes(&template),
            "lasts" => lasts(&template),
            _ => calls(&template),
        }
        return ExitCode::SUCCESS;
    }
    let template = Template::early().expect("first line of main");
    runner::run(&template, cases![a_crowd_that_passes, a_crowd_that_lasts, calls_in_a_crowd])
}

/// Has as many under way as there may be, until it is dropped.
struct Crowd {
    _ends: [UnixStream; 2],
}

impl Crowd {
    fn gather() -> Crowd {
        let (near, far) = UnixStream::pair().expect("sockets");
        while tine::send_fds(&near, b"x", &[near.as_fd(); 16]).is_ok() {}
        Crowd { _ends: [near, far] }
    }
}

/// Requests of all kinds.
fn requests(template: &Template) -> [Told; 3] {
    let null = || File::open("/dev/null").expect("/dev/null");
    [
        Told::run(template.fork(), RETURN),
        Told::run(template.fresh(), RETURN),
        Told::run(template.fork().send_fd(null()).send_fd(null()), ITEMS),
    ]
}

/// Turns the queue for so long; gives how often there was something to do.
fn turn_for(time: Duration) -> u32 {
    let (begun, mut turns) = (Instant::now(), 0);
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        tine::queue().turn(Some(left)).expect("a queue");
        turns += 1;
    }
    turns
}

fn passes(template: &Template) {
    assert!(Told::run(template.fork(), RETURN).exit().success());
    let crowd = Crowd::gather();
    let told = requests(template);
    let turns = turn_for(DEADLINE / 2);
    assert!(turns < 200, "{turns} turns with nothing to do");
    assert!(told.iter().all(|told| told.words().is_empty()));
    drop(crowd);
    told.iter().for_each(|told| assert!(told.exit().success(), "{}", told.exit()));
    println!("{} deaths", template.report().deaths);
}

fn lasts(template: &Template) {
    let told = Told::run(template.fork(), STAY);
    let socket = told.socket();
    let crowd = Crowd::gather();
    for told in requests(template) {
        let refusal = told.refusal().to_string();
        assert!(refusal.contains("ETOOMANYREFS"), "{refusal}");
    }
    drop((crowd, socket));
    assert!(told.exit().success(), "{}", told.exit());
    for told in requests(template) {
        assert!(told.exit().success(), "{}", told.exit());
    }
    println!("{} deaths", template.report().deaths);
}

#[derive(Serialize, Deserialize)]
struct Parcel {
    files: Vec<rpc::Fd>,
    /// How many the answer is to have.
    wanted: usize,
}

fn packed(wanted: usize) -> std::io::Result<Parcel> {
    let files = (0..wanted).map(|_| Ok(File::open("/dev/null")?.into()));
    Ok(Parcel { files: files.collect::<std::io::Result<_>>()?, wanted: 0 })
}

tine::entry!(IN_TURN = in_turn);
fn in_turn(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |parcel: Parcel, _| packed(parcel.wanted))
}

tine::entry!(AT_ONCE = at_once);
fn at_once(worker: Worker) -> tine::Result<()> {
    rpc::serve_async(worker, |parcel: Parcel, responder: Responder<Parcel>| {
        responder.answer(packed(parcel.wanted));
    })
}

fn calls(template: &Template) {
    for entry in [IN_TURN, AT_ONCE] {
        let builder = Client::<Parcel, Parcel>::builder();
        let (client, fate) = Fate::run(builder, template.fork(), entry);
        call(&client, &packed(1).expect("/dev/null")).get().expect("an answer");
        // The one that is called with a descriptor waits in the app, the other in the worker.
        for parcel in [packed(1).expect("/dev/null"), Parcel { files: Vec::new(), wanted: 1 }] {
            let crowd = Crowd::gather();
            let answer = call(&client, &parcel);
            let turns = turn_for(DEADLINE / 2);
            assert!(turns < 200, "{turns} turns with nothing to do");
            assert!(!answer.is_settled());
            drop(crowd);
            assert_eq!(answer.get().expect("an answer").files.len(), parcel.wanted);
        }
        drop(client);
        let exit = fate.end().1;
        assert!(exit.success(), "{exit}");
        let busy = exit.user_time() + exit.system_time();
        assert!(busy < DEADLINE / 4, "the worker was busy for {busy:?}");
    }
    println!("{} deaths", template.report().deaths);
}

/// What a copy of this program says, which is for any user to execute.
fn deed(deed: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    mark(folder.path(), 0o755);
    output_of(Command::new(copy_into(folder.path())).env("TINE_TEST_DEED", deed))
}

fn a_crowd_that_passes(_: &Template) {
    assert_eq!(deed("passes"), ["0 deaths"]);
}

fn a_crowd_that_lasts(_: &Template) {
    assert_eq!(deed("lasts"), ["0 deaths"]);
}

fn calls_in_a_crowd(_: &Template) {
    assert_eq!(deed("calls"), ["0 deaths"]);
}
