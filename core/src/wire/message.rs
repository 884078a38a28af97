//! Flow 2: the messages, each with its code; the table in [`super`] in Rust.

use super::codec::{Body, Fields, Header, garbage};
use super::execute::Execute;
use super::{BODY_MAX, HEADER, Room, USUAL};
use crate::{Error, Result};

/// A message without its descriptors; bodies borrow from the buffer that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Connect,
    State(State<'a>),
    Fork(Waiting),
    Exec,
    Begin,
    #[cfg(feature = "testing")]
    Inject(crate::fault::Faults),
    Signal {
        signal: i32,
    },
    Spares {
        count: u32,
    },
    Started {
        pid: u32,
        spare: bool,
    },
    Refused {
        errno: i32,
        what: &'a [u8],
    },
    Ended(Ended<'a>),
    Retired,
    Arg(&'a [u8]),
    Fds,
    Call {
        function: &'a [u8],
        args: Vec<&'a [u8]>,
    },
    Load {
        path: &'a [u8],
    },
    Link,
    Serve,
    Run {
        report: bool,
        entry: &'a [u8],
    },
    Execute(Execute<'a>),
    Part(&'a [u8]),
    Sandbox(&'a [u8]),
    Ready {
        posture: &'a [u8],
    },
}

/// What a fresh process takes over from the app; its directory travels as a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State<'a> {
    pub umask: u32,
    /// As setlocale(LC_ALL, NULL) names it.
    pub locale: &'a [u8],
    /// `NAME=value` strings, each ended by a NUL.
    pub environment: &'a [u8],
}

/// How a process ended, as its parent saw it (wait4(2)) and as it said itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended<'a> {
    pub pid: u32,
    /// The status as wait4(2) gives it.
    pub status: i32,
    pub user_us: u64,
    pub system_us: u64,
    pub peak_kib: u64,
    pub lived_us: u64,
    /// It was killed before it had become the program that it was to be.
    pub unexecuted: bool,
    /// It was a spare.
    pub spare: bool,
    /// The process's own words, untrusted; empty when it left none.
    pub last_words: &'a [u8],
    /// The end of what it wrote to its standard error, untrusted.
    pub stderr: &'a [u8],
}

/// What of a process's orders lies in its socket already when it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub octets: u32,
    /// No descriptors lie among them.
    pub plain: bool,
    /// The process is to become another program.
    pub executes: bool,
}

/// How a process says that its function ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum How {
    /// The entry returned.
    Returned = 1,
    /// The entry returned an error; the text is its message.
    Failed = 2,
    /// The entry panicked; the text is the place, a NUL and the message.
    Panicked = 3,
    /// There is no such entry; the text names those that exist, a line each.
    NotFound = 4,
    /// The orders made no sense or could not be carried out.
    BadOrders = 5,
    /// The app dropped the handle before `run`.
    Dropped = 6,
    /// A function that was called in it failed or panicked, or a library could not be loaded.
    Unprepared = 7,
    /// Its sandbox holds less than was required.
    Unconfined = 8,
}

/// The last words of a process as they stand in its pipe: a packet of at most [`LastWords::MAX`] octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastWords;

/// Decoded last words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last<'a> {
    pub how: How,
    pub text: &'a [u8],
}

impl How {
    /// The exit code that goes with it: as a Rust program's after a panic, a shell's for what is not there.
    #[cold]
    #[inline(never)]
    pub fn code(self) -> i32 {
        match self {
            How::Returned | How::Dropped => 0,
            How::Failed | How::BadOrders | How::Unprepared | How::Unconfined => 1,
            How::Panicked => 101,
            How::NotFound => 127,
        }
    }

    fn from_code(code: u8) -> Result<How> {
        use How::*;
        [Returned, Failed, Panicked, NotFound, BadOrders, Dropped, Unprepared, Unconfined]
            .into_iter()
            .find(|how| *how as u8 == code)
            .ok_or_else(|| garbage(format_args!("unknown ending {code}")))
    }
}

