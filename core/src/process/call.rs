//! Flow 2, from end to end in one call: a worker's whole answer.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use super::{Exit, Process, template};
use crate::{Error, ErrorKind, Interest, Io, Result};

type OnAnswer = Box<dyn FnOnce(Result<Vec<u8>>)>;

/// An answer in the making: it is told when the worker's socket and the worker have ended.
struct Answer {
    octets: RefCell<Vec<u8>>,
    socket: RefCell<Option<Rc<UnixStream>>>,
    reading: RefCell<Option<Io>>,
    /// All that will be read.
    read: Cell<bool>,
    exit: RefCell<Option<Exit>>,
    callback: RefCell<Option<OnAnswer>>,
}

/// Runs an entry in a worker of the [default template](crate::template()) and calls back with its answer.
///
/// The entry is sent `args` (none are `[""; 0]`), and its answer is everything that it writes to its socket until it
/// returns. The callback runs once, on this thread's queue: with the answer, or with how the worker ended instead of
/// returning. However many are asked for, each has a worker of its own at once; a [`Pool`](crate::Pool) bounds them.
///
/// # Examples
/// ```no_run
/// tine::entry!(SUM = sum);
/// fn sum(mut worker: tine::Worker) -> tine::Result<()> {
///     let (a, b) = (worker.take_arg()?, worker.take_arg()?);
///     let sum: u8 = a.iter().chain(&b).sum();
///     std::io::Write::write_all(&mut worker.socket(), &[sum])?;
///     Ok(())
/// }
/// tine::call(SUM, [vec![1, 2], vec![3]], |sum| println!("{sum:?}"));
/// ```
///
/// # Panics
/// As [`queue`](crate::queue()) does, when descriptors run out for this thread's queue.
#[track_caller]
pub fn call<A: Into<Vec<u8>>>(
    entry: impl Into<String>,
    args: impl IntoIterator<Item = A>,
    callback: impl FnOnce(Result<Vec<u8>>) + 'static,
) {
    let template = match template() {
        Ok(template) => template,
        Err(error) => return crate::queue().post(move || callback(Err(error))),
    };
    let process = args.into_iter().fold(template.fork(), |process, arg| process.send_arg(arg));
    answer(process, entry, callback);
}

/// Runs a process and calls back with all that it writes to its socket.
#[track_caller]
pub(crate) fn answer(
    process: Process,
    entry: impl Into<String>,
    callback: impl FnOnce(Result<Vec<u8>>) + 'static,
) {
    let answer = Rc::new(Answer {
        octets: RefCell::default(),
        socket: RefCell::default(),
        reading: RefCell::default(),
        read: Cell::new(false),
        exit: RefCell::default(),
        callback: RefCell::new(Some(Box::new(callback))),
    });
    let (begun, ended) = (Rc::clone(&answer), answer);
    process.run(entry, move |socket| begun.listen(socket)).on_exit(move |exit| {
        ended.exit.replace(Some(exit));
        ended.read_rest();
        ended.settle();
    });
}

impl Answer {
    fn listen(self: &Rc<Self>, socket: Result<UnixStream>) {
        let answer = Rc::clone(self);
        let watching = socket.and_then(|socket| {
            let socket = Rc::new(socket);
            self.socket.replace(Some(Rc::clone(&socket)));
            crate::queue().io(socket, Interest::READABLE, move |_, _| {
                answer.read();
                answer.settle();
            })
        });
        match watching {
            Ok(io) => drop(self.reading.replace(Some(io))),
            Err(error) => self.tell(Err(error)),
        }
    }

    /// Reads once; gives how much there was.
    fn read(&self) -> usize {
        let Some(socket) = self.socket.borrow().clone() else { return 0 };
        let mut buffer = [0; 16 * 1024];
        match (&*socket).read(&mut buffer) {
            Ok(got @ 1..) => {
                self.octets.borrow_mut().extend(&buffer[..got]);
                return got;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
            // A reset is an end like any other: the worker's own end says more.
            Ok(0) | Err(_) => self.has_read(),
        }
        0
    }

    /// The worker has ended, and all that it wrote is there by now. Its socket may stay open, and more come, if it has
    /// left a child that was forked and not executed.
    fn read_rest(&self) {
        let there = self.socket.borrow().as_ref().map(rustix::io::ioctl_fionread);
        let mut there = there.and_then(Result::ok).unwrap_or(0);
        while there > 0 {
            match self.read() as u64 {
                0 => break,
                got => there = there.saturating_sub(got),
            }
        }
        self.has_read();
    }

    fn has_read(&self) {
        drop((self.reading.take(), self.socket.take()));
        self.read.set(true);
    }

    fn settle(&self) {
        if !self.read.get() {
            return;
        }
        let Some(exit) = self.exit.take() else { return };
        if exit.success() {
            self.tell(Ok(self.octets.take()));
        } else {
            self.tell(Err(Error::new(ErrorKind::Failed, exit.to_string())));
        }
    }

    fn tell(&self, answer: Result<Vec<u8>>) {
        if let Some(callback) = self.callback.take() {
            callback(answer);
        }
    }
}
