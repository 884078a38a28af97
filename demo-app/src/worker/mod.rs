//! Flow 2, the worker's side: one worker decodes many pictures, one after the other, for the app at
//! the other end of its socket.
//!
//! Nothing here knows the toolkit, keeps state between two pictures, or trusts a file. What a file
//! does to its decoder stays in this process: if the process dies of it, the app marks the one tile.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::protocol::{self, Answer, Outcome, Request};

mod decode;
mod error;
mod jpeg;
mod pixels;
mod scale;
mod watched;

pub use decode::{PIXEL_LIMIT, Picture, decode};
pub use error::DecodeError;
pub use pixels::Pixels;

tine::entry!(
    /// Serves the app's requests for pictures until the app closes the socket; see [`serve`].
    pub DECODE = decode_worker
);

fn decode_worker(worker: tine::Worker) -> io::Result<()> {
    serve(worker.socket())
}

/// Answers requests from `socket`, a blocking one, in their order, until it ends.
///
/// # Errors
///
/// - The app sent what is no request, or one without its descriptor.
/// - The app is gone while an answer is on its way.
pub fn serve(socket: &UnixStream) -> io::Result<()> {
    while let Some((request, file)) = protocol::receive_request(socket)? {
        let (outcome, memory) = work(&request, File::from(file));
        let memory = memory.as_ref().map(AsFd::as_fd);
        protocol::send_answer(socket, &Answer { job: request.job, outcome }, memory)?;
    }
    Ok(())
}

/// What became of one request, with the memory that a picture lies in.
fn work(request: &Request, file: File) -> (Outcome, Option<OwnedFd>) {
    let picture = match decode(file, request.want) {
        Ok(picture) => picture,
        Err(error) => return (Outcome::Failed(error.to_string()), None),
    };
    match picture.pixels.to_sealed_memory() {
        Ok(memory) => {
            let Picture { pixels, original, orientation } = picture;
            (Outcome::Drawn { layout: pixels.layout(), original, orientation }, Some(memory))
        }
        Err(error) => (Outcome::Failed(format!("no memory for the picture: {error}")), None),
    }
}
