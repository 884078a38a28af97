//! Flow 2: a fresh process reads its orders, up to `Run`.
//!
//! What few processes are ordered is cold, and so kept out of the frames of those that only run: each page of
//! stack that a process touches is its own.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::enter::exit_at_once;
use super::execute::Execution;
use super::items::{Item, Items};
use super::limit::Limit;
use super::prepare;
use crate::wire::socket::{self, Received};
use crate::wire::{HEADER, Header, How, Message, USUAL, Waiting};
use crate::{Error, ErrorKind, Result, Sandbox, sys};

/// What a process does after its orders.
pub(super) enum Then {
    /// Enter the function of this name.
    Run(Vec<u8>),
    /// Serve this link, as a template.
    Serve(OwnedFd),
    /// Become an external program.
    Execute(Box<Execution>),
    /// The app has dropped the handle.
    Leave,
}

/// Why a process does not get through its orders, and how it says so.
pub(super) struct Stopped {
    pub how: How,
    pub text: String,
}

/// Orders on a process's socket. Nothing behind `Run` is read: it is the worker's.
pub(super) struct Orders {
    socket: OwnedFd,
    /// Octets that are known to lie in the socket already.
    waiting: usize,
    /// Octets read and not yet decoded, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    fds: VecDeque<OwnedFd>,
    items: Items,
    /// The beginning of an argument that comes in parts.
    parts: Vec<u8>,
    /// The link that is to be served.
    link: Option<OwnedFd>,
    /// What went wrong before they are followed.
    early: Option<Error>,
}

impl Orders {
    pub fn new(socket: OwnedFd, waiting: Waiting, items: Items) -> Self {
        let (buffer, waiting) = (Vec::with_capacity(USUAL), waiting.octets as usize);
        let (fds, parts, link, early) = Default::default();
        Orders { socket, waiting, buffer, at: 0, fds, items, parts, link, early }
    }

    /// With what was read of them before.
    pub fn begin(mut self, octets: &[u8]) -> Self {
        self.waiting = self.waiting.saturating_sub(octets.len());
        self.buffer.extend_from_slice(octets);
        self
    }

    /// Reads what is known to be there, as much as one call gives.
    pub fn read_ahead(&mut self) {
        if self.waiting > 0 && self.buffer.is_empty() {
            self.early = self.fetch(1).err();
        }
    }

    /// Closes all descriptors but the socket, which becomes descriptor 3, those inherited and those read so far, and
    /// ends with `limit` as this process's own.
    ///
    /// # Errors
    /// The kernel's.
    pub fn keep(self, limit: Limit) -> Result<Orders> {
        let Orders { socket, mut items, fds, mut early, .. } = self;
        let (mut kept, mut came) = (None, Vec::new());
        items.replace_fds(|mut others| {
            let inherited = others.len();
            others.extend(fds);
            let (first, mut others) = sys::descriptors::keep_only(socket, others)?;
            if limit.excludes(first.as_raw_fd() as usize + others.len()) {
                early = Some(too_many());
            }
            (kept, came) = (Some(first), others.split_off(inherited));
            Ok::<_, Error>(others)
        })?;
        limit.restore();
        let socket = kept.ok_or_else(cut_off)?;
        Ok(Orders { socket, items, fds: came.into(), early, ..self })
    }

    /// Carries out orders until one says what to do then.
    pub fn follow(&mut self) -> Result<Then, Stopped> {
        if let Some(error) = self.early.take() {
            return Err(error.into());
        }
        loop {
            let next = self.next()?;
            let Some((header, mut body)) = next else { return Ok(Then::Leave) };
            match Message::decode(header, &body.octets)? {
                // It has led here.
                Message::Begin => (),
                Message::Part(octets) => self.parts.extend(octets),
                Message::Arg(octets) => {
                    let mut arg = std::mem::take(&mut self.parts);
                    arg.extend(octets);
                    self.items.push(Item::Arg(arg));
                }
                Message::Fds => {
                    body.fds.into_iter().for_each(|fd| self.items.push(Item::Fd(fd)));
                }
                Message::Link => {
                    self.link = body.fds.pop();
                    // Before any thread is made here: one that does not block SIGCHLD would swallow it, and
                    // a template hears of its children by it. Only the mask counts, not this descriptor.
                    drop(sys::child_signals());
                }
                Message::Call { function, args } => self.call(function, &args)?,
                Message::Load { path } => {
                    self.load(path, &body.fds.pop().ok_or_else(cut_off)?)?;
                }
                Message::Run { report, entry } => {
                    let before = body.octets.len() - entry.len();
                    let posture = self.confine()?;
                    if report {
                        self.say_ready(&posture)?;
                    }
                    body.octets.drain(..before);
                    return Ok(Then::Run(body.octets));
                }
                Message::Serve => {
                    return self.link.take().map(Then::Serve).ok_or_else(|| cut_off().into());
                }
                Message::Sandbox(octets) => {
                    self.items.sandbox = Some(Box::new(Sandbox::decode(octets)?))
                }
                Message::Execute(order) => {
                    let execution = Execution::new(&order, body.fds)?;
                    return Ok(Then::Execute(Box::new(execution)));
                }
                other => return Err(other.misplaced().into()),
            }
        }
    }

