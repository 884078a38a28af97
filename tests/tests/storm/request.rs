//! One request, of any kind, and what is told of it.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tine::{Exit, Interest, Io, Items, Process, Stdio, Template, Worker};
use tine_tests::workers::{ITEMS, RETURN};

use super::blows::Chance;

/// What was asked for, and heard.
pub struct Request {
    what: String,
    /// What it is to write, if it comes that far.
    expected: Vec<u8>,
    /// How often `run`'s callback ran, and whether with a process.
    told: Cell<u32>,
    ran: Cell<bool>,
    refusal: RefCell<String>,
    exits: Cell<u32>,
    exit: RefCell<Option<Exit>>,
    written: RefCell<Vec<u8>>,
    reading: RefCell<Option<Io>>,
}

tine::function!(PREPARE = prepare);
fn prepare(_: &mut Items, args: Vec<Vec<u8>>) -> Result<(), String> {
    if args.is_empty() { Err("as told".into()) } else { Ok(()) }
}

tine::entry!(BUSY = be_busy);
fn be_busy(worker: Worker) -> std::io::Result<()> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(5) {
        std::thread::yield_now();
    }
    worker.socket().write_all(b"done")
}

impl Request {
    /// Asks for something; also for what cannot be.
    pub fn make(template: &Template, number: usize, chance: &mut Chance) -> Rc<Request> {
        match chance.below(16) {
            0 => Request::run("fresh", template.fresh().send_arg("x"), b"a\x01\0\0\0\0\0\0\0x"),
            1 => Request::run("called", template.fork().call(PREPARE, ["x"]), b""),
            2 => Request::run("fails", template.fork().call(PREPARE, [""; 0]), b""),
            3 => {
                let prepared = template.fork().send_arg("x").call(PREPARE, ["x"]);
                Request::run("copy", prepared.fork(), b"a\x01\0\0\0\0\0\0\0x")
            }
            4 => Request::run("none", template.fork().load("/no/such/plugin.so"), b""),
            5 => Request::command("echo", template.command("echo").arg(number.to_string()), number),
            6 => Request::command("missing", template.command("/no/such/program"), number),
            7 | 8 => Request::items(template, number, chance),
            9 | 10 => {
                let request = Request::new("busy", b"done".to_vec());
                request.begin(template.fork(), BUSY.into());
                request
            }
            _ => Request::returning(template),
        }
    }

    fn new(what: &str, expected: Vec<u8>) -> Rc<Request> {
        Rc::new(Request {
            what: what.into(),
            expected,
            told: Cell::new(0),
            ran: Cell::new(false),
            refusal: RefCell::default(),
            exits: Cell::new(0),
            exit: RefCell::default(),
            written: RefCell::default(),
            reading: RefCell::default(),
        })
    }

    fn returning(template: &Template) -> Rc<Request> {
        let request = Request::new("return", Vec::new());
        request.begin(template.fork(), RETURN.into());
        request
    }

    fn run(what: &str, process: Process, expected: &[u8]) -> Rc<Request> {
        let request = Request::new(what, expected.to_vec());
        request.begin(process, ITEMS.into());
        request
    }

    /// Arguments of all lengths and some descriptors.
    fn items(template: &Template, number: usize, chance: &mut Chance) -> Rc<Request> {
        let (mut process, mut expected) = (template.fork(), Vec::new());
        for _ in 0..chance.below(6) {
            let octets = if chance.one_in(4) {
                let Ok((reader, mut writer)) = std::io::pipe() else { continue };
                let octets = number.to_string().into_bytes();
                let written = writer.write_all(&octets);
                written.expect("room in a pipe");
                process = process.send_fd(OwnedFd::from(reader));
                expected.push(b'f');
                octets
            } else {
                let len = [0, 1, 100, 5_000, 70_000][chance.below(5)];
                let octets = vec![number as u8; len];
                process = process.send_arg(octets.clone());
                expected.push(b'a');
                octets
            };
            expected.extend((octets.len() as u64).to_le_bytes());
            expected.extend(octets);
        }
        Request::run("items", process, &expected)
    }

    fn begin(self: &Rc<Self>, process: Process, entry: String) {
        let (run, exit) = (Rc::clone(self), Rc::clone(self));
        process
            .run(entry, move |socket| run.started(socket.map(OwnedFd::from)))
            .on_exit(move |told| exit.ended(told));
    }

    fn command(what: &str, command: tine::Command, number: usize) -> Rc<Request> {
        let request = Request::new(what, format!("{number}\n").into());
        let (run, exit) = (Rc::clone(&request), Rc::clone(&request));
        command
            .stdout(Stdio::Piped)
            .dies_with_app()
            .spawn(move |spawned| run.started(spawned.map(|s| s.stdout.expect("a pipe"))))
            .on_exit(move |told| exit.ended(told));
        request
    }

    fn started(self: &Rc<Self>, from: tine::Result<OwnedFd>) {
        self.told.set(self.told.get() + 1);
        match from {
            Ok(from) => {
                self.ran.set(true);
                self.read(from.into());
            }
            Err(error) => *self.refusal.borrow_mut() = error.to_string(),
        }
    }

    fn read(self: &Rc<Self>, from: File) {
        let request = Rc::clone(self);
        let reading = tine::queue().io(from, Interest::READABLE, move |mut from: &File, _| {
            let mut octets = [0; 16 * 1024];
            match from.read(&mut octets) {
                Ok(got @ 1..) => request.written.borrow_mut().extend(&octets[..got]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Ok(0) | Err(_) => drop(request.reading.take()),
            }
        });
        *self.reading.borrow_mut() = Some(reading.expect("a descriptor of this program"));
    }

    fn ended(&self, exit: Exit) {
        self.exits.set(self.exits.get() + 1);
        *self.exit.borrow_mut() = Some(exit);
    }

    /// Whether all is told that will be: all that was written, too.
    pub fn settled(&self) -> bool {
        let ended = self.exits.get() > 0 && self.reading.borrow().is_none();
        self.told.get() > 0 && (!self.ran.get() || ended)
    }

    /// Whether it succeeded.
    ///
    /// # Panics
    /// When something was told twice, or is not right.
    pub fn check(&self) -> bool {
        assert_eq!(self.told.get(), 1, "{self:?}");
        assert!(self.exits.get() == 1 || !self.ran.get(), "{self:?}");
        let exit = self.exit.borrow();
        let succeeded = self.ran.get() && exit.as_ref().is_some_and(Exit::success);
        if succeeded {
            assert_eq!(*self.written.borrow(), self.expected, "{self:?}");
            assert!(!["fails", "none", "missing"].contains(&&*self.what), "{self:?}");
        }
        succeeded
    }

    pub fn refusal(&self) -> String {
        self.refusal.borrow().clone()
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (told, ran, exits) = (self.told.get(), self.ran.get(), self.exits.get());
        let (refusal, exit) = (self.refusal.borrow(), self.exit.borrow());
        let exit = exit.as_ref().map(ToString::to_string);
        let reading = self.reading.borrow().is_some();
        write!(
            f,
            "{}: told {told}, ran {ran}, {refusal:?}, {exits} exits, {exit:?}, reading {reading}",
            self.what
        )
    }
}
