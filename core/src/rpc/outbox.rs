//! Flow 2, typed: messages on their way into a socket that may be full.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::wire::socket;

/// Octets that are kept allocated when all is sent.
pub(super) const KEPT: usize = 64 * 1024;

/// Octets that wait, in order, and the descriptors that travel with some of them.
#[derive(Default)]
pub(super) struct Outbox {
    octets: Vec<u8>,
    sent: usize,
    /// Where in `octets` descriptors go out.
    fds: VecDeque<(usize, Vec<Arc<OwnedFd>>)>,
    /// What is to go next was refused because too many descriptors are under way for this user (unix(7)).
    crowded: bool,
}

impl Outbox {
    /// Octets that wait.
    pub fn len(&self) -> usize {
        self.octets.len() - self.sent
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether something waits for others to receive descriptors. No event tells when they have: there may be room
    /// in the socket all the while.
    pub fn is_crowded(&self) -> bool {
        self.crowded && !self.is_empty()
    }

    /// Appends octets, the first of which takes the descriptors along.
    pub fn push(&mut self, octets: &[u8], fds: Vec<Arc<OwnedFd>>) {
        if self.sent > KEPT && self.sent > self.len() {
            // What was sent is forgotten before it is most of what is kept.
            self.octets.drain(..self.sent);
            self.fds.iter_mut().for_each(|(at, _)| *at -= self.sent);
            self.sent = 0;
        }
        if !fds.is_empty() {
            self.fds.push_back((self.octets.len(), fds));
        }
        self.octets.extend_from_slice(octets);
    }

    /// Sends a message at once if none waits before it; what the socket does not take waits.
    ///
    /// # Errors
    /// As [`Outbox::flush`].
    pub fn send(
        &mut self,
        socket: impl AsFd,
        octets: &[u8],
        fds: Vec<Arc<OwnedFd>>,
        flags: SendFlags,
    ) -> rustix::io::Result<()> {
        if !self.is_empty() {
            self.push(octets, fds);
            return self.flush(socket, flags);
        }
        match send(&socket, octets, &fds, flags) {
            Ok(sent) if sent == octets.len() => Ok(()),
            Ok(sent) => {
                self.push(&octets[sent..], Vec::new());
                self.flush(socket, flags)
            }
            Err(error @ (Errno::AGAIN | Errno::TOOMANYREFS)) => {
                self.crowded = error == Errno::TOOMANYREFS;
                self.push(octets, fds);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Sends what the socket takes, or all of it where the flags let it wait.
    ///
    /// # Errors
    /// The kernel's, but for a full socket.
    pub fn flush(&mut self, socket: impl AsFd, flags: SendFlags) -> rustix::io::Result<()> {
        while !self.is_empty() {
            let here = self.fds.front().is_some_and(|(at, _)| *at == self.sent);
            // Descriptors begin a call of their own, and end the one before.
            let end = self.fds.get(usize::from(here)).map_or(self.octets.len(), |(at, _)| *at);
            let fds: &[_] = if here { &self.fds[0].1 } else { &[] };
            match send(&socket, &self.octets[self.sent..end], fds, flags) {
                Ok(sent) => {
                    self.sent += sent;
                    if here {
                        self.fds.pop_front();
                    }
                }
                // Full, or crowded: both pass.
                Err(error @ (Errno::AGAIN | Errno::TOOMANYREFS)) => {
                    self.crowded = error == Errno::TOOMANYREFS;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        self.octets.clear();
        self.octets.shrink_to(KEPT);
        Ok(())
    }
}

fn send(
    socket: impl AsFd,
    octets: &[u8],
    fds: &[Arc<OwnedFd>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    if fds.is_empty() {
        return socket::send_as(socket, octets, &[], flags);
    }
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(|fd| fd.as_fd()).collect();
    socket::send_as(socket, octets, &fds, flags)
}