impl LastWords {
    /// PIPE_BUF (pipe(7)): what a pipe in packet mode keeps together.
    pub const MAX: usize = 4096;
    const CODE: u8 = 64;
    /// In front of the packet, so that ordinary output of a program is not taken for last words.
    pub(super) const MARK: &[u8] = b"\0tine\0last\0words\0";

    /// Writes the packet; a text too long for it loses its end.
    pub fn encode(how: How, text: &[u8]) -> Vec<u8> {
        let room = Self::MAX - Self::MARK.len() - HEADER - 1;
        let text = &text[..whole_text(text, room)];
        let mut packet = Vec::with_capacity(USUAL);
        [Self::MARK, &Self::header(1 + text.len()).encode(), &[how as u8], text]
            .iter()
            .for_each(|part| packet.extend_from_slice(part));
        packet
    }

    /// What [`LastWords::strip`] would give of those of a process that had nothing to add.
    pub fn unmarked(how: How) -> Vec<u8> {
        Self::encode(how, &[]).split_off(Self::MARK.len())
    }

    fn header(len: usize) -> Header {
        Header { code: Self::CODE, long: false, fds: 0, len: len as u32, id: 0 }
    }

    /// Tells whether a packet of standard error is last words; then gives the message in it.
    pub fn strip(packet: &[u8]) -> Option<&[u8]> {
        packet.strip_prefix(Self::MARK)
    }

    /// Finds last words at the end of other octets: where they begin, and the message in them.
    ///
    /// What passes a far process's standard error on (ssh) knows of no packets.
    pub fn behind(octets: &[u8]) -> Option<(usize, &[u8])> {
        let at = octets.windows(Self::MARK.len()).rposition(|part| part == Self::MARK)?;
        let message = &octets[at + Self::MARK.len()..];
        Self::decode(message).is_ok().then_some((at, message))
    }

    /// Reads what [`LastWords::strip`] gave.
    pub fn decode(message: &[u8]) -> Result<Last<'_>> {
        let (header, body) = message.split_first_chunk().ok_or_else(|| garbage("too short"))?;
        if Header::decode(header)? != Self::header(body.len()) {
            return Err(garbage("not last words"));
        }
        let mut fields = Fields::new(body);
        Ok(Last { how: How::from_code(fields.u8()?)?, text: fields.rest() })
    }
}

/// How much of a text there is room for, without a part of a character at its end.
fn whole_text(text: &[u8], room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    // A character has at most three octets that go on with it (utf-8(7)).
    let starts = |at: &usize| text[*at] & 0xc0 != 0x80;
    (room.saturating_sub(3)..=room).rev().find(starts).unwrap_or(room)
}

impl<'a> Message<'a> {
    /// The code of [`Message::Arg`], whose body may lie in a file that is made once for many.
    pub const ARG: u8 = 32;

    /// The code of [`Message::Link`], which is met where the orders cannot be followed.
    pub const LINK: u8 = 36;

    const FORK: u8 = 3;
    const EXEC: u8 = 5;
    /// The codes of what asks for a process.
    pub const REQUESTS: [u8; 2] = [Self::FORK, Self::EXEC];

    /// Octets of a refusal's text, whose end is lost when it is longer: a process's own fits the room that its app hears
    /// it with.
    pub(super) const REFUSAL_MAX: usize = LastWords::MAX - HEADER - size_of::<u32>();

    const STARTED: u8 = 16;
    const RUN: u8 = 37;

    /// The codes of [`Message::Begin`] and [`Message::Ready`], which a stream may bring octet by octet.
    pub const BEGIN: u8 = 6;
    pub const READY: u8 = 48;

    fn code(&self) -> u8 {
        match self {
            Message::Connect => 1,
            Message::State(_) => 2,
            Message::Fork(_) => Self::FORK,
            Message::Spares { .. } => 4,
            Message::Exec => Self::EXEC,
            Message::Begin => Self::BEGIN,
            #[cfg(feature = "testing")]
            Message::Inject(_) => 7,
            Message::Signal { .. } => 8,
            Message::Started { .. } => Self::STARTED,
            Message::Refused { .. } => 17,
            Message::Ended(_) => 18,
            Message::Retired => 19,
            Message::Arg(_) => Self::ARG,
            Message::Fds => 33,
            Message::Call { .. } => 34,
            Message::Load { .. } => 35,
            Message::Link => Self::LINK,
            Message::Serve => 38,
            Message::Run { .. } => Self::RUN,
            Message::Execute(_) => 39,
            Message::Part(_) => 40,
            Message::Sandbox(_) => 41,
            Message::Ready { .. } => Self::READY,
        }
    }