    #[cold]
    fn call(&mut self, function: &[u8], args: &[&[u8]]) -> Result<(), Stopped> {
        let args = args.iter().map(|arg| arg.to_vec()).collect();
        prepare::call(function, &mut self.items, args).map_err(unprepared)?;
        exit_at_once();
        Ok(())
    }

    #[cold]
    fn load(&mut self, path: &[u8], file: &OwnedFd) -> Result<(), Stopped> {
        prepare::load(path, file).map_err(unprepared)?;
        exit_at_once();
        Ok(())
    }

    /// A process that was to serve says over its link why it does not; others have only last words.
    #[cold]
    pub fn refuse_link(&mut self, text: &str) {
        // What went wrong early was met before the order was followed.
        let first = self.buffer[self.at..].first_chunk().and_then(|head| Header::decode(head).ok());
        if first.is_some_and(|first| first.code == Message::LINK) {
            self.link = self.fds.pop_front();
        }
        if let Some(link) = &self.link {
            let refused = Message::Refused { errno: 0, what: text.as_bytes() };
            // An app that is gone will not ask.
            let _ = socket::send(link, &refused.encode(0, 0).0, &[]);
        }
    }

    /// Puts the sandbox on, if there is one; gives its posture in octets.
    fn confine(&mut self) -> Result<Vec<u8>, Stopped> {
        self.items.sandbox.take().map_or_else(|| Ok(Vec::new()), |sandbox| Orders::put_on(&sandbox))
    }

    #[cold]
    fn put_on(sandbox: &Sandbox) -> Result<Vec<u8>, Stopped> {
        let posture = sandbox.apply();
        sandbox
            .check(&posture)
            .map_err(|error| Stopped { how: How::Unconfined, text: error.to_string() })?;
        Ok(posture.encode())
    }

    fn say_ready(&self, posture: &[u8]) -> Result<()> {
        socket::send(&self.socket, &Message::Ready { posture }.encode(0, 0).0, &[])?;
        Ok(())
    }

    /// Gives up the socket and what was sent.
    pub fn into_parts(self) -> (OwnedFd, Items) {
        (self.socket, self.items)
    }

    /// Reads one order; None: the app has closed its end.
    fn next(&mut self) -> Result<Option<(Header, Body)>> {
        let Some(header) = self.header()? else { return Ok(None) };
        let fds = self.descriptors(header)?;
        Ok(Some((header, self.body(header, fds)?)))
    }

    fn header(&mut self) -> Result<Option<Header>> {
        if self.buffer.len() == self.at && self.fetch(HEADER)? == 0 {
            return Ok(None);
        }
        self.ensure(HEADER)?;
        let header = self.buffer[self.at..].first_chunk().ok_or_else(cut_off)?;
        self.at += HEADER;
        Header::decode(header).map(Some)
    }

    fn body(&mut self, header: Header, mut fds: Vec<OwnedFd>) -> Result<Body> {
        if header.long {
            let file = fds.pop().ok_or_else(cut_off)?;
            return Ok(Body { octets: socket::read_long(file, header)?, fds });
        }
        let len = header.inline();
        self.ensure(len)?;
        let end = self.at + len;
        if end < self.buffer.len() {
            let octets = self.buffer[self.at..end].to_vec();
            self.at = end;
            return Ok(Body { octets, fds });
        }
        // The last that was read, and so most often the last at all: the buffer itself is given away.
        let mut octets = std::mem::take(&mut self.buffer);
        octets.drain(..std::mem::take(&mut self.at));
        Ok(Body { octets, fds })
    }

    fn descriptors(&mut self, header: Header) -> Result<Vec<OwnedFd>> {
        let count = usize::from(header.fds);
        if self.fds.len() < count {
            return Err(cut_off());
        }
        Ok(self.fds.drain(..count).collect())
    }

    /// Sees to it that `len` octets wait in the buffer.
    fn ensure(&mut self, len: usize) -> Result<()> {
        while self.buffer.len() - self.at < len {
            if self.fetch(len - (self.buffer.len() - self.at))? == 0 {
                return Err(cut_off());
            }
        }
        Ok(())
    }

    /// Reads once: at least one octet, at most `len` or what is known to be there; 0: the app is gone.
    fn fetch(&mut self, len: usize) -> Result<usize> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + len.max(self.waiting.min(READ_AHEAD)), 0);
        let mut fds = Vec::new();
        let received =
            socket::receive(&self.socket, &mut self.buffer[start..], &mut fds, RecvFlags::empty());
        let Received { octets: got, lost_fds } = received.map_err(unread)?;
        if lost_fds {
            return Err(too_many());
        }
        self.fds.extend(fds);
        self.buffer.truncate(start + got);
        self.waiting = self.waiting.saturating_sub(got);
        Ok(got)
    }
}

/// Octets of orders that are read at once, if so many are known to be there.
const READ_AHEAD: usize = 16 * 1024;

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped { how: How::BadOrders, text: error.to_string() }
    }
}

struct Body {
    octets: Vec<u8>,
    fds: Vec<OwnedFd>,
}

#[cold]
fn unprepared(text: String) -> Stopped {
    Stopped { how: How::Unprepared, text }
}

fn unread(error: Errno) -> Error {
    Error::system("read the orders of a process", error)
}

fn too_many() -> Error {
    unread(Errno::MFILE)
}

fn cut_off() -> Error {
    Error::new(ErrorKind::Protocol, "orders of a process end in the middle")
}
