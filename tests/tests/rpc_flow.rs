//! Flow control: whoever is slow, the other side holds no more than its bound.

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tine::rpc::{self, Client, Error, Responder};
use tine::{ErrorKind, Template, Worker};
use tine_tests::rpc::{Answer, Fate, call};
use tine_tests::told::eventually;
use tine_tests::{cases, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_slow_app_stops_a_sync_worker,
        a_slow_app_stops_an_async_worker,
        a_slow_app_stops_an_async_handler,
        an_async_worker_takes_in_so_many,
        a_slow_worker_fills_the_backlog,
        a_long_message_each_way,
    ];
    runner::run(&template, cases)
}

#[derive(Serialize, Deserialize)]
enum Ask {
    /// So many events of so many octets.
    Events(u32, usize),
    /// A reply of so many octets.
    Reply(usize),
}

fn text(number: u32, octets: usize) -> String {
    let number = number.to_string();
    "0".repeat(octets - number.len()) + &number
}

tine::entry!(SPEAK = speak);
fn speak(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |ask: Ask, caller| -> tine::Result<String> {
        match ask {
            Ask::Events(count, octets) => {
                (0..count).try_for_each(|number| caller.event(&text(number, octets)))?;
                Ok(String::new())
            }
            Ask::Reply(octets) => Ok(text(0, octets)),
        }
    })
}

tine::entry!(SPEAK_ASYNC = speak_async);
fn speak_async(worker: Worker) -> tine::Result<()> {
    rpc::serve_async(worker, |ask: Ask, responder: Responder<String>| {
        let answer = match ask {
            Ask::Events(count, octets) => {
                let sent = (0..count).try_for_each(|number| responder.event(&text(number, octets)));
                sent.map(|()| String::new())
            }
            Ask::Reply(octets) => Ok(text(0, octets)),
        };
        responder.answer(answer);
    })
}

/// Resident memory of a process that is its own, in KiB.
fn memory(pid: u32) -> usize {
    let anonymous = processes::status(pid, "RssAnon").expect("a live process");
    anonymous.trim_end_matches(" kB").parse().expect("a number")
}

/// Waits, without dispatching, until a worker waits for the app; gives its memory.
fn stopped(client: &Client<Ask, String>) -> usize {
    let pid = client.pid().expect("a live worker");
    // Asleep for a while: not merely between two messages.
    let deadline = std::time::Instant::now() + tine_tests::LONG;
    let mut quiet = 0;
    while quiet < 1000 {
        assert!(deadline > std::time::Instant::now(), "{}", processes::picture());
        quiet = if processes::is_asleep(pid) { quiet + 1 } else { 0 };
        std::thread::yield_now();
    }
    memory(pid)
}

type Texts = (Client<Ask, String>, Rc<Fate>, Rc<Cell<u32>>);

/// A worker that has answered once, and a count of its events, which are to come in order.
fn run(template: &Template, entry: tine::Entry) -> Texts {
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    let builder = Client::<Ask, String>::builder().on_event(move |event: String| {
        assert_eq!(event[event.len() - 6..].parse(), Ok(hears.get()));
        hears.set(hears.get() + 1);
    });
    let (client, fate) = Fate::run(builder, template.fork(), entry);
    call(&client, &Ask::Reply(1)).get().expect("a reply");
    (client, fate, heard)
}

/// 16 MiB of events into an app that does not look, and then does.
fn floods(template: &Template, entry: tine::Entry, bound_kib: usize) {
    let (client, fate, heard) = run(template, entry);
    let before = memory(client.pid().expect("a live worker"));
    let answer = call(&client, &Ask::Events(1024, 16 * 1024));
    let grown = stopped(&client).saturating_sub(before);
    assert!(grown < bound_kib, "the worker grew by {grown} KiB");
    assert_eq!(heard.get(), 0);
    answer.get().expect("an end");
    assert_eq!(heard.get(), 1024);
    drop(client);
    assert!(fate.end().1.success());
}

/// F27: it holds one message.
fn a_slow_app_stops_a_sync_worker(template: &Template) {
    floods(template, SPEAK, 512);
}

/// F27: also where one handler sends more than the bound.
fn a_slow_app_stops_an_async_handler(template: &Template) {
    floods(template, SPEAK_ASYNC, 1024);
}

