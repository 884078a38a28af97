//! Flow 2: processes forked ahead, which wait for a request.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::net::RecvFlags;

use super::enter;
use super::stderr::Stderr;
use crate::wire::{HEADER, Header, Message, Room, Waiting, socket};
use crate::{Result, sys};

/// How long nothing must have been asked for before a spare is made: forking right after one was handed out would
/// hold up the very process that it is to speed up.
const CALM: Duration = Duration::from_millis(1);

/// A process that waits for its socket.
pub(super) struct Spare {
    pub pid: i32,
    /// The request goes here; closed, the process leaves.
    pub handoff: OwnedFd,
    pub stderr: Stderr,
}

/// A request on its way to a spare, kept until that has taken it: one that was killed before did not.
pub(super) struct Handed {
    /// The spare says here that it has the request.
    handoff: OwnedFd,
    pub socket: OwnedFd,
    pub waiting: Waiting,
}

impl Handed {
    fn new(handoff: OwnedFd, socket: OwnedFd, waiting: Waiting) -> Handed {
        Handed { handoff, socket, waiting }
    }

    pub fn handoff(&self) -> BorrowedFd<'_> {
        self.handoff.as_fd()
    }

    /// Tells whether the spare has taken it. That its end is closed is no sign: so it is when it was killed.
    pub fn taken(&self) -> bool {
        matches!(rustix::net::recv(&self.handoff, &mut [0; 1], RecvFlags::DONTWAIT), Ok((1.., _)))
    }
}

/// The spares of a template.
#[derive(Default)]
pub(super) struct Spares {
    wanted: usize,
    /// Memory is short, or a fork was refused: none are made before the next request.
    resting: bool,
    ready: Vec<Spare>,
    /// When something was asked for last.
    asked: Option<Instant>,
    pressure: Option<OwnedFd>,
}

impl Spares {
    /// How long the template should wait for something else to do before it makes one. None: there are enough.
    pub fn patience(&self) -> Option<Duration> {
        let lacks = !self.resting && self.ready.len() < self.wanted;
        let asked = || self.asked.map_or(CALM, |asked| asked.elapsed());
        lacks.then(|| CALM.saturating_sub(asked()))
    }

    /// Sets how many there should be; gives a descriptor to watch for [`EventFlags::PRI`] from now on.
    ///
    /// [`EventFlags::PRI`]: rustix::event::epoll::EventFlags::PRI
    pub fn want(&mut self, count: usize) -> Option<BorrowedFd<'_>> {
        self.wanted = count;
        self.resting = false;
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

    /// Closes all of them, which lets the processes leave.
    pub fn discard(&mut self) {
        self.ready.clear();
    }

    /// Makes no more before the next request.
    pub fn rest(&mut self) {
        self.resting = true;
    }

    /// A spare has ended unused.
    pub fn ended(&mut self, pid: i32) {
        self.ready.retain(|spare| spare.pid != pid);
    }

    /// Hands a request to a spare, the oldest first: gives its id and standard error, and the request as it is on
    /// its way. The socket comes back when there is no spare.
    pub fn hand_over(
        &mut self,
        process: OwnedFd,
        waiting: Waiting,
    ) -> Result<(i32, Stderr, Handed), OwnedFd> {
        self.resting = false;
        self.asked = (self.wanted > 0).then(Instant::now);
        while !self.ready.is_empty() {
            let spare = self.ready.remove(0);
            let mut room = Room::default();
            Message::Fork(waiting).encode_to(&mut room, 0, 1);
            // One that was killed takes nothing: its end is reaped like any other's.
            if socket::send(&spare.handoff, room.octets(), &[process.as_fd()]).is_ok() {
                let Spare { pid, stderr, handoff } = spare;
                return Ok((pid, stderr, Handed::new(handoff, process, waiting)));
            }
        }
        Err(process)
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
    Message::Fork(Waiting::default()).encode_to(&mut room, 0, 1);
    if socket::send(&near, room.octets(), &[near.as_fd()]).is_ok()
        && let Ok(Some((process, _))) = await_request(&far)
    {
        let _ = sys::descriptors::move_to(process, far);
    }
    let _ = enter::catch(|| ());
    sys::title::show(*b"worker", b"");
}

/// In a spare: waits for its request. None: it is not needed.
pub(super) fn await_request(handoff: &OwnedFd) -> Result<Option<(OwnedFd, Waiting)>> {
    let mut fds = Vec::new();
    let mut buffer = [0; HEADER + 6];
    let got = socket::receive(handoff, &mut buffer, &mut fds, RecvFlags::empty())?;
    // From here on the request is this process's, and its end is told whatever becomes of it.
    socket::send(handoff, &[0], &[])?;
    let (Some(process), Some((header, body))) =
        (fds.pop(), buffer[..got.octets].split_first_chunk())
    else {
        return Ok(None);
    };
    match Message::decode(Header::decode(header)?, body)? {
        Message::Fork(waiting) => Ok(Some((process, waiting))),
        other => Err(other.misplaced()),
    }
}
