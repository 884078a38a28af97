//! F9, F11, F12 and rule 4: workers heard of through this loop.

use super::trial::Log;
use super::{Trial, behaviours};
use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tine::{Cause, Exit, Interest, Io, Worker};

behaviours!("F9 F11":
    a_worker_answers_and_its_exit_is_told,
    many_workers_answer_at_once,
    each_way_to_end_is_told_once,
    the_end_of_its_socket_is_the_end_of_the_worker,
    nothing_is_called_inside_the_call_that_asks,
);

tine::entry!(ECHO = echo);
tine::entry!(FAIL = fail);
tine::entry!(WAIT = wait);

/// Answers with the argument that it was sent.
fn echo(mut worker: Worker) -> tine::Result<()> {
    let argument = worker.take_arg()?;
    worker.socket().write_all(&argument)?;
    Ok(())
}

fn fail(_: Worker) -> Result<(), &'static str> {
    Err("as it should")
}

/// Reads until the app closes its end.
fn wait(worker: Worker) -> tine::Result<()> {
    let mut rest = Vec::new();
    worker.into_socket().read_to_end(&mut rest)?;
    Ok(())
}

/// What was heard of a worker.
#[derive(Default, Clone)]
struct Heard {
    answer: Rc<RefCell<Vec<u8>>>,
    socket: Rc<RefCell<Option<Io>>>,
    exits: Rc<RefCell<Vec<Exit>>>,
    ended: Rc<Cell<bool>>,
}

impl Heard {
    /// Takes the socket, reads from it when there is something, and notes its end.
    fn listen(&self, socket: UnixStream) {
        let (answer, ended, own) = (self.answer.clone(), self.ended.clone(), self.socket.clone());
        let watcher = tine::queue().io(socket, Interest::READABLE, move |mut socket, _| {
            let mut octets = [0; 64];
            match socket.read(&mut octets) {
                Ok(count) if count > 0 => answer.borrow_mut().extend(&octets[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // The end; or a reset, from one that was killed before it had read its orders.
                Ok(_) | Err(_) => {
                    ended.set(true);
                    drop(own.take());
                }
            }
        });
        self.socket.replace(Some(watcher.expect("a watcher")));
    }

    /// Starts a worker, and hears of it.
    fn start(trial: &Trial<'_>, entry: tine::Entry, argument: &str) -> (Heard, tine::Running) {
        let heard = Heard::default();
        let (here, exits) = (heard.clone(), Rc::clone(&heard.exits));
        let process = trial.template().fork().send_arg(argument);
        let running = process.run(entry, move |socket| here.listen(socket.expect("a worker")));
        (heard, running.on_exit(move |exit| exits.borrow_mut().push(exit)))
    }

    fn is_over(&self) -> bool {
        self.ended.get() && !self.exits.borrow().is_empty()
    }

    fn cause(&self) -> Cause {
        let exits = self.exits.borrow();
        assert_eq!(exits.len(), 1, "told once");
        exits[0].cause().clone()
    }
}

pub(super) fn a_worker_answers_and_its_exit_is_told(trial: &mut Trial<'_>) {
    trial.attach(&tine::queue());
    let (heard, _running) = Heard::start(trial, ECHO, "an answer");
    trial.until("a worker's answer and exit", || heard.is_over());
    assert_eq!(*heard.answer.borrow(), b"an answer");
    assert_eq!(heard.cause(), Cause::Returned);
}

fn many_workers_answer_at_once(trial: &mut Trial<'_>) {
    trial.attach(&tine::queue());
    let started: Vec<_> = (0..50)
        .map(|number| {
            let argument = format!("answer {number}");
            (Heard::start(trial, ECHO, &argument).0, argument)
        })
        .collect();
    trial.until("fifty workers", || started.iter().all(|(heard, _)| heard.is_over()));
    for (heard, argument) in started {
        assert_eq!(*heard.answer.borrow(), argument.as_bytes());
        assert_eq!(heard.cause(), Cause::Returned);
    }
}

fn each_way_to_end_is_told_once(trial: &mut Trial<'_>) {
    trial.attach(&tine::queue());
    let (failed, _) = Heard::start(trial, FAIL, "");
    let (killed, running) = Heard::start(trial, WAIT, "");
    running.kill(libc::SIGKILL).expect("a worker to be");
    trial.until("two ends", || failed.is_over() && killed.is_over());
    trial.turns_in(Duration::from_millis(10));
    assert_eq!(failed.cause(), Cause::Failed("as it should".into()));
    assert!(matches!(killed.cause(), Cause::Killed { signal: libc::SIGKILL, .. }));
}

fn the_end_of_its_socket_is_the_end_of_the_worker(trial: &mut Trial<'_>) {
    trial.attach(&tine::queue());
    let (heard, _running) = Heard::start(trial, WAIT, "");
    trial.until("a worker", || heard.socket.borrow().is_some());
    let socket = heard.socket.take();
    drop(socket);
    trial.until("its end", || !heard.exits.borrow().is_empty());
    assert_eq!(heard.cause(), Cause::Returned);
}

fn nothing_is_called_inside_the_call_that_asks(trial: &mut Trial<'_>) {
    trial.attach(&tine::queue());
    let log = Log::default();
    let (ran, ended) = (log.say("ran"), log.say("ended"));
    let refused = trial.template().fork().run("no such entry", move |_| ran());
    let refused = refused.on_exit(move |_| ended());
    assert_eq!(log.len(), 0);
    trial.until("the end of what never was", || log.said().contains(&"ended"));
    assert_eq!(log.said(), ["ran", "ended"]);
    drop(refused);
}
