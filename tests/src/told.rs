//! What tine tells of one worker: that it runs or cannot, and how it ended; each at most once, in order.

use std::cell::RefCell;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::{Entry, Error, Exit, Process, Running, Template};

use crate::processes;

/// The one generous deadline of everything that is waited for.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A worker that was run, and what was told of it.
pub struct Told {
    running: Running,
    heard: Rc<RefCell<Heard>>,
}

#[derive(Default)]
struct Heard {
    words: Vec<&'static str>,
    socket: Option<UnixStream>,
    refusal: Option<Error>,
    exit: Option<Exit>,
}

impl Told {
    /// Runs a process and listens.
    ///
    /// # Panics
    /// When a callback runs before the call returns.
    pub fn run(process: Process, entry: impl Into<String>) -> Told {
        let heard = Rc::new(RefCell::new(Heard::default()));
        let (run, exit) = (Rc::clone(&heard), Rc::clone(&heard));
        let running = process
            .run(entry, move |socket| run.borrow_mut().ran(socket))
            .on_exit(move |told| exit.borrow_mut().ended(told));
        assert_eq!(heard.borrow().words, Vec::<&str>::new(), "told inside the call");
        Told { running, heard }
    }

    /// The handle.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// All that was told so far, in order: `socket`, `refusal`, `exit`.
    pub fn words(&self) -> Vec<&'static str> {
        self.heard.borrow().words.clone()
    }

    /// Waits until it is told whether the process came to be; gives its socket, blocking.
    ///
    /// # Panics
    /// When it did not, or nothing is told in time.
    pub fn socket(&self) -> UnixStream {
        self.settled();
        let mut heard = self.heard.borrow_mut();
        assert!(heard.refusal.is_none(), "no process: {}", heard.refusal.as_ref().expect("is"));
        let socket = heard.socket.take().expect("taken once only");
        socket.set_nonblocking(false).expect("a socket of this process");
        // The deadline of tests that read: a worker that says nothing must not hold them.
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
        socket
    }

    /// Waits until it is told that the process could not come to be; gives the reason.
    ///
    /// # Panics
    /// When it did, or nothing is told in time.
    pub fn refusal(&self) -> Error {
        self.settled();
        self.heard.borrow_mut().refusal.take().expect("the process came to be")
    }

    /// Waits until `run`'s callback has run; tells whether with a socket.
    pub fn settled(&self) -> bool {
        eventually("run's callback", || self.heard.borrow().words.first().copied()) == "socket"
    }

    /// Waits for the account of the end.
    pub fn exit(&self) -> Exit {
        eventually("the exit report", || self.heard.borrow().exit.clone())
    }

    /// Waits for the account of the end, if `run`'s callback had a socket; else None.
    pub fn exit_if_ran(&self) -> Option<Exit> {
        self.settled().then(|| self.exit())
    }

    /// All that the worker writes to its socket before it closes it.
    ///
    /// # Panics
    /// As [`Told::socket`], and when the worker goes silent.
    pub fn answer(&self) -> Vec<u8> {
        let mut answer = Vec::new();
        self.socket().read_to_end(&mut answer).expect("an answer in time");
        answer
    }
}

impl Heard {
    fn ran(&mut self, told: Result<UnixStream, Error>) {
        assert_eq!(self.words, Vec::<&str>::new(), "run's callback comes first and once");
        match told {
            Ok(socket) => {
                self.words.push("socket");
                self.socket = Some(socket);
            }
            Err(error) => {
                self.words.push("refusal");
                self.refusal = Some(error);
            }
        }
    }

    fn ended(&mut self, exit: Exit) {
        assert!(
            self.words.len() == 1,
            "the end comes once, after run's callback: {:?}",
            self.words
        );
        self.words.push("exit");
        self.exit = Some(exit);
    }
}

/// Turns this thread's queue until `found` finds something.
///
/// What other processes do to themselves (a descriptor closed, a zombie reaped) wakes nobody here, so
/// it is looked at again at least every millisecond.
///
/// # Panics
/// When the deadline has passed, with a picture of all processes.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let queue = tine::queue();
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        let picture = || format!("{}\n{}", tine::overview(), processes::picture());
        assert!(begun.elapsed() < DEADLINE, "waited for: {what}\n{}", picture());
        queue.turn(Some(Duration::from_millis(1))).expect("a queue that works");
    }
}

/// Runs a worker with these arguments to its end, which is told once, after its socket.
///
/// # Panics
/// When anything else is told.
pub fn end_of(template: &Template, entry: Entry, args: &[&str]) -> Exit {
    let process = args.iter().fold(template.fork(), |process, arg| process.send_arg(*arg));
    let told = Told::run(process, entry);
    let exit = told.exit();
    assert_eq!(told.words(), ["socket", "exit"]);
    assert_eq!(exit.entry(), entry.name());
    exit
}
