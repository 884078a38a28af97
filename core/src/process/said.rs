//! Flow 2: what a process says on its socket before the program has it.

use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::wire::{HEADER, Header, Message, socket};
use crate::{Error, ErrorKind, Posture, Result};

/// What was heard of a process that is to say when it is ready.
pub(super) enum Said {
    /// Nothing yet.
    Nothing,
    /// It enters its function, with this posture if it was given a sandbox; or has become its program.
    Ready(Option<Posture>),
    /// Why it does neither.
    Error(Error),
    /// It has ended instead, which its template tells with the reason.
    End,
}

impl Said {
    /// Listens, without waiting. A process that `executes` is ready when that closes its socket.
    ///
    /// What it says comes in one piece; what its function writes may lie behind that, and stays there.
    pub fn hear(socket: impl AsFd, executes: bool) -> Said {
        let mut said = [0; 4096];
        match socket::receive_one(socket, &mut said) {
            Err(Errno::AGAIN) => Said::Nothing,
            Ok(0) if executes => Said::Ready(None),
            Ok(0) | Err(_) => Said::End,
            Ok(got) => understand(&said[..got]).map_or_else(Said::Error, Said::Ready),
        }
    }
}

fn understand(said: &[u8]) -> Result<Option<Posture>> {
    let cut_off =
        || Error::new(ErrorKind::Protocol, "a process was cut off in the middle of a word");
    let (header, body) = said.split_first_chunk::<HEADER>().ok_or_else(cut_off)?;
    match Message::decode(Header::decode(header)?, body)? {
        Message::Ready { posture } => Ok(Posture::decode(posture).ok()),
        Message::Refused { errno, what } => {
            let what = String::from_utf8_lossy(what);
            Err(Error::system(what, std::io::Error::from_raw_os_error(errno)))
        }
        // Code that was called in it has written to its socket. Without that it leaves.
        other => Err(other.misplaced()),
    }
}
