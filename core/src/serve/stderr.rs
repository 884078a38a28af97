//! Flow 2: standard error of workers, and the last words in it.
//!
//! A worker's descriptor 2 is a pipe in packet mode (pipe(2), `O_DIRECT`): the template reads it, keeps
//! the end of it for the exit report and passes it on to its own standard error. Each worker has its
//! own, so that none can speak for another.

use std::io::{self, IsTerminal as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::LazyLock;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::wire::{How, LastWords};

/// Octets of standard error that an exit report keeps.
const TAIL: usize = 4096;

/// Packets that a pipe has room for, and one more, unless somebody has made it larger (pipe(7)).
const PIPE: usize = 17;

/// Room for one packet.
pub(super) struct Packet([MaybeUninit<u8>; LastWords::MAX]);

impl Default for Packet {
    fn default() -> Self {
        Packet([MaybeUninit::uninit(); LastWords::MAX])
    }
}

/// The template's side of one worker's standard error.
pub(super) struct Stderr {
    pipe: OwnedFd,
    /// The worker's end, until the worker has it.
    writer: Option<OwnedFd>,
    voice: Voice,
    /// At most 2 × [`TAIL`], so that cutting it is rare.
    tail: Vec<u8>,
    /// Something was written before it.
    cut: bool,
    last_words: Vec<u8>,
    nodded: bool,
}

/// What reading a pipe came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing more for now.
    Dry,
    /// Every writer is gone.
    End,
    /// The limit was reached first.
    More,
}

impl Stderr {
    /// Makes the pipe: the reader does not wait, the writer does.
    pub fn new() -> io::Result<Stderr> {
        let (pipe, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT)?;
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let voice = Voice { nods: true, ..Voice::of(&writer)? };
        let (tail, last_words) = Default::default();
        let writer = Some(writer);
        Ok(Stderr { pipe, writer, voice, tail, cut: false, last_words, nodded: false })
    }

    /// The worker's end, for one that is about to be forked; then it is to be [taken](Stderr::take_writer).
    pub fn voice(&self) -> Option<(BorrowedFd<'_>, Voice)> {
        self.writer.as_ref().map(|writer| (writer.as_fd(), self.voice))
    }

    /// Gives the worker's end away.
    pub fn take_writer(&mut self) -> Option<OwnedFd> {
        self.writer.take()
    }

    pub fn pipe(&self) -> impl AsFd + '_ {
        &self.pipe
    }

    /// Reads at most `packets` packets.
    pub fn read(&mut self, packets: usize, packet: &mut Packet) -> Read {
        for _ in 0..packets {
            match rustix::io::read(&self.pipe, &mut packet.0[..]) {
                Ok(([], _)) => return Read::End,
                Ok((packet, _)) => self.take(packet),
                Err(Errno::INTR) => (),
                // Anything but "nothing there" cannot be mended by reading again.
                Err(Errno::AGAIN) => return Read::Dry,
                Err(_) => return Read::End,
            }
        }
        Read::More
    }

    /// Reads what the pipe can hold: all that a worker that has ended wrote, however fast others write on.
    pub fn read_last(&mut self, packet: &mut Packet) -> Read {
        drop(self.writer.take());
        if rustix::fs::fstat(&self.pipe).is_ok_and(|pipe| pipe.st_mode & NOD.as_raw_mode() != 0) {
            self.nodded = true;
        }
        match self.read(PIPE, packet) {
            Read::More => (),
            read => return read,
        }
        // The worker has made it larger, up to a megabyte and more (fcntl(2), `F_SETPIPE_SZ`).
        let octets = rustix::pipe::fcntl_getpipe_size(&self.pipe).unwrap_or(0);
        self.read(octets / LastWords::MAX + 1, packet)
    }

    fn take(&mut self, packet: &[u8]) {
        if let Some(message) = LastWords::strip(packet) {
            self.last_words = message.to_vec();
            return;
        }
        self.tail.extend(packet);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
            self.cut = true;
        }
        pass_on(packet);
    }

    /// When all is read: last words may have come together with what was written before them.
    pub fn part(&mut self) {
        if self.last_words.is_empty()
            && let Some((at, message)) = LastWords::behind(&self.tail)
        {
            self.last_words = message.to_vec();
            self.tail.truncate(at);
        }
    }

    pub fn last_words(&self) -> &[u8] {
        static RETURNED: LazyLock<Vec<u8>> = LazyLock::new(|| LastWords::unmarked(How::Returned));
        if self.nodded { &RETURNED } else { &self.last_words }
    }

    /// The last lines, whole but for the first when it is too long.
    pub fn tail(&self) -> &[u8] {
        let end = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        if !self.cut && end.len() == self.tail.len() {
            return end;
        }
        match end.iter().position(|octet| *octet == b'\n') {
            Some(line) if line + 1 < end.len() => &end[line + 1..],
            // Without what is left of a character whose beginning is gone (utf-8(7)).
            _ => {
                let goes_on = end.iter().take(3).take_while(|octet| **octet & 0xc0 == 0x80);
                &end[goes_on.count()..]
            }
        }
    }
}