    /// Writes the whole message; `fds` is how many descriptors go with it.
    ///
    /// A body past [`BODY_MAX`](super::BODY_MAX) is given apart, to be put into a file that is one
    /// descriptor more.
    pub fn encode(&self, id: u64, fds: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut room = Room::default();
        let body = self.encode_to(&mut room, id, fds);
        (room.into_vec(), body)
    }

    /// The same, into room that is empty.
    pub fn encode_to(&self, room: &mut Room, id: u64, fds: usize) -> Option<Vec<u8>> {
        room.put(&[0; HEADER]);
        self.body(&mut Body(room));
        let len = room.octets().len() - HEADER;
        let long = len > BODY_MAX;
        let fds = (fds + usize::from(long)) as u16;
        let header = Header { code: self.code(), long, fds, len: len as u32, id };
        let body = long.then(|| room.split_off(HEADER));
        room.octets_mut()[..HEADER].copy_from_slice(&header.encode());
        body
    }

    fn body<'b, 'o>(&self, body: &'b mut Body<'o>) {
        match self {
            Message::State(state) => {
                body.u32(state.umask).octets(state.locale).octets(state.environment)
            }
            Message::Fork(waiting) => {
                body.u32(waiting.octets).u8(waiting.plain.into()).u8(waiting.executes.into())
            }
            Message::Spares { count } => body.u32(*count),
            #[cfg(feature = "testing")]
            Message::Inject(faults) => body
                .u32(faults.forks)
                .u32(faults.kills)
                .u8(faults.stage.map_or(0, |stage| stage as u8))
                .u8(faults.pressure.into()),
            Message::Signal { signal } => body.u32(*signal as u32),
            Message::Started { pid, spare } => body.u32(*pid).u8((*spare).into()),
            Message::Refused { errno, what } => {
                body.u32(*errno as u32).rest(&what[..whole_text(what, Self::REFUSAL_MAX)])
            }
            Message::Ended(ended) => ended.encode(body),
            Message::Run { report, entry } => body.u8((*report).into()).rest(entry),
            Message::Call { function, args } => {
                body.octets(function);
                args.iter().fold(body, |body, arg| body.octets(arg))
            }
            Message::Execute(execute) => execute.encode(body),
            Message::Arg(octets)
            | Message::Part(octets)
            | Message::Sandbox(octets)
            | Message::Ready { posture: octets }
            | Message::Load { path: octets } => body.rest(octets),
            Message::Connect
            | Message::Exec
            | Message::Begin
            | Message::Retired
            | Message::Fds
            | Message::Link
            | Message::Serve => body,
        };
    }

