//! Flow 2, between the sides: what the app, a template and a fresh process say to each other.
//!
//! This module is the codec: bytes in, bytes out, no descriptor and no system call. [`socket`] puts
//! it on sockets. Every message has a header of [`HEADER`] bytes, little-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 0 | [`VERSION`] |
//! | 1 | code, see below; [`LONG`] is set when the body lies in a file |
//! | 2–3 | descriptors that travel with it |
//! | 4–7 | length of the body |
//! | 8–15 | id of the process that it is about, or 0 |
//!
//! and then the body; one past [`BODY_MAX`] lies in a sealed memfd, which travels as the message's last
//! descriptor, so that neither side ever holds it in a socket. In a body a number is four bytes (times and memory in `Ended`:
//! eight), whether something is so is one, and a string or blob is its length in four bytes and its octets: those of
//! `Arg`, `Part`, `Load`, `Sandbox` and `Ready`, and the last of `Refused`, `Run` and `LastWords`, go to the body's end
//! instead, and so do the arguments of `Call`, however many. Other lists begin with how many there are.
//!
//! | code | message | from → to | descriptors | body |
//! |---|---|---|---|---|
//! | 1 | `Connect` | app → template | a link | – |
//! | 2 | `State` | app → template → spare | the directory | umask, locale, environment |
//! | 3 | `Fork` | app → template → spare | the process's socket; to a spare, also the link | octets of orders that wait in it, whether no descriptors are among them, whether it executes |
//! | 4 | `Spares` | app → template | – | how many |
//! | 5 | `Exec` | app → template | the process's socket | – |
//! | 6 | `Begin` | app → template, app → process; far end → app | – | – |
//! | 7 | `Inject` | app → template | – | what is to fail; with the feature `testing` |
//! | 8 | `Signal` | app → template | – | signal |
//! | 16 | `Started` | process or template → app | a pidfd | pid, whether it was a spare |
//! | 17 | `Refused` | template or process → app | – | errno, what was tried |
//! | 18 | `Ended` | template → app | – | how, see [`Ended`] |
//! | 19 | `Retired` | template → app | – | – |
//! | 32 | `Arg` | app → process | – | the octets |
//! | 33 | `Fds` | app → process | the descriptors | – |
//! | 34 | `Call` | app → process | – | function, arguments |
//! | 35 | `Load` | app → process | the shared object | its path |
//! | 36 | `Link` | app → process | the link that it will serve | – |
//! | 37 | `Run` | app → process | – | whether to say `Ready`, the entry's name |
//! | 38 | `Serve` | app → process | – | – |
//! | 39 | `Execute` | app → process | standard ones, others | program, arguments, … see [`Execute`] |
//! | 40 | `Part` | app → process | – | octets of the argument that comes next |
//! | 41 | `Sandbox` | app → process | – | a sandbox to put on before `Run` |
//! | 48 | `Ready` | process → app | – | the sandbox's posture, if it has one |
//! | 64 | `LastWords` | process → template | – | how its function ended, text |
//!
//! `Signal` is for a process that has not said that it exists, or whose pidfd found no place in the app; the template
//! obeys for a child that it has not reaped.
//! `Started` comes from the process itself, over its template's link, when it has read what was there of its orders and
//! before it closes that link and follows them; from the template for itself, and for a process in an image of its own.
//! `Begin` is the first message to a template, and the first order to a process, in an image of its own, sent before
//! there is one. A process at the far end of a command says it first, before it has read anything.
//! `Connect` … `Retired` travel over a link, a `SOCK_SEQPACKET` pair that keeps message boundaries.
//! `Arg` … `Ready` travel over the process's own `SOCK_STREAM` pair, which after `Run` belongs to the
//! worker and its app. `LastWords` is one packet of a pipe in packet mode, the worker's standard error,
//! behind a mark that tells it from other output.

mod codec;
mod execute;
#[cfg(test)]
pub(crate) mod golden;
mod inbox;
mod message;
mod outbox;
mod room;
pub(crate) mod socket;

pub(crate) use codec::Header;
pub(crate) use inbox::Inbox;

pub(crate) use execute::{Execute, Given};
pub(crate) use message::{Ended, How, Last, LastWords, Message, State, Waiting};
pub(crate) use outbox::{Long, Outbox, PAUSE, long_file};
pub(crate) use room::{Room, USUAL};

/// The first octet of every message; the sides are one program, so others are refused.
pub(crate) const VERSION: u8 = 1;
/// Octets of a message's header.
pub(crate) const HEADER: usize = 16;
/// The longest body that stands in its message: such a message fits a socket's default buffer.
pub(crate) const BODY_MAX: usize = 64 * 1024;
/// In a code: the body lies in a file.
pub(crate) const LONG: u8 = 0x80;
/// The most descriptors that one message takes: the kernel's SCM_MAX_FD (unix(7)).
pub(crate) const FDS_MAX: usize = 253;
