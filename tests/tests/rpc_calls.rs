//! Requests, and everything that can become of them.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tine::rpc::{self, Client, Error, Format};
use tine::{Cause, ErrorKind, Template, Worker};
use tine_tests::rpc::{Answer, Fate, call};
use tine_tests::told::eventually;
use tine_tests::{cases, native, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        requests_are_answered_in_order,
        callbacks_completions_and_await,
        errors_and_panics_of_a_handler,
        events_in_order_with_replies,
        a_reply_in_parts,
        init_and_done,
        a_format_that_people_can_read,
        another_build,
        an_entry_that_serves_something_else,
        a_client_dropped_with_calls_under_way,
        a_worker_killed_with_calls_under_way,
        a_template_killed_with_calls_under_way,
        a_worker_that_cannot_come_to_be,
        a_cancelled_call,
        a_callback_that_panics,
        a_worker_that_retires,
        a_client_inherited_through_a_fork,
    ];
    runner::run(&template, cases)
}

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Twice(u32),
    Fail(String),
    Panic,
    Event(u32),
    Count(u32),
    Wait,
    Exit(i32),
    Retire,
}

tine::entry!(ANSWER = answer);
fn answer(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |ask: Ask, caller| -> Result<u32, String> {
        match ask {
            Ask::Twice(number) => return Ok(2 * number),
            Ask::Fail(text) => return Err(text),
            Ask::Panic => panic!("as asked"),
            Ask::Event(number) => caller.event(&number),
            Ask::Count(to) => (0..to).try_for_each(|part| caller.part(&part)),
            Ask::Wait => {
                while !caller.is_cancelled() {
                    std::thread::yield_now();
                }
                Ok(())
            }
            Ask::Exit(code) => std::process::exit(code),
            Ask::Retire => caller.retire(),
        }
        .map_err(|error| error.to_string())?;
        Ok(0)
    })
}

type Asker = Client<Ask, u32>;

fn run(template: &Template) -> (Asker, Rc<Fate>) {
    Fate::run(Client::builder(), template.fork(), ANSWER)
}

/// Drops the client, and sees that the worker ends well.
fn end(client: Asker, fate: &Fate) {
    drop(client);
    let (error, exit) = fate.end();
    assert!(error.is_none() && exit.success(), "{error:?} {exit}");
    fate.destroyed();
}

/// F27: in the order in which they were made, from the first, which waits for the worker to be.
fn requests_are_answered_in_order(template: &Template) {
    let (client, fate) = run(template);
    let order = Rc::new(RefCell::new(Vec::new()));
    let answers: Vec<_> = (0..1000)
        .map(|number| {
            let order = Rc::clone(&order);
            Answer::of(|told| {
                client.call(&Ask::Twice(number), move |answer| {
                    order.borrow_mut().push(number);
                    told(answer);
                })
            })
        })
        .collect();
    assert_eq!(client.outstanding(), 1000);
    for (number, answer) in (0..).zip(&answers) {
        assert_eq!(answer.get().expect("a number"), 2 * number);
    }
    assert_eq!(*order.borrow(), (0..1000).collect::<Vec<_>>());
    assert_eq!(client.outstanding(), 0);
    end(client, &fate);
}

/// F27: three forms.
fn callbacks_completions_and_await(template: &Template) {
    let (client, fate) = run(template);
    assert_eq!(call(&client, &Ask::Twice(1)).get().expect("a number"), 2);
    assert_eq!(client.ask(&Ask::Twice(2)).recv().expect("a number"), 4);
    let failed = client.ask(&Ask::Fail("no".into())).recv().expect_err("as asked");
    assert_eq!((failed.kind(), failed.to_string()), (ErrorKind::Failed, "no".into()));
    let source = std::error::Error::source(&failed).and_then(|source| source.downcast_ref());
    assert!(matches!(source, Some(Error::Failed(text)) if text == "no"));
    let asked = client.ask(&Ask::Twice(3));
    let sum = async move { asked.await.expect("a number") + 1 };
    let driven = futures_lite::future::or(sum, async {
        loop {
            tine::queue().turn(None).expect("a queue");
            futures_lite::future::yield_now().await;
        }
    });
    assert_eq!(futures_lite::future::block_on(driven), 7);
    end(client, &fate);
}

