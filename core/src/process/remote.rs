//! Flow 2, with a stretch between: a process at the far end of a command's standard input and output.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Signal;

use super::job::{Job, OnRun};
use super::recipe::{Given, Recipe, Then};
use super::{Cause, Command, Exit, Running, Stdio};
use crate::wire::{HEADER, Header, Message, Outbox, socket};
use crate::{Error, ErrorKind, Interest, Io, Result, Timer};

/// A process between the start of its command and the word that it is ready.
struct Remote {
    socket: RefCell<Option<Rc<OwnedFd>>>,
    orders: RefCell<Outbox>,
    watcher: RefCell<Option<Io>>,
    /// What was heard of the words `Begin` and `Ready`.
    heard: RefCell<Vec<u8>>,
    /// How long the first of them may take.
    deadline: Duration,
    /// Runs until then.
    patience: RefCell<Option<Timer>>,
    /// The command's.
    job: RefCell<Weak<Job>>,
    on_run: RefCell<Option<OnRun>>,
}

/// Octets that are told of what is no word.
const STRANGE: usize = 200;

/// What reading its socket has come to.
enum Heard {
    Nothing,
    /// A part of the word, perhaps of none.
    Part,
    Word,
    End,
}

/// Starts the command and has the recipe's process run at its far end.
pub(super) fn run(
    command: &Command,
    recipe: Recipe,
    broken: Option<Arc<Error>>,
    on_run: OnRun,
) -> Running {
    let prepared = match broken {
        Some(error) => Err(Error::again(&error)),
        None if matches!(command.standard[2], Stdio::Piped) => {
            let message =
                "standard error of a remote process cannot be piped: nobody is given its other end";
            Err(Error::new(ErrorKind::Misuse, message))
        }
        None => orders(&recipe).and_then(|orders| Ok((orders, streams()?))),
    };
    let deadline = command.far_deadline();
    let mut command = command.clone().dies_with_app();
    let remote = Rc::new(Remote {
        socket: RefCell::default(),
        orders: RefCell::default(),
        watcher: RefCell::default(),
        heard: RefCell::default(),
        deadline,
        patience: RefCell::default(),
        job: RefCell::default(),
        on_run: RefCell::new(Some(on_run)),
    });
    let failed = match prepared {
        Ok((orders, (near, far))) => {
            remote.orders.replace(orders);
            remote.socket.replace(Some(Rc::new(near)));
            let far = Stdio::from(far);
            command = command.stdin(far.clone()).stdout(far);
            None
        }
        Err(error) => Some(error),
    };
    let (begun, ended) = (Rc::clone(&remote), Rc::clone(&remote));
    if let Some(error) = failed {
        // Nothing is started: a command that cannot be is the quickest to say so, once, in a dispatch.
        return command.refuse(error, move |error| begun.fail(error));
    }
    let running = command
        .spawn(move |started| match started {
            Ok(_) => {
                begun.be_patient();
                begun.go_on();
            }
            Err(error) => begun.fail(error),
        })
        .on_exit(move |exit| ended.ended(&exit));
    remote.job.replace(running.job());
    running
}

/// The command's end does not block either way; programs at it expect one that does.
fn streams() -> Result<(OwnedFd, OwnedFd)> {
    let failed = |error| Error::system("make a socket for a remote process", error);
    let (near, far) = socket::process_pair().map_err(failed)?;
    rustix::io::ioctl_fionbio(&far, false).map_err(failed)?;
    Ok((near, far))
}

/// The orders as a stream can carry them: nothing but octets.
fn orders(recipe: &Recipe) -> Result<Outbox> {
    let mut orders = Outbox::default();
    for given in &recipe.given {
        match given {
            Given::Arg(octets) => orders.push(&Message::Arg(octets), 0, Vec::new())?,
            Given::LongArg { octets, len } => orders.push_parts(octets.clone(), *len),
            Given::Call { function, args } => {
                let args = args.iter().map(Vec::as_slice).collect();
                let call = Message::Call { function: function.as_bytes(), args };
                orders.push(&call, 0, Vec::new())?;
            }
            Given::Sandbox(octets) => orders.push(&Message::Sandbox(octets), 0, Vec::new())?,
            Given::Fd(_) => return Err(refused("a descriptor")),
            Given::Load { path, .. } => return Err(refused(&format!("the plugin {path}"))),
        }
    }
    if let Then::Run(entry) = &recipe.then {
        let run = Message::Run { report: true, entry: entry.as_bytes() };
        orders.push(&run, 0, Vec::new())?;
    }
    Ok(orders)
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Misuse, format!("{what} cannot be sent to the far end of a command"))
}

