//! Flow 2, the worker's side: one worker decodes many pictures, one after the other, for the app at
//! the other end of its socket.
//!
//! Nothing here knows the toolkit, keeps state between two pictures, or trusts a file. What a file
//! does to its decoder stays in this process: if the process dies of it, the app marks the one tile.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tine::{Rung, Sandbox};

use crate::protocol::{self, Answer, Failure, Outcome, Request, Size};

mod animation;
mod colour;
mod decode;
mod error;
mod facts;
mod format;
mod jpeg;
mod jxl;
mod pixels;
mod scale;
mod scans;
mod svg;
mod thumbnail;
mod watched;
mod webp;

pub use animation::{ANIMATE, LARGEST_FRAME, Play, Shown};
pub use decode::{PIXEL_LIMIT, Picture, decode};
pub use error::DecodeError;
pub use facts::{DESCRIBE, Facts};
pub use pixels::Pixels;

/// What the workers may do: turn octets into pixels, within 2 GiB, which is the largest picture and as
/// much again for its decoder.
///
/// Their processor time is not limited, for a worker serves as long as there are pictures; the app's
/// clock limits each one. Few descriptors would do, but the kernel lets a process send some only while
/// the user's processes have no more than this many on their way (unix(7), `ETOOMANYREFS`).
pub fn sandbox() -> Sandbox {
    Sandbox::decoder().memory(2 << 30).file_size(1 << 30).descriptors(1024).without(Rung::Cpu)
}

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
        let (outcome, memories) = match work(&request, File::from(file)) {
            Ok((outcome, memories)) => (outcome, memories),
            Err(failure) => (Outcome::Failed(failure), Vec::new()),
        };
        let memories: Vec<_> = memories.iter().map(AsFd::as_fd).collect();
        protocol::send_answer(socket, &Answer { job: request.job, outcome }, &memories)?;
    }
    Ok(())
}

/// What became of one request, with the memories of the picture and of its thumbnail.
fn work(request: &Request, file: File) -> Result<(Outcome, Vec<OwnedFd>), Failure> {
    let square = Size::new(request.thumbnail, request.thumbnail);
    let want = request.want.at_least(square);
    // Many decoders panic over a hostile file. Nothing of theirs is used again.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(file, want))).map_err(|_| Failure {
        reason: "damaged in a way that its decoder did not expect".into(),
        lasting: true,
    })?;
    let picture = decoded.map_err(|error| Failure {
        reason: error.to_string(),
        lasting: !matches!(error, DecodeError::Io(_)),
    })?;
    let Picture { mut pixels, original, orientation, animated } = picture;
    let mut memories = Vec::new();
    let mut thumbnail = 0;
    // One that fits is its own thumbnail.
    if request.thumbnail > 0 && !original.fits_into(square) {
        let file = thumbnail::encode(pixels.clone().reduced(square)).map_err(no_memory)?;
        thumbnail = file.len() as u32;
        memories.push(pixels::seal(&file).map_err(no_memory)?);
    }
    pixels = pixels.reduced(request.want);
    memories.insert(0, pixels::seal(&pixels.bytes).map_err(no_memory)?);
    let layout = pixels.layout();
    Ok((Outcome::Drawn { layout, original, orientation, thumbnail, animated }, memories))
}

fn no_memory(error: io::Error) -> Failure {
    Failure::passing(format!("no memory for the picture: {error}"))
}
