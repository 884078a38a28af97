//! Flow 2: processes forked ahead, which wait for a request.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use rustix::net::RecvFlags;

use super::enter::{self, Caller};
use super::link::Inherited;
use super::stderr::Stderr;
use crate::entry::Entry;
use crate::wire::{HEADER, Header, Message, Room, Waiting, socket};
use crate::{Result, sys};

/// How long nothing must have been asked for before a spare is made: forking right after one was handed out would
/// hold up the very process that it is to speed up.
const CALM: Duration = Duration::from_millis(1);

/// How long memory must not have been short before spares are made again. While it is, the kernel says so about every
/// two seconds (see [`watch_pressure`]).
const RELIEF: Duration = Duration::from_secs(10);

/// A process that waits for its socket.
pub(super) struct Spare {
    pub pid: i32,
    /// The request goes here; closed, the process leaves.
    pub handoff: OwnedFd,
    pub stderr: Stderr,
}

/// What a spare is given in the end.
pub(super) struct Request {
    pub socket: OwnedFd,
    /// Where the spare says that it has it.
    pub link: Option<OwnedFd>,
    pub id: u64,
    pub waiting: Waiting,
}

/// Until when no spares are made.
#[derive(Clone, Copy)]
enum Rest {
    /// A fork was refused, or one has ended: before the next request.
    Request,
    /// Memory was short.
    Relief(Instant),
}

/// The spares of a template.
#[derive(Default)]
pub(super) struct Spares {
    wanted: usize,
    resting: Option<Rest>,
    ready: Vec<Spare>,
    /// When something was asked for last.
    asked: Option<Instant>,
    pressure: Option<OwnedFd>,
}

impl Spares {
    /// How long the template should wait for something else to do before it makes one. None: there are enough.
    pub fn patience(&self) -> Option<Duration> {
        if self.ready.len() >= self.wanted {
            return None;
        }
        let rest = match self.resting {
            None => Duration::ZERO,
            Some(Rest::Request) => return None,
            Some(Rest::Relief(moment)) => moment.saturating_duration_since(Instant::now()),
        };
        let asked = self.asked.map_or(CALM, |asked| asked.elapsed());
        Some(CALM.saturating_sub(asked).max(rest))
    }

    /// Sets how many there should be; gives a descriptor to watch for [`EventFlags::PRI`] from now on.
    ///
    /// [`EventFlags::PRI`]: rustix::event::epoll::EventFlags::PRI
    pub fn want(&mut self, count: usize) -> Option<BorrowedFd<'_>> {
        self.wanted = count;
        self.resting = None;
        self.ready.truncate(count);
        if count == 0 || self.pressure.is_some() {
            return None;
        }
        self.pressure = watch_pressure();
        self.pressure.as_ref().map(AsFd::as_fd)
    }

    pub fn add(&mut self, spare: Spare) {
        self.ready.push(spare);
    }

    /// Tells all of them the app's state, which has changed; one that cannot be told is given up, and all are when it
    /// is so long that it would take a file.
    pub fn tell(&mut self, state: &Inherited) {
        if self.ready.is_empty() {
            return;
        }
        let mut room = Room::default();
        let directory = state.directory();
        let environment = state.environment();
        let message = Message::State(state.message(&environment));
        if message.encode_to(&mut room, 0, directory.iter().len()).is_some() {
            return self.discard();
        }
        self.ready.retain(|spare| {
            socket::send(&spare.handoff, room.octets(), directory.as_slice()).is_ok()
        });
    }

    /// Closes all of them, which lets the processes leave.
    pub fn discard(&mut self) {
        self.ready.clear();
    }

    /// Makes no more before the next request.
    pub fn rest(&mut self) {
        if !matches!(self.resting, Some(Rest::Relief(_))) {
            self.resting = Some(Rest::Request);
        }
    }

    /// Tells whether memory was short in the last seconds, once the kernel has said so. What it says first to who has
    /// just begun to watch may be of long ago (seen with Linux 6.18).
    pub fn is_memory_short(&self) -> bool {
        let mut text = [0; 64];
        let file = self.pressure.as_ref();
        let read = file.and_then(|file| rustix::io::pread(file, &mut text, 0).ok()).unwrap_or(0);
        // `some avg10=0.00 avg60=…`, of 100
        !text[..read].starts_with(b"some avg10=0.00 ")
    }

    /// Gives all of them up, and makes no more before memory has not been short for a while.
    pub fn relieve(&mut self) {
        self.discard();
        self.resting = Some(Rest::Relief(Instant::now() + RELIEF));
    }

    /// A spare has ended unused. Whatever it died of, the next one may as well: there is none before a request.
    pub fn ended(&mut self, pid: i32) {
        let ready = self.ready.len();
        self.ready.retain(|spare| spare.pid != pid);
        if self.ready.len() < ready {
            self.rest();
        }
    }

    /// Hands a request to a spare, the oldest first, and gives its id and standard error; None: there is no spare.
    ///
    /// A spare that is killed before it has taken the request takes it along, and the app, which hears of its end and
    /// had not heard of its beginning, asks again.
    pub fn hand_over(
        &mut self,
        socket: &OwnedFd,
        caller: Caller<'_>,
        waiting: Waiting,
    ) -> Option<(i32, Stderr)> {
        if let Some(Rest::Request) = self.resting {
            self.resting = None;
        }
        self.asked = (self.wanted > 0).then(Instant::now);
        while !self.ready.is_empty() {
            let spare = self.ready.remove(0);
            let mut room = Room::default();
            Message::Fork(waiting).encode_to(&mut room, caller.id, 2);
            // One that is gone takes nothing: its end is reaped like any other's.
            if socket::send(&spare.handoff, room.octets(), &[socket.as_fd(), caller.link]).is_ok() {
                return Some((spare.pid, spare.stderr));
            }
        }
        None
    }
}