/// F27: with text and place, and the worker lives on.
fn errors_and_panics_of_a_handler(template: &Template) {
    let (client, fate) = run(template);
    let pid = call(&client, &Ask::Twice(1)).get().map(|_| client.pid());
    let failed = call(&client, &Ask::Fail("no such thing".into())).get().expect_err("as asked");
    assert!(matches!(&failed, Error::Failed(text) if text == "no such thing"), "{failed}");
    let panicked = call(&client, &Ask::Panic).get().expect_err("as asked");
    let Error::Panicked { message, place } = &panicked else { panic!("{panicked}") };
    assert!(message == "as asked" && place.contains("rpc_calls.rs:"), "{panicked}");
    assert!(failed.is_answer() && panicked.is_answer());
    assert_eq!(call(&client, &Ask::Twice(2)).get().map(|_| client.pid()).ok(), pid.ok());
    end(client, &fate);
}

/// F27: an event that was sent before a reply is heard before it.
fn events_in_order_with_replies(template: &Template) {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let events = Rc::clone(&heard);
    let builder = Client::<Ask, u32>::builder()
        .on_event(move |number: u32| events.borrow_mut().push(format!("event {number}")));
    let (client, fate) = Fate::run(builder, template.fork(), ANSWER);
    for number in 0..10 {
        let replies = Rc::clone(&heard);
        client.call(&Ask::Event(number), move |_| {
            replies.borrow_mut().push(format!("reply {number}"));
        });
    }
    end(client, &fate);
    let expected =
        (0..10).flat_map(|number| [format!("event {number}"), format!("reply {number}")]);
    assert_eq!(*heard.borrow(), expected.collect::<Vec<_>>());
}

/// F27: parts, and then the end; those of a call that wants none are dropped.
fn a_reply_in_parts(template: &Template) {
    let (client, fate) = run(template);
    let parts = Rc::new(RefCell::new(Vec::new()));
    let hears = Rc::clone(&parts);
    let on_part = move |part: u32| hears.borrow_mut().push(part);
    let answer = Answer::of(|told| client.stream(&Ask::Count(1000), on_part, told));
    assert_eq!(answer.get().expect("the end"), 0);
    assert_eq!(*parts.borrow(), (0..1000).collect::<Vec<_>>());
    assert_eq!(call(&client, &Ask::Count(10)).get().expect("the end"), 0);
    end(client, &fate);
}

tine::entry!(STEPS = steps);
fn steps(mut worker: Worker) -> tine::Result<()> {
    let mut log = std::fs::File::from(worker.take_fd()?);
    let start: u32 =
        String::from_utf8_lossy(&worker.take_arg()?).parse().map_err(tine::Error::other)?;
    log.write_all(b"init ")?;
    let mut sum = start;
    rpc::serve(worker, |add: u32, _| -> std::io::Result<u32> {
        sum += add;
        log.write_all(b"request ")?;
        Ok(sum)
    })?;
    Ok(log.write_all(b"done")?)
}

/// F27: what an entry does before it serves, and after the app has dropped its client.
fn init_and_done(template: &Template) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let process = template.fork().send_fd(writer).send_arg("40");
    let (client, fate) = Fate::run(Client::<u32, u32>::builder(), process, STEPS);
    assert_eq!(call(&client, &1).get().expect("a sum"), 41);
    assert_eq!(call(&client, &1).get().expect("a sum"), 42);
    drop(client);
    assert!(fate.end().1.success());
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("a log");
    assert_eq!(log, "init request request done");
    // One that cannot begin: everyone is told why.
    let (client, fate) = Fate::run(Client::<u32, u32>::builder(), template.fork(), STEPS);
    let error = call(&client, &1).get().expect_err("nothing was sent");
    let Error::Ended(exit) = &error else { panic!("{error}") };
    assert!(matches!(exit.cause(), Cause::Failed(_)), "{exit}");
    assert!(matches!(fate.end().0, Some(Error::Ended(_))));
}

/// F22: an error, and what is the app's stays as it is.
fn a_client_inherited_through_a_fork(template: &Template) {
    let (client, fate) = run(template);
    call(&client, &Ask::Twice(1)).get().expect("a number");
    let child = native::fork(|| {
        let answer = call(&client, &Ask::Twice(2));
        let error = answer.get().expect_err("the app's");
        client.close();
        let Error::Refused(why) = error else { native::leave(2) };
        native::leave(if why.kind() == ErrorKind::WrongProcess { 7 } else { 3 });
    });
    assert_eq!(native::wait(child).0, 7 << 8);
    assert_eq!(call(&client, &Ask::Twice(3)).get().expect("a number"), 6);
    end(client, &fate);
}

