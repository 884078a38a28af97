//! Workers that have many requests at a time, and a queue of their own.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tine::rpc::{self, Client, Error, Responder};
use tine::{Cause, Sandbox, Shared, SharedMut, Template, Worker};
use tine_tests::rpc::{Answer, Fate, call};
use tine_tests::told::eventually;
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        answers_in_any_order,
        parts_and_events_of_many_at_a_time,
        panics_and_requests_left_unanswered,
        cancelled_while_it_is_kept,
        cancelled_while_the_worker_takes_no_more,
        a_client_dropped_while_requests_are_kept,
        a_callback_of_the_workers_queue_that_panics,
        workers_of_a_worker,
        in_a_sandbox,
    ];
    runner::run(&template, cases)
}

#[derive(Serialize, Deserialize)]
enum Ask {
    /// Keep this request until the one with that number is asked to be answered.
    Keep(u32),
    /// Answer a kept one, and then this.
    Answer(u32),
    Parts(u32),
    Panic,
    Drop,
    /// Answer when this is cancelled.
    UntilCancelled,
    /// Answer after a while, whatever else is asked.
    Later(u64),
    /// Panic in a callback of the queue.
    PanicLater,
}

thread_local! {
    static KEPT: RefCell<Vec<(u32, Responder<u32>)>> = const { RefCell::new(Vec::new()) };
}

fn keep(number: u32, responder: Responder<u32>) {
    KEPT.with_borrow_mut(|kept| kept.push((number, responder)));
}

fn answer(responder: Responder<u32>, number: u32) {
    responder.answer(Ok::<_, String>(number));
}

fn answer_kept(number: u32) {
    let kept = KEPT.with_borrow_mut(|kept| {
        kept.iter().position(|kept| kept.0 == number).map(|place| kept.remove(place).1)
    });
    answer(kept.expect("it was kept"), number);
}

tine::entry!(JUGGLE = juggle);
fn juggle(worker: Worker) -> tine::Result<()> {
    rpc::serve_async(worker, handle)
}

fn handle(ask: Ask, responder: Responder<u32>) {
    match ask {
        Ask::Keep(number) => keep(number, responder),
        Ask::Answer(number) => {
            answer_kept(number);
            answer(responder, number);
        }
        Ask::Parts(count) => tine::queue().post(move || {
            for number in 0..count {
                responder.part(&number).and_then(|()| responder.event(&number)).expect("an app");
            }
            answer(responder, count);
        }),
        Ask::Panic => panic!("as asked"),
        Ask::Drop => drop(responder),
        Ask::UntilCancelled => {
            let events = responder.events();
            responder.on_cancel(move || {
                events.send(&77_u32).expect("an app");
                answer_kept(u32::MAX);
            });
            keep(u32::MAX, responder);
        }
        Ask::Later(millis) => {
            tine::queue().after(Duration::from_millis(millis), || answer(responder, 1)).detach();
        }
        Ask::PanicLater => {
            tine::queue().post(|| panic!("in the queue"));
            keep(0, responder);
        }
    }
}

type Asker = Client<Ask, u32>;

fn run(template: &Template) -> (Asker, Rc<Fate>, Rc<RefCell<Vec<u32>>>) {
    let events = Rc::new(RefCell::new(Vec::new()));
    let hears = Rc::clone(&events);
    let builder = Client::builder().on_event(move |event: u32| hears.borrow_mut().push(event));
    let (client, fate) = Fate::run(builder, template.fork(), JUGGLE);
    (client, fate, events)
}

fn end(client: Asker, fate: &Fate) {
    drop(client);
    let (error, exit) = fate.end();
    assert!(error.is_none() && exit.success(), "{error:?} {exit}");
}

/// F27: the last one first.
fn answers_in_any_order(template: &Template) {
    let (client, fate, _) = run(template);
    let order = Rc::new(RefCell::new(Vec::new()));
    let ask = |ask: Ask| {
        let order = Rc::clone(&order);
        Answer::of(|told| {
            client.call(&ask, move |answer| {
                order.borrow_mut().push(*answer.as_ref().expect("a number"));
                told(answer);
            })
        })
    };
    let kept: Vec<_> = (0..10).map(|number| ask(Ask::Keep(number))).collect();
    let asked: Vec<_> = (0..10).rev().map(|number| ask(Ask::Answer(number))).collect();
    for (number, (kept, asked)) in (0..).zip(kept.iter().zip(asked.iter().rev())) {
        assert_eq!(
            (kept.get().expect("a number"), asked.get().expect("a number")),
            (number, number)
        );
    }
    let expected = (0..10).rev().flat_map(|number| [number, number]);
    assert_eq!(*order.borrow(), expected.collect::<Vec<_>>());
    end(client, &fate);
}

/// F27: each call's parts are its own; events are in order with them.
fn parts_and_events_of_many_at_a_time(template: &Template) {
    let (client, fate, events) = run(template);
    let heard: Vec<Rc<RefCell<Vec<u32>>>> = (0..5).map(|_| Rc::default()).collect();
    let answers: Vec<_> = (0..5)
        .map(|call| {
            let (hears, events) = (Rc::clone(&heard[call]), Rc::clone(&events));
            let before = 100 * call;
            let on_part = move |part: u32| {
                assert_eq!(events.borrow().len(), before + part as usize);
                hears.borrow_mut().push(part);
            };
            Answer::of(|told| client.stream(&Ask::Parts(100), on_part, told))
        })
        .collect();
    for (answer, heard) in answers.iter().zip(&heard) {
        assert_eq!(answer.get().expect("an end"), 100);
        assert_eq!(*heard.borrow(), (0..100).collect::<Vec<_>>());
    }
    end(client, &fate);
}