/// Asks to be told when tasks have stalled on memory for 200 ms within 2 s.
///
/// The kernel's pressure stall information (Documentation/accounting/psi.rst); a window of whole 2 s needs
/// no privilege since Linux 6.5. None where the kernel has it not or refuses.
fn watch_pressure() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/pressure/memory", flags, Mode::empty()).ok()?;
    rustix::io::write(&file, b"some 200000 2000000\0").ok()?;
    Some(file)
}

/// In a spare: does all that its request will have it do, but for the program's part.
///
/// What code and which pages that takes is then at hand when the request comes: each would be a page fault.
pub(super) fn rehearse() {
    // Where it does not work, the first time will be the real one.
    let Ok((near, far)) = socket::link_pair() else { return };
    let mut room = Room::default();
    Message::Fork(Waiting::default()).encode_to(&mut room, 0, 2);
    if socket::send(&near, room.octets(), &[near.as_fd(), near.as_fd()]).is_ok()
        && let Ok(Some(Request { link: Some(link), id, .. })) = await_request(&far)
    {
        Caller { link: link.as_fd(), id }.tell(true);
    }
    let _ = enter::catch(|| ());
    Entry::make_ready();
    sys::title::show(*b"worker", b"");
}

/// In a spare: waits for its request, and takes over what the app's state becomes meanwhile. None: it is not needed.
pub(super) fn await_request(handoff: &OwnedFd) -> Result<Option<Request>> {
    loop {
        let mut fds = Vec::with_capacity(2);
        let (mut few, mut many) = ([0; HEADER + 6], Vec::new());
        let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
        let (_, length) = retry_on_intr(|| rustix::net::recv(handoff, &mut few, flags))?;
        // A request is short, a state is not.
        let buffer = if length > few.len() {
            many.resize(length, 0);
            &mut many[..]
        } else {
            &mut few[..]
        };
        let got = socket::receive(handoff, buffer, &mut fds, RecvFlags::empty())?;
        let Some((header, body)) = buffer[..got.octets].split_first_chunk() else {
            return Ok(None);
        };
        let header = Header::decode(header)?;
        match (Message::decode(header, body)?, fds.pop(), fds.pop()) {
            (Message::Fork(waiting), link, Some(socket)) => {
                return Ok(Some(Request { socket, link, id: header.id, waiting }));
            }
            (Message::State(state), directory, None) if !got.lost_fds => {
                Inherited::new(state, directory, None).apply();
            }
            (other, ..) => return Err(other.misplaced()),
        }
    }
}
