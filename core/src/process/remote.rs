//! Flow 2, with a stretch between: a process at the far end of a command's standard input and output.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;

use super::job::OnRun;
use super::recipe::{Given, Recipe, Then};
use super::{Command, Running};
use crate::wire::{HEADER, Header, Message, Outbox, socket};
use crate::{Error, ErrorKind, Interest, Io, Result};

/// A process between the start of its command and the word that it is ready.
struct Remote {
    socket: RefCell<Option<Rc<OwnedFd>>>,
    orders: RefCell<Outbox>,
    watcher: RefCell<Option<Io>>,
    /// What was heard of the word `Ready`.
    heard: RefCell<Vec<u8>>,
    on_run: RefCell<Option<OnRun>>,
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
        None => orders(&recipe).and_then(|orders| Ok((orders, streams()?))),
    };
    let mut command = command.clone().dies_with_app();
    let remote = Rc::new(Remote {
        socket: RefCell::default(),
        orders: RefCell::default(),
        watcher: RefCell::default(),
        heard: RefCell::default(),
        on_run: RefCell::new(Some(on_run)),
    });
    let failed = match prepared {
        Ok((orders, (near, far))) => {
            remote.orders.replace(orders);
            remote.socket.replace(Some(Rc::new(near)));
            let far = super::Stdio::from(far);
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
    command
        .spawn(move |started| match started {
            Ok(_) => begun.go_on(),
            Err(error) => begun.fail(error),
        })
        .on_exit(move |exit| {
            ended.fail(Error::new(ErrorKind::NoProcess, format!("before it was ready, {exit}")));
        })
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
            Given::LongArg { file, len } => {
                orders.push_parts(Arc::clone(file), *len);
                orders.push(&Message::Arg(b""), 0, Vec::new())?;
            }
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
            // Its end is told with the reason.
            return drop(self.watcher.take());
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

    /// Reads the word: its header, then its body, and not an octet more, as what follows is the worker's.
    fn listen(self: &Rc<Self>) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let mut heard = self.heard.borrow_mut();
        let wanted = match wanted(&heard) {
            Ok(wanted) => wanted,
            Err(error) => {
                drop(heard);
                return self.fail(error);
            }
        };
        let start = heard.len();
        heard.resize(wanted, 0);
        let got = socket::receive_octets(&*socket, &mut heard[start..]);
        heard.truncate(start + got.unwrap_or(0));
        let whole = wanted_is(&heard);
        drop(heard);
        if whole {
            drop(self.watcher.take());
            let remote = Rc::clone(self);
            crate::queue().post(move || remote.deliver());
        } else if got != Err(Errno::AGAIN) && got.unwrap_or(0) == 0 {
            // Its end is told with the reason.
            drop(self.watcher.take());
        }
    }

    fn deliver(&self) {
        let socket = self.socket.take().and_then(Rc::into_inner);
        if let (Some(socket), Some(on_run)) = (socket, self.on_run.take()) {
            on_run(Ok(socket.into()));
        }
    }

    fn fail(&self, error: Error) {
        drop((self.watcher.take(), self.socket.take()));
        if let Some(on_run) = self.on_run.take() {
            on_run(Err(error));
        }
    }
}

/// How long the word is, as far as that is known by what was heard of it.
fn wanted(heard: &[u8]) -> Result<usize> {
    let Some(header) = heard.first_chunk::<HEADER>() else { return Ok(HEADER) };
    let stranger = || {
        let said = String::from_utf8_lossy(header).into_owned();
        let message =
            format!("the far end of the command is no process of tine's: it says {said:?}");
        Error::new(ErrorKind::Protocol, message)
    };
    let header = Header::decode(header).map_err(|_| stranger())?;
    if header.code != Message::READY {
        return Err(stranger());
    }
    Ok(HEADER + header.inline())
}

fn wanted_is(heard: &[u8]) -> bool {
    heard.len() >= HEADER && wanted(heard).is_ok_and(|wanted| wanted == heard.len())
}