/// F27: the worker takes the format that the app has chosen.
fn a_format_that_people_can_read(template: &Template) {
    let builder = Client::<Ask, u32>::builder().format(Format::Json);
    let (client, fate) = Fate::run(builder, template.fork(), ANSWER);
    assert_eq!(call(&client, &Ask::Twice(21)).get().expect("a number"), 42);
    end(client, &fate);
}

/// F27: both sides are named, and nothing is answered.
fn another_build(template: &Template) {
    let builder = Client::<Ask, u32>::builder().build("1.3");
    let (client, fate) = Fate::run(builder, template.fork(), ANSWER);
    let error = call(&client, &Ask::Twice(1)).get().expect_err("another build");
    assert!(matches!(error, Error::Lost(_)));
    let text = error.to_string();
    assert!(text.contains("\"1.3\" here") && text.contains("::answer of build \"tine"), "{text}");
    assert_eq!(fate.end().0.expect("the same").to_string(), text);
    assert!(!client.is_open());
}

tine::entry!(SHOUT = shout);
fn shout(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(b"This is no typed message, but text.")?;
    worker.socket().read(&mut [0; 1]).map(drop)
}

/// F27: as with another build.
fn an_entry_that_serves_something_else(template: &Template) {
    let (client, fate) = Fate::run(Client::<Ask, u32>::builder(), template.fork(), SHOUT);
    let error = call(&client, &Ask::Twice(1)).get().expect_err("no typed message");
    assert!(error.to_string().contains("is no message"), "{error}");
    drop(client);
    fate.end();
    // Other types: the first reply tells.
    let (client, fate) = Fate::run(Client::<Ask, String>::builder(), template.fork(), ANSWER);
    let error = call(&client, &Ask::Twice(100)).get().expect_err("no string");
    assert!(error.to_string().contains("is no alloc::string::String"), "{error}");
    assert!(fate.end().0.is_some());
}

/// F27: it makes no more requests; those that were made are answered, and then the worker ends.
fn a_client_dropped_with_calls_under_way(template: &Template) {
    let (client, fate) = run(template);
    let answers: Vec<_> = (0..100).map(|number| call(&client, &Ask::Twice(number))).collect();
    client.close();
    let late = call(&client, &Ask::Twice(1)).get().expect_err("no more");
    assert!(matches!(&late, Error::Refused(error) if error.kind() == ErrorKind::Misuse), "{late}");
    end(client, &fate);
    for (number, answer) in (0..).zip(&answers) {
        assert!(answer.is_settled(), "before the worker's end is told");
        assert_eq!(answer.get().expect("a number"), 2 * number);
    }
    // Before there is a worker, and with nothing to answer.
    let (client, fate) = run(template);
    end(client, &fate);
}

/// F27, B4: each call is told of the worker's end, once; and so are those that come after.
fn a_worker_killed_with_calls_under_way(template: &Template) {
    let (client, fate) = run(template);
    call(&client, &Ask::Twice(1)).get().expect("a number");
    let answers: Vec<_> = (0..10)
        .map(|number| if number == 5 { Ask::Wait } else { Ask::Twice(number) })
        .map(|ask| call(&client, &ask))
        .collect();
    answers[4].get().expect("a number");
    client.kill(libc::SIGKILL).expect("a worker");
    for answer in &answers[5..] {
        let error = answer.get().expect_err("killed");
        assert!(
            matches!(&error, Error::Ended(exit) if exit.signal() == Some(libc::SIGKILL)),
            "{error}"
        );
    }
    let (error, exit) = fate.end();
    assert!(matches!(error, Some(Error::Ended(_))) && exit.pid() == client.pid().expect("had one"));
    assert!(matches!(call(&client, &Ask::Twice(1)).get(), Err(Error::Ended(_))));
    // Before there is a worker.
    let (client, fate) = run(template);
    let answer = call(&client, &Ask::Twice(1));
    client.kill(libc::SIGKILL).expect("a worker to be");
    assert!(matches!(answer.get(), Err(Error::Ended(_) | Error::Lost(_))));
    assert_eq!(fate.end().1.signal(), Some(libc::SIGKILL));
    let (client, fate) = run(template);
    let code = call(&client, &Ask::Exit(7)).get().expect_err("it has left");
    assert!(matches!(&code, Error::Ended(exit) if exit.code() == Some(7)), "{code}");
    fate.end();
}