/// Writes to the template's own standard error if that can be done now: a terminal that is stopped or a
/// pipe that nobody reads must not hold the template. What does not fit is lost there, not in the report.
fn pass_on(octets: &[u8]) {
    let stderr = rustix::stdio::stderr();
    let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if rustix::event::poll(&mut polled, Some(&now)) == Ok(1)
        && polled[0].revents().contains(PollFlags::OUT)
    {
        // At most PIPE_BUF octets, which a pipe that is writable takes whole. A reader that is gone is no
        // concern of the template's.
        let _ = match own_terminal() {
            Some(terminal) => rustix::io::write(terminal, octets),
            None => rustix::io::write(stderr, octets),
        };
    }
}

/// Standard error once more, if it is a terminal: one that has room for an octet lets whoever writes more wait, until
/// somebody reads. That others who share the descriptor do not wait either would be the app's, and its shell's, loss.
fn own_terminal() -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(c"/proc/self/fd/2", flags, Mode::empty()).ok();
    rustix::stdio::stderr().is_terminal().then(open).flatten()
}

/// What a worker sets in its pipe's mode when its function has returned: words would wake the template, which
/// is about to be woken by the worker's end anyway, and looks at the mode then.
const NOD: Mode = Mode::SVTX;

/// The worker's side: descriptor 2 as it was at first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Voice {
    device: u64,
    inode: u64,
    /// Whether it is a pipe whose other end the template has.
    nods: bool,
}

impl Voice {
    /// Remembers which file standard error is.
    #[inline(always)]
    pub fn new() -> Option<Voice> {
        Voice::of(rustix::stdio::stderr()).ok()
    }

    /// The voice of a thread that was not given one: it knows no more than that standard error is such a pipe as a
    /// template makes.
    pub fn of_any_thread() -> Option<Voice> {
        let flags = rustix::fs::fcntl_getfl(rustix::stdio::stderr()).ok()?;
        let is_pipe = rustix::pipe::fcntl_getpipe_size(rustix::stdio::stderr()).is_ok();
        if is_pipe && flags.contains(OFlags::DIRECT) { Voice::new() } else { None }
    }

    /// The voice of a process at the far end of a command: none where its standard error goes the way of its answers, in
    /// which it would be heard.
    pub fn of_far_end() -> Option<Voice> {
        let answers = Voice::of(rustix::stdio::stdout()).ok();
        Voice::new().filter(|voice| answers != Some(*voice))
    }

    #[inline(always)]
    fn of(file: impl AsFd) -> rustix::io::Result<Voice> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Voice { device: stat.st_dev, inode: stat.st_ino, nods: false })
    }

    /// Says how this process ends, unless the program has made its standard error something else.
    #[inline(always)]
    pub fn say(&self, how: How, text: &[u8]) {
        let same =
            Voice::new().is_some_and(|now| (now.device, now.inode) == (self.device, self.inode));
        if same && !(self.nods && how == How::Returned && nod().is_ok()) {
            Voice::say_in_words(how, text);
        }
    }

    #[cold]
    fn say_in_words(how: How, text: &[u8]) {
        // The template may be gone; then so is everyone who would listen.
        let _ = rustix::io::retry_on_intr(|| {
            rustix::io::write(rustix::stdio::stderr(), &LastWords::encode(how, text))
        });
    }
}

/// A sandbox may refuse it, and so may the kernel once the worker is another user's.
#[inline(always)]
fn nod() -> rustix::io::Result<()> {
    rustix::fs::fchmod(rustix::stdio::stderr(), Mode::RUSR | Mode::WUSR | NOD)
}