/// F27: it takes in no more requests while its answers wait.
fn a_slow_app_stops_an_async_worker(template: &Template) {
    let (client, fate, _) = run(template, SPEAK_ASYNC);
    let before = memory(client.pid().expect("a live worker"));
    let answers: Vec<_> = (0..500).map(|_| call(&client, &Ask::Reply(100_000))).collect();
    // The requests go out in the next turn, which hears of none yet, or of some.
    tine::queue().dispatch().expect("a queue");
    let grown = stopped(&client).saturating_sub(before);
    assert!(grown < 1024, "the worker grew by {grown} KiB for 50 MB of answers");
    assert!(!answers[499].is_settled());
    for answer in &answers {
        assert_eq!(answer.get().expect("a reply").len(), 100_000);
    }
    drop(client);
    assert!(fate.end().1.success());
}

tine::entry!(GATHER = gather);
/// Answers with how many requests it has, once the app says `now` by an argument's descriptor.
fn gather(mut worker: Worker) -> tine::Result<()> {
    let now = worker.take_fd()?;
    let kept: Rc<Cell<Vec<Responder<usize>>>> = Rc::default();
    let gathered = Rc::clone(&kept);
    let watcher = tine::queue().io(now, tine::Interest::READABLE, move |_, _| {
        let responders = gathered.take();
        let count = responders.len();
        responders.into_iter().for_each(|responder| responder.answer(Ok::<_, String>(count)));
    })?;
    rpc::Server::new(worker).concurrent(5).serve_async(move |(), responder| {
        let mut responders = kept.take();
        responders.push(responder);
        kept.set(responders);
    })?;
    drop(watcher);
    Ok(())
}

/// F27: others wait until one of them is answered.
fn an_async_worker_takes_in_so_many(template: &Template) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let process = template.fork().send_fd(reader);
    let (client, fate) = Fate::run(Client::<(), usize>::builder(), process, GATHER);
    let answers: Vec<_> = (0..17).map(|_| call(&client, &())).collect();
    eventually("the worker has what it takes", || {
        client.pid().is_some_and(processes::is_asleep).then_some(())
    });
    drop(writer);
    for answer in &answers {
        let count = answer.get().expect("a count");
        assert!((1..=5).contains(&count), "{count} at a time");
    }
    drop(client);
    assert!(fate.end().1.success());
}

tine::entry!(REST = rest);
/// Takes in nothing before it is told to.
fn rest(mut worker: Worker) -> tine::Result<()> {
    std::io::Read::read(&mut std::fs::File::from(worker.take_fd()?), &mut [0])?;
    rpc::serve(worker, |text: String, _| Ok::<_, String>(text.len()))
}

/// F27: the app holds the backlog and one request; the next one is refused, and it is told when there is room.
fn a_slow_worker_fills_the_backlog(template: &Template) {
    const BACKLOG: usize = 200_000;
    const OCTETS: usize = 10_000;
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let builder = Client::<str, usize>::builder().backlog(BACKLOG);
    let (client, fate) = Fate::run(builder, template.fork().send_fd(reader), REST);
    eventually("a worker that does not listen", || client.pid());
    let request = text(0, OCTETS);
    let mut answers = Vec::new();
    // What the socket takes besides is bounded by the kernel.
    let mut accepted = 0;
    loop {
        while !client.is_full() {
            answers.push(call(&client, &*request));
            accepted += 1;
        }
        tine::queue().turn(Some(std::time::Duration::from_millis(100))).expect("a queue");
        if client.is_full() {
            break;
        }
    }
    assert!(accepted * OCTETS < 2 * BACKLOG + 500_000, "{accepted} requests");
    let refused: Answer<usize> = call(&client, &*request);
    let error = refused.get().expect_err("there is no room");
    assert!(
        matches!(&error, Error::Refused(error) if error.kind() == ErrorKind::Misuse),
        "{error}"
    );
    assert!(error.to_string().contains("octets wait"), "{error}");
    let drained = Rc::new(Cell::new(false));
    let hears = Rc::clone(&drained);
    client.on_drain(move || hears.set(true));
    assert!(!answers[0].is_settled() && !drained.get());
    drop(writer);
    eventually("there is room", || drained.get().then_some(()));
    assert!(!client.is_full());
    for answer in &answers {
        assert_eq!(answer.get().expect("a length"), OCTETS);
    }
    drop(client);
    assert!(fate.end().1.success());
}

tine::entry!(ECHO = echo);
fn echo(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |text: String, _| Ok::<_, String>(text))
}

/// F27: many times what a socket holds.
fn a_long_message_each_way(template: &Template) {
    let builder = Client::<str, String>::builder().backlog(9 << 20);
    let (client, fate) = Fate::run(builder, template.fork(), ECHO);
    let long = text(7, 8 << 20);
    let answers = [call(&client, "short"), call(&client, &long), call(&client, "short")];
    for (answer, len) in answers.iter().zip([5, 8 << 20, 5]) {
        assert_eq!(answer.get().expect("a text").len(), len);
    }
    drop(client);
    assert!(fate.end().1.success());
}
