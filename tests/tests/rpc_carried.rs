//! Descriptors and shared memory inside of messages.

use std::io::{Read as _, Seek as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tine::rpc::{self, Client, Error, Format};
use tine::{ErrorKind, Shared, SharedMut, Template, Worker};
use tine_tests::rpc::{Fate, call};
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        descriptors_and_shared_memory_in_order,
        more_than_a_message_takes,
        no_room_for_what_a_reply_brings,
    ];
    runner::run(&template, cases)
}

#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    name: String,
    files: Vec<rpc::Fd>,
    memory: Option<Shared>,
}

tine::entry!(REPACK = repack);
fn repack(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |parcel: Parcel, _| -> tine::Result<Parcel> {
        let Parcel { name, files, memory } = parcel;
        let mut pixels = SharedMut::new(1 << 20)?;
        let first = memory.as_ref().and_then(|memory| memory.first()).copied();
        pixels.fill(first.unwrap_or_default() + 1);
        let files = files.into_iter().rev().collect();
        Ok(Parcel { name, files, memory: Some(pixels.share()?) })
    })
}

fn file(text: &str) -> rpc::Fd {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("room");
    file.into()
}

fn contents(fd: rpc::Fd) -> String {
    let mut file = std::fs::File::from(fd.into_owned().expect("the only one"));
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("text");
    text
}

/// B7: inside of messages, in order, many messages under way.
fn descriptors_and_shared_memory_in_order(template: &Template) {
    for format in [Format::Postcard, Format::Json] {
        let builder = Client::<Parcel, Parcel>::builder().format(format);
        let (client, fate) = Fate::run(builder, template.fork(), REPACK);
        let answers: Vec<_> = (0..20_u8)
            .map(|n| {
                let mut memory = SharedMut::new(1).expect("memory");
                memory.fill(n);
                let files = (0..n % 4).map(|file_no| file(&format!("{n}.{file_no}"))).collect();
                let memory = (n % 2 == 0).then(|| memory.share().expect("memory"));
                call(&client, &Parcel { name: n.to_string(), files, memory })
            })
            .collect();
        for (n, answer) in (0..).zip(&answers) {
            let Parcel { name, files, memory } = answer.get().expect("a parcel");
            assert_eq!(name, n.to_string());
            let files: Vec<_> = files.into_iter().map(contents).collect();
            let sent = (0..n % 4).rev().map(|file_no| format!("{n}.{file_no}"));
            assert_eq!(files, sent.collect::<Vec<_>>());
            let memory = memory.expect("memory");
            let first = if n % 2 == 0 { n + 1 } else { 1 };
            assert!(memory.len() == 1 << 20 && memory.iter().all(|octet| *octet == first));
        }
        drop(client);
        assert!(fate.end().1.success());
    }
}

/// B7: what cannot travel is refused, alone.
fn more_than_a_message_takes(template: &Template) {
    let builder = Client::<Parcel, Parcel>::builder().limit(10_000);
    let (client, fate) = Fate::run(builder, template.fork(), REPACK);
    let parcel = |name: &str, files: usize| {
        let one = file("x");
        Parcel { name: name.into(), files: vec![one; files], memory: None }
    };
    let received = call(&client, &parcel("", 0)).get().expect("a parcel");
    for (what, parcel) in [
        ("254 descriptors", parcel("", 254)),
        ("10000", parcel(&"x".repeat(10_001), 0)),
        ("was received", received),
    ] {
        let error = call(&client, &parcel).get().expect_err("too much");
        assert!(matches!(&error, Error::Refused(error) if error.kind() == ErrorKind::Misuse));
        assert!(error.to_string().contains(what), "{error}");
    }
    let most = call(&client, &parcel(&"x".repeat(9_000), 252)).get().expect("a parcel");
    assert_eq!((most.name.len(), most.files.len()), (9_000, 252));
    drop(most);
    drop(client);
    assert!(fate.end().1.success());
}

/// B7, B14: that call is told, and the worker, which has done nothing wrong, goes on.
fn no_room_for_what_a_reply_brings(template: &Template) {
    let (client, fate) = Fate::run(Client::<Parcel, Parcel>::builder(), template.fork(), REPACK);
    let parcel = |files: usize| {
        let files = (0..files).map(|number| file(&number.to_string())).collect();
        Parcel { name: String::new(), files, memory: None }
    };
    call(&client, &parcel(1)).get().expect("a parcel");
    let answers = [call(&client, &parcel(3)), call(&client, &parcel(0))];
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(tine_tests::descriptors().len() as u64 + 20), ..before };
    setrlimit(Resource::Nofile, few).expect("fewer descriptors");
    let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let errors = answers.map(|answer| {
        while !answer.is_settled() {
            tine::queue().turn(None).expect("a queue");
        }
        answer.get().expect_err("there is no room")
    });
    drop(taken);
    setrlimit(Resource::Nofile, before).expect("as many as before");
    for error in errors {
        assert!(
            matches!(&error, Error::Refused(why) if why.kind() == ErrorKind::System),
            "{error}"
        );
        assert!(error.to_string().contains("Too many open files"), "{error}");
    }
    let after = call(&client, &parcel(2)).get().expect("a parcel");
    assert_eq!(after.files.into_iter().map(contents).collect::<Vec<_>>(), ["1", "0"]);
    drop(client);
    assert!(fate.end().1.success());
}
