//! Between the two flows: the app's end of a worker's socket. It never waits and trusts nothing.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvFlags, SendFlags};

use super::codec::{ANSWER_LEN, decode_answer, encode_request};
use super::socket::{receive, send};
use super::{Answer, Drawing, Encoded, Failure, Outcome, ProtocolError, Request};

/// Asks one worker for pictures and takes its answers.
///
/// Poll its descriptor for readable, then call [`receive`](Self::receive) until it has nothing.
#[derive(Debug)]
pub struct Caller {
    socket: UnixStream,
    /// What the worker has been asked and has not answered, oldest first.
    asked: VecDeque<Request>,
    /// The first `filled` octets of the next answer, and the descriptors that came with them: at
    /// most two.
    octets: [u8; ANSWER_LEN],
    filled: usize,
    memories: Vec<OwnedFd>,
}

/// A worker's answer, checked.
#[derive(Debug)]
pub struct Reply {
    /// The request's.
    pub job: u64,
    /// The picture, or why there is none.
    pub result: Result<Drawing, Failure>,
}

impl Caller {
    /// The app's end of a worker's socket; whether it blocks does not matter.
    pub fn new(socket: UnixStream) -> Self {
        let octets = [0; ANSWER_LEN];
        Self { socket, asked: VecDeque::new(), octets, filled: 0, memories: Vec::new() }
    }

    /// Asks for a picture. `file` is to be open for reading only; it may be closed at once.
    ///
    /// # Errors
    ///
    /// - [`io::ErrorKind::WouldBlock`] if the worker leaves its requests unread: nothing was sent.
    /// - Whatever writing to the socket answers: mostly that the worker is gone.
    pub fn send(&mut self, request: Request, file: BorrowedFd<'_>) -> io::Result<()> {
        let octets = encode_request(&request);
        let sent = send(&self.socket, &octets, &[file], SendFlags::DONTWAIT)?;
        if sent < octets.len() {
            // A stream socket takes so few octets as a whole, or not at all.
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.asked.push_back(request);
        Ok(())
    }

    /// The next answer, or `None` if it is not there yet.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] if the worker is gone or broke the rules. It is to be dropped then, and
    /// what it has not [answered](Self::unanswered) to be asked of another.
    pub fn receive(&mut self) -> Result<Option<Reply>, ProtocolError> {
        while self.filled < ANSWER_LEN {
            let rest = &mut self.octets[self.filled..];
            let received = match receive(&self.socket, rest, RecvFlags::DONTWAIT) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            match (received.count, self.filled) {
                (0, 0) => return Err(ProtocolError::Closed),
                (0, _) => return Err(ProtocolError::Torn),
                (count, _) => self.filled += count,
            }
            self.keep(received.descriptors, received.overflow)?;
        }
        self.filled = 0;
        let answer = decode_answer(&self.octets)?;
        self.settle(answer).map(Some)
    }

    /// The requests without an answer, oldest first: if the worker is gone, the first is most likely
    /// the one that it died of.
    pub fn unanswered(&self) -> impl ExactSizeIterator<Item = &Request> {
        self.asked.iter()
    }

    fn keep(&mut self, descriptors: Vec<OwnedFd>, overflow: bool) -> Result<(), ProtocolError> {
        self.memories.extend(descriptors);
        let count = self.memories.len() + usize::from(overflow);
        if count > 2 { Err(ProtocolError::Descriptors(count)) } else { Ok(()) }
    }

    fn settle(&mut self, answer: Answer) -> Result<Reply, ProtocolError> {
        let request = match self.asked.front() {
            Some(request) if request.job == answer.job => *request,
            _ => return Err(ProtocolError::Unasked(answer.job)),
        };
        let count = self.memories.len();
        let mut memories = std::mem::take(&mut self.memories).into_iter();
        let result = match answer.outcome {
            Outcome::Drawn { layout, original, orientation, thumbnail, animated } => {
                if !layout.size.fits_into(request.want) {
                    return Err(ProtocolError::Malformed("size"));
                }
                if thumbnail > 0 && request.thumbnail == 0 {
                    return Err(ProtocolError::Malformed("thumbnail"));
                }
                let mut next = || memories.next().ok_or(ProtocolError::Descriptors(count));
                let mut drawing = Drawing::verify(next()?, layout, original, orientation)?;
                drawing.animated = animated;
                if thumbnail > 0 {
                    drawing.thumbnail = Some(Encoded::verify(next()?, thumbnail)?);
                }
                Ok(drawing)
            }
            Outcome::Failed(failure) => Err(failure),
        };
        if memories.next().is_some() {
            return Err(ProtocolError::Descriptors(count));
        }
        self.asked.pop_front();
        Ok(Reply { job: answer.job, result })
    }
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