/// F27: those who ask are told, and the worker lives on.
fn panics_and_requests_left_unanswered(template: &Template) {
    let (client, fate, _) = run(template);
    let kept = call(&client, &Ask::Keep(1));
    let panicked = call(&client, &Ask::Panic).get().expect_err("as asked");
    let Error::Panicked { message, place } = &panicked else { panic!("{panicked}") };
    assert!(message == "as asked" && place.contains("rpc_async.rs:"), "{panicked}");
    let dropped = call(&client, &Ask::Drop).get().expect_err("nobody answers");
    assert!(dropped.to_string().contains("unanswered"), "{dropped}");
    assert!(!kept.is_settled());
    call(&client, &Ask::Answer(1)).get().expect("a number");
    assert_eq!(kept.get().expect("a number"), 1);
    end(client, &fate);
}

/// F27, B4: the worker hears of it, and the app of nothing more.
fn cancelled_while_it_is_kept(template: &Template) {
    let (client, fate, events) = run(template);
    let endless = call(&client, &Ask::UntilCancelled);
    call(&client, &Ask::Later(0)).get().expect("a number");
    assert!(!endless.is_settled());
    endless.call.cancel();
    assert!(matches!(endless.get(), Err(Error::Cancelled)));
    eventually("the worker has heard of it", || (*events.borrow() == [77]).then_some(()));
    eventually("it has answered", || (client.outstanding() == 0).then_some(()));
    end(client, &fate);
}

tine::entry!(ONE_AT_A_TIME = one_at_a_time);
fn one_at_a_time(worker: Worker) -> tine::Result<()> {
    rpc::Server::new(worker).concurrent(1).serve_async(handle)
}

/// F27: the one in hand hears of it, and those behind it are not begun, or answered in their turn.
fn cancelled_while_the_worker_takes_no_more(template: &Template) {
    let (client, fate) = Fate::run(Asker::builder(), template.fork(), ONE_AT_A_TIME);
    call(&client, &Ask::Later(0)).get().expect("a number");
    let endless = call(&client, &Ask::UntilCancelled);
    let behind = call(&client, &Ask::UntilCancelled);
    let last = call(&client, &Ask::Later(0));
    tine::queue().dispatch().expect("a queue");
    behind.call.cancel();
    endless.call.cancel();
    assert_eq!(last.get().expect("a number"), 1);
    assert!(endless.is_settled() && behind.is_settled());
    let rest: Vec<_> = (0..5).map(|_| call(&client, &Ask::Later(1))).collect();
    end(client, &fate);
    assert!(rest.iter().all(|answer| answer.get().is_ok()));
}

/// F27: the worker ends when it has answered them.
fn a_client_dropped_while_requests_are_kept(template: &Template) {
    let (client, fate, _) = run(template);
    let later: Vec<_> = (0..5).map(|n| call(&client, &Ask::Later(20 - 4 * n))).collect();
    end(client, &fate);
    assert!(later.iter().all(|answer| answer.is_settled()));
}

/// F27: it is the worker's end, with text.
fn a_callback_of_the_workers_queue_that_panics(template: &Template) {
    let (client, fate, _) = run(template);
    let error = call(&client, &Ask::PanicLater).get().expect_err("it has ended");
    let Error::Ended(exit) = &error else { panic!("{error}") };
    assert!(
        matches!(exit.cause(), Cause::Panicked { message, .. } if message == "in the queue"),
        "{exit}"
    );
    fate.end();
}

tine::entry!(DELEGATE = delegate);
/// Has a worker of its own answer.
fn delegate(worker: Worker) -> tine::Result<()> {
    let own = Rc::new(Asker::run(Template::exec()?.fork(), JUGGLE));
    rpc::serve_async(worker, move |millis: u64, responder: Responder<u32>| {
        own.call(&Ask::Later(millis), move |answer| responder.answer(answer));
    })
}

/// F22: a worker is an app too.
fn workers_of_a_worker(template: &Template) {
    let (client, fate) = Fate::run(Client::<u64, u32>::builder(), template.fork(), DELEGATE);
    let answers = [call(&client, &1), call(&client, &0)];
    assert!(answers.iter().all(|answer| answer.get().expect("a number") == 1));
    drop(client);
    assert!(fate.end().1.success());
}

tine::entry!(DRAW = draw);
fn draw(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |octets: usize, caller| {
        caller.event(&0_u32)?;
        let mut drawn = SharedMut::new(octets)?;
        drawn.fill(1);
        drawn.share()
    })
}

/// B2, B7: the decoder's sandbox leaves what serving needs, sync or async.
fn in_a_sandbox(template: &Template) {
    let process = || template.fork().sandbox(&Sandbox::decoder());
    let (client, fate) = Fate::run(Asker::builder(), process(), JUGGLE);
    assert_eq!(call(&client, &Ask::Later(1)).get().expect("a number"), 1);
    end(client, &fate);
    let (client, fate) = Fate::run(Client::<usize, Shared>::builder(), process(), DRAW);
    let drawn = call(&client, &(1 << 20)).get().expect("memory");
    assert!(drawn.len() == 1 << 20 && drawn.iter().all(|octet| *octet == 1));
    assert!(client.posture().is_some());
    drop(client);
    assert!(fate.end().1.success());
}