impl Remote {
    /// The command runs: writes the orders as there is room, then waits for the word.
    fn go_on(self: &Rc<Self>) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        if self.orders.borrow_mut().flush(&*socket).is_err() {
            // Nobody will read them. What was said instead can be read still, and the end is told with the reason.
            drop(self.orders.take());
        }
        let interest =
            if self.orders.borrow().is_empty() { Interest::READABLE } else { Interest::BOTH };
        let remote = Rc::downgrade(self);
        let watching = crate::queue().io(socket, interest, move |_, ready| {
            let Some(remote) = remote.upgrade() else { return };
            if ready.is_readable() {
                remote.listen();
            } else {
                remote.go_on();
            }
        });
        match watching {
            Ok(io) => drop(self.watcher.replace(Some(io))),
            Err(error) => self.fail(error),
        }
    }

    /// Runs the deadline until the far end has said that it is there, or what can say no more has ended. What the far end
    /// does in between may take as long as it does in a process here.
    fn be_patient(self: &Rc<Self>) {
        let (remote, since) = (Rc::downgrade(self), Instant::now());
        let timer = crate::queue().after(self.deadline, move || {
            if let Some(remote) = remote.upgrade() {
                remote.waited_out(since);
            }
        });
        self.patience.replace(Some(timer));
    }

    fn waited_out(self: &Rc<Self>, since: Instant) {
        drop(self.patience.take());
        // It was this thread that did not run, as when the program was stopped (Ctrl-Z), or did not listen.
        if since.elapsed() >= 2 * self.deadline || self.has_answer() {
            return self.be_patient();
        }
        if let Some(job) = self.job.borrow().upgrade() {
            // One that has ended just now is told of as that.
            let _ = job.kill(Signal::KILL.as_raw());
        }
        let (name, within) = (self.name(), self.deadline);
        let said = self.what_it_said();
        let message = format!("the far end of {name} did not answer within {within:?}{said}");
        self.fail(Error::new(ErrorKind::NoProcess, message));
    }

    /// What was heard that is no word yet, for errors: perhaps a question.
    fn what_it_said(&self) -> String {
        match &self.heard.borrow()[..] {
            [] => String::new(),
            heard => format!("; it said {:?}", String::from_utf8_lossy(heard)),
        }
    }

    /// The command's, for errors.
    fn name(&self) -> String {
        let job = self.job.borrow().upgrade();
        job.map_or_else(|| "the command".into(), |job| job.entry().to_owned())
    }

    /// Whether something was said that this thread has not heard yet.
    fn has_answer(&self) -> bool {
        let listens = self.watcher.borrow().is_some();
        let Some(socket) = self.socket.borrow().clone().filter(|_| listens) else { return false };
        let mut socket = [PollFd::new(&*socket, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut socket, Some(&at_once)) == Ok(1)
    }

    fn listen(self: &Rc<Self>) {
        match self.hear() {
            Ok(Heard::Nothing | Heard::Part) => (),
            Ok(Heard::Word) => {
                drop(self.watcher.take());
                let remote = Rc::clone(self);
                crate::queue().post(move || remote.deliver());
            }
            // The command's end is told with the reason. It comes at once, or by the deadline.
            Ok(Heard::End) => {
                drop(self.watcher.take());
                if self.patience.borrow().is_none() {
                    self.be_patient();
                }
            }
            Err(error) => {
                self.fail(error);
                // A command may go on though its input has ended.
                self.be_patient();
            }
        }
    }

    /// Reads of the word what is there: its header, then its body, and not an octet more, as what follows is the
    /// worker's.
    fn hear(&self) -> Result<Heard> {
        let Some(socket) = self.socket.borrow().clone() else { return Ok(Heard::End) };
        let mut heard = self.heard.borrow_mut();
        if wanted_is(&heard) {
            return Ok(self.understand(&mut heard));
        }
        let wanted = self::wanted(&heard)?;
        let got = read_up_to(&socket, &mut heard, wanted);
        if self::wanted(&heard).is_err() {
            // Whatever it is, the end of the line says more.
            let _ = read_up_to(&socket, &mut heard, STRANGE);
            return Err(stranger(&heard));
        }
        match got {
            // It left something of ours unread, which is said before what it had said itself (unix(7)).
            Err(Errno::CONNRESET) => Ok(Heard::Part),
            Err(Errno::AGAIN) => Ok(Heard::Nothing),
            Ok(0) | Err(_) => Ok(Heard::End),
            Ok(_) if wanted_is(&heard) => Ok(self.understand(&mut heard)),
            Ok(_) => Ok(Heard::Part),
        }
    }

    /// Hears a whole word: that a process of tine's is there, or the last.
    fn understand(&self, heard: &mut Vec<u8>) -> Heard {
        drop(self.patience.take());
        match code(heard) {
            Some(Message::BEGIN) => {
                heard.clear();
                Heard::Part
            }
            _ => Heard::Word,
        }
    }

    /// The command has ended: it may have said its word just before.
    fn ended(&self, exit: &Exit) {
        // It shares the socket, which the program is to have.
        drop((self.watcher.take(), self.patience.take()));
        loop {
            match self.hear() {
                Ok(Heard::Part) => (),
                Ok(Heard::Word) => return self.deliver(),
                Ok(Heard::Nothing | Heard::End) => break,
                Err(error) => {
                    return self
                        .fail(Error::new(error.kind(), format!("{error}; {}", account(exit))));
                }
            }
        }
        let message = format!("before it was ready, {}{}", account(exit), self.what_it_said());
        self.fail(Error::new(ErrorKind::NoProcess, message));
    }

    fn deliver(&self) {
        let socket = self.socket.take().and_then(Rc::into_inner);
        if let (Some(socket), Some(on_run)) = (socket, self.on_run.take()) {
            on_run(Ok(socket.into()));
        }
    }

    fn fail(&self, error: Error) {
        drop((self.watcher.take(), self.socket.take(), self.patience.take(), self.orders.take()));
        if let Some(on_run) = self.on_run.take() {
            on_run(Err(error));
        }
    }
}

