//! Code of the program's own that panics where tine calls it: what encodes and decodes values, and callbacks.
//! Each call is settled all the same, the worker lives on, and what comes next is heard.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tine::rpc::{self, Client, Error};
use tine::{ErrorKind, Template, Worker};
use tine_tests::rpc::{Answer, Fate, call};
use tine_tests::told::eventually;
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        in_a_sync_worker,
        in_an_async_worker,
        what_decodes_an_answer,
        what_hears_events_and_parts,
    ];
    runner::run(&template, cases)
}

/// A value that panics when it is encoded or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touchy {
    Never,
    Encoded,
    Decoded,
}

impl Touchy {
    const ALL: [Touchy; 3] = [Touchy::Never, Touchy::Encoded, Touchy::Decoded];
}

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(*self != Touchy::Encoded, "not to be encoded");
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Touchy, D::Error> {
        let touchy = Touchy::ALL[usize::from(u8::deserialize(deserializer)?)];
        assert!(touchy != Touchy::Decoded, "not to be decoded");
        Ok(touchy)
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ask {
    request: Touchy,
    /// The [`Touchy`] to answer with.
    reply: u8,
    /// Events and parts that come before.
    events: u32,
}

const WELL: Ask = Ask { request: Touchy::Never, reply: Touchy::Never as u8, events: 0 };

tine::entry!(ANSWER = answer);
fn answer(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |ask: Ask, caller| -> tine::Result<Touchy> {
        for event in 0..ask.events {
            caller.event(&event)?;
            caller.part(&event)?;
        }
        Ok(Touchy::ALL[usize::from(ask.reply)])
    })
}

tine::entry!(ANSWER_ASYNC = answer_async);
fn answer_async(worker: Worker) -> tine::Result<()> {
    rpc::serve_async(worker, |ask: Ask, responder| {
        responder.answer(Ok::<_, String>(Touchy::ALL[usize::from(ask.reply)]));
    })
}

type Asker = Client<Ask, Touchy>;

fn end(client: Asker, fate: &Fate) {
    drop(client);
    let (error, exit) = fate.end();
    assert!(error.is_none() && exit.success(), "{error:?} {exit}");
}

/// Takes turns until `done`, through panics; gives how many there were.
fn panics_until(what: &str, mut done: impl FnMut() -> bool) -> usize {
    let mut panics = 0;
    while !done() {
        let turn = || tine::queue().turn(Some(tine_tests::LONG)).expect("a queue");
        match std::panic::catch_unwind(turn) {
            Ok(callbacks) => assert!(callbacks > 0, "{what} did not come in time"),
            Err(_) => panics += 1,
        }
    }
    panics
}

/// F27: the answer to that request, with text and place.
fn in_a_sync_worker(template: &Template) {
    in_a_worker(template, ANSWER);
}

/// F27: the same.
fn in_an_async_worker(template: &Template) {
    in_a_worker(template, ANSWER_ASYNC);
}

fn in_a_worker(template: &Template, entry: tine::Entry) {
    let (client, fate) = Fate::run(Asker::builder(), template.fork(), entry);
    for (ask, what) in [
        (Ask { request: Touchy::Decoded, ..WELL }, "not to be decoded"),
        (Ask { reply: Touchy::Encoded as u8, ..WELL }, "not to be encoded"),
    ] {
        match call(&client, &ask).get() {
            Err(Error::Panicked { message, place }) => {
                assert!(message == what && place.contains(file!()), "{message:?} at {place}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(call(&client, &WELL).get().expect("it lives on"), Touchy::Never);
    }
    end(client, &fate);
}

/// F27: the panic is the turn's, the call is told, and others are not touched.
fn what_decodes_an_answer(template: &Template) {
    let (client, fate) = Fate::run(Asker::builder(), template.fork(), ANSWER);
    let asks = [WELL, Ask { reply: Touchy::Decoded as u8, ..WELL }, WELL];
    let answers = asks.map(|ask| call(&client, &ask));
    let all = || answers.iter().all(Answer::is_settled);
    assert_eq!(panics_until("an answer", all), 1);
    let [before, between, after] = answers.map(|answer| answer.get());
    match between {
        Err(Error::Refused(why)) if why.kind() == ErrorKind::Misuse => {
            assert!(why.to_string().contains("Touchy panicked"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(before.is_ok() && after.is_ok());
    end(client, &fate);
}

/// E13: what panicked is called again for the next.
fn what_hears_events_and_parts(template: &Template) {
    let heard = Rc::new(RefCell::new((Vec::new(), Vec::new())));
    let (events, parts) = (Rc::clone(&heard), Rc::clone(&heard));
    let builder = Asker::builder().on_event(move |event: u32| {
        events.borrow_mut().0.push(event);
        assert!(event != 1, "as asked");
    });
    let (client, fate) = Fate::run(builder, template.fork(), ANSWER);
    let on_part = move |part: u32| {
        parts.borrow_mut().1.push(part);
        assert!(part != 2, "as asked");
    };
    let ask = Ask { events: 4, ..WELL };
    let answer = Answer::of(|callback| client.stream(&ask, on_part, callback));
    assert_eq!(panics_until("the answer", || answer.is_settled()), 2);
    answer.get().expect("an answer");
    assert_eq!(heard.take(), (vec![0, 1, 2, 3], vec![0, 1, 2, 3]));
    eventually("nothing is under way", || (client.outstanding() == 0).then_some(()));
    end(client, &fate);
}