    /// Reads the body that came with `header`, whole.
    pub fn decode(header: Header, body: &'a [u8]) -> Result<Message<'a>> {
        if body.len() != header.len as usize {
            return Err(garbage(format_args!("{} octets instead of {}", body.len(), header.len)));
        }
        let mut fields = Fields::new(body);
        let message = match header.code {
            1 => Message::Connect,
            2 => Message::State(State {
                umask: fields.u32()?,
                locale: fields.octets()?,
                environment: fields.octets()?,
            }),
            Self::FORK => Message::Fork(Waiting {
                octets: fields.u32()?,
                plain: fields.flag()?,
                executes: fields.flag()?,
            }),
            4 => Message::Spares { count: fields.u32()? },
            Self::EXEC => Message::Exec,
            Self::BEGIN => Message::Begin,
            #[cfg(feature = "testing")]
            7 => Message::Inject(inject(&mut fields)?),
            8 => Message::Signal { signal: fields.u32()? as i32 },
            Self::STARTED => Message::Started { pid: fields.u32()?, spare: fields.flag()? },
            17 => Message::Refused { errno: fields.u32()? as i32, what: fields.rest() },
            18 => Message::Ended(Ended::decode(&mut fields)?),
            19 => Message::Retired,
            Self::ARG => Message::Arg(fields.rest()),
            33 => Message::Fds,
            34 => Message::Call { function: fields.octets()?, args: all(&mut fields)? },
            35 => Message::Load { path: fields.rest() },
            Self::LINK => Message::Link,
            Self::RUN => Message::Run { report: fields.flag()?, entry: fields.rest() },
            38 => Message::Serve,
            39 => Message::Execute(Execute::decode(&mut fields)?),
            40 => Message::Part(fields.rest()),
            41 => Message::Sandbox(fields.rest()),
            Self::READY => Message::Ready { posture: fields.rest() },
            code => return Err(garbage(format_args!("unknown code {code}"))),
        };
        fields.end()?;
        Ok(message)
    }

    /// The entry's name, if these octets are one whole [`Message::Run`] that wants no report, and nothing else.
    ///
    /// As [`Message::decode`] would read it, without the table of that, which lies on a page of its own.
    #[inline(always)]
    pub fn plain_run(octets: &[u8]) -> Option<&[u8]> {
        let (header, body) = octets.split_first_chunk::<HEADER>()?;
        let (report, entry) = body.split_first()?;
        let run = Header { code: Self::RUN, long: false, fds: 0, len: body.len() as u32, id: 0 };
        (*header == run.encode() && *report == 0).then_some(entry)
    }

    /// The octets of [`Message::Started`], as [`Message::encode`] would give them, without that table.
    #[inline(always)]
    pub fn started(pid: u32, spare: bool, id: u64, fds: u16) -> [u8; HEADER + 5] {
        let header = Header { code: Self::STARTED, long: false, fds, len: 5, id };
        let mut octets = [0; HEADER + 5];
        octets[..HEADER].copy_from_slice(&header.encode());
        octets[HEADER..HEADER + 4].copy_from_slice(&pid.to_le_bytes());
        octets[HEADER + 4] = spare.into();
        octets
    }

    /// The error for a message that is known but has no business where it arrived.
    pub fn misplaced(&self) -> Error {
        garbage(format_args!("code {} does not belong there", self.code()))
    }
}

/// The template's part of the faults.
#[cfg(feature = "testing")]
fn inject(fields: &mut Fields<'_>) -> Result<crate::fault::Faults> {
    use crate::fault::{Faults, Stage};
    let (forks, kills) = (fields.u32()?, fields.u32()?);
    let stage = match fields.u8()? {
        0 => None,
        octet => Some(Stage::from_octet(octet).ok_or_else(|| garbage("no such stage"))?),
    };
    let pressure = fields.flag()?;
    Ok(Faults { forks, kills, stage, pressure, ..Faults::default() })
}

fn all<'a>(fields: &mut Fields<'a>) -> Result<Vec<&'a [u8]>> {
    let mut all = Vec::new();
    while fields.end().is_err() {
        all.push(fields.octets()?);
    }
    Ok(all)
}

impl<'a> Ended<'a> {
    fn encode<'b, 'o>(&self, body: &'b mut Body<'o>) -> &'b mut Body<'o> {
        body.u32(self.pid)
            .u32(self.status as u32)
            .u64(self.user_us)
            .u64(self.system_us)
            .u64(self.peak_kib)
            .u64(self.lived_us)
            .u8(self.unexecuted.into())
            .u8(self.spare.into())
            .octets(self.last_words)
            .octets(self.stderr)
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self> {
        Ok(Ended {
            pid: fields.u32()?,
            status: fields.u32()? as i32,
            user_us: fields.u64()?,
            system_us: fields.u64()?,
            peak_kib: fields.u64()?,
            lived_us: fields.u64()?,
            unexecuted: fields.flag()?,
            spare: fields.flag()?,
            last_words: fields.octets()?,
            stderr: fields.octets()?,
        })
    }
}