/// B4: it takes the worker along.
fn a_template_killed_with_calls_under_way(_: &Template) {
    let template = Template::exec().expect("a template");
    let (client, fate) = run(&template);
    call(&client, &Ask::Twice(1)).get().expect("a number");
    let answers: Vec<_> = (0..10).map(|_| call(&client, &Ask::Wait)).collect();
    let pid = template.pid().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    rustix::process::kill_process(pid.expect("is there"), rustix::process::Signal::KILL)
        .expect("lives");
    for answer in &answers {
        let error = answer.get().expect_err("killed");
        assert!(
            matches!(&error, Error::Ended(exit) if *exit.cause() == Cause::TemplateDied),
            "{error}"
        );
    }
    fate.end();
}

/// F27: every call is told why.
fn a_worker_that_cannot_come_to_be(template: &Template) {
    let builder = || Client::<Ask, u32>::builder();
    let (client, fate) = Fate::run(builder(), template.fork(), "no::such::entry");
    let error = call(&client, &Ask::Twice(1)).get().expect_err("no entry");
    assert!(error.to_string().contains("no such entry"), "{error}");
    fate.end();
    assert!(!fate.is_destroyed(), "the client is there");
    drop(client);
    fate.destroyed();
    let process = template.fork().call("no::such::function", ["x"]);
    let (client, fate) = Fate::run(builder(), process, ANSWER);
    let error = call(&client, &Ask::Twice(1)).get().expect_err("no function");
    assert!(matches!(&error, Error::Lost(why) if why.kind() == ErrorKind::NoProcess), "{error}");
    fate.error();
    fate.end();
    drop(client);
    fate.destroyed();
}

/// F27: told at once; the handler can hear of it; one that waits in the worker is not begun.
fn a_cancelled_call(template: &Template) {
    let (client, fate) = run(template);
    let endless = call(&client, &Ask::Wait);
    let waiting = call(&client, &Ask::Wait);
    let later = call(&client, &Ask::Twice(4));
    waiting.call.cancel();
    endless.call.cancel();
    endless.call.cancel();
    assert!(!endless.call.is_pending());
    assert!(matches!(endless.get(), Err(Error::Cancelled)));
    assert!(matches!(waiting.get(), Err(Error::Cancelled)));
    assert_eq!(later.get().expect("a number"), 8);
    later.call.cancel();
    // Its answer is waited for, which is an error if it had not begun.
    let asked = call(&client, &Ask::Wait);
    asked.call.ask_to_end();
    assert!(matches!(asked.get(), Ok(0) | Err(Error::Failed(_))));
    assert_eq!(client.outstanding(), 0);
    end(client, &fate);
}

/// Rule 2: what came behind it is heard all the same.
fn a_callback_that_panics(template: &Template) {
    let (client, fate) = run(template);
    let before = call(&client, &Ask::Twice(1));
    client.call(&Ask::Twice(2), |_| std::panic::resume_unwind(Box::new("as asked")));
    let after = call(&client, &Ask::Twice(3));
    let mut panics = 0;
    while !after.is_settled() {
        let turn = || tine::queue().turn(Some(tine_tests::LONG)).expect("a queue");
        match std::panic::catch_unwind(turn) {
            Ok(callbacks) => assert!(callbacks > 0, "nothing came in time"),
            Err(_) => panics += 1,
        }
    }
    assert!(panics == 1 && before.is_settled());
    assert_eq!(after.get().expect("a number"), 6);
    end(client, &fate);
}

/// F28: it says that it wants no more, answers what it has, and ends when the client is dropped.
fn a_worker_that_retires(template: &Template) {
    let (ready, retired) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let (serves, hears) = (Rc::clone(&ready), Rc::clone(&retired));
    let builder = Client::<Ask, u32>::builder()
        .on_ready(move || serves.set(true))
        .on_retire(move || hears.set(true));
    let (client, fate) = Fate::run(builder, template.fork(), ANSWER);
    eventually("it serves, and was asked for nothing yet", || ready.get().then_some(()));
    let (first, second) = (call(&client, &Ask::Retire), call(&client, &Ask::Twice(1)));
    first.get().expect("retired");
    assert!(retired.get() && client.is_retiring() && client.is_open());
    second.get().expect("a number");
    end(client, &fate);
}