/// Reads once, until so many octets are heard.
fn read_up_to(socket: &OwnedFd, heard: &mut Vec<u8>, len: usize) -> rustix::io::Result<usize> {
    let start = heard.len();
    heard.resize(len, 0);
    let got = socket::receive_octets(socket, &mut heard[start..]);
    heard.truncate(start + got.unwrap_or(0));
    got
}

/// How a command has ended, and its own words of why, unless a process of tine's has told that.
fn account(exit: &Exit) -> String {
    match (exit.cause(), exit.stderr().trim()) {
        (Cause::Exited(_) | Cause::Killed { .. }, words) if !words.is_empty() => {
            format!("{exit}: {words}")
        }
        _ => exit.to_string(),
    }
}

fn stranger(heard: &[u8]) -> Error {
    let said = String::from_utf8_lossy(heard);
    let message = format!("the far end of the command is no process of tine's: it says {said:?}");
    Error::new(ErrorKind::Protocol, message)
}

/// How long the word is, as far as that is known by what was heard of it; an error: that is no word.
fn wanted(heard: &[u8]) -> Result<usize> {
    let Some(header) = heard.first_chunk::<HEADER>() else { return Ok(HEADER) };
    let header = Header::decode(header)?;
    if ![Message::BEGIN, Message::READY].contains(&header.code) {
        return Err(stranger(heard));
    }
    Ok(HEADER + header.inline())
}

/// Which word it is, if its header was heard.
fn code(heard: &[u8]) -> Option<u8> {
    heard
        .first_chunk::<HEADER>()
        .and_then(|header| Header::decode(header).ok())
        .map(|word| word.code)
}

fn wanted_is(heard: &[u8]) -> bool {
    heard.len() >= HEADER && wanted(heard).is_ok_and(|wanted| wanted == heard.len())
}
