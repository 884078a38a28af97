//! Flow 2, the worker's side: one worker decodes many pictures, one after the other, for the pool in the
//! app.
//!
//! Nothing here knows the toolkit, keeps state between two pictures, or trusts a file. What a file
//! does to its decoder stays in this process: if the process dies of it, the pool tries it once more, and
//! then the app marks the one tile.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tine::rpc::{self, Caller, Fd};
use tine::{Rung, Sandbox};

use crate::layout::Size;
use crate::message::{Answer, Drawing, Failure, Request, Want};

mod animation;
#[cfg(feature = "avif")]
mod avif;
mod chunks;
mod colour;
mod dds;
mod decode;
mod error;
mod exr;
mod facts;
mod format;
mod gif;
mod jpeg;
mod jxl;
mod light;
mod pixels;
mod positioned;
mod scale;
mod scans;
mod small;
mod svg;
mod thumbnail;
mod tiff;
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
    /// Serves [`Request`]s for pictures with [`Answer`]s, until the app makes no more.
    pub DECODE = decode_worker
);

fn decode_worker(worker: tine::Worker) -> tine::Result<()> {
    rpc::serve(worker, |request: Request, caller| Ok::<_, Infallible>(answer(request, caller)))
}

/// Decodes one picture, and draws it into memory. Nobody is waited for, nothing is kept.
///
/// # Errors
///
/// Why there is no picture.
pub fn answer(request: Request, caller: &mut Caller<'_>) -> Answer<Fd> {
    let Want { size, thumbnail } = request.want;
    let square = Size::new(thumbnail, thumbnail);
    let file = request.file.into_owned().map_err(|error| Failure::passing(error.to_string()))?;
    // Many decoders panic over a hostile file. Nothing of theirs is used again.
    let decode = || decode(File::from(file), size.at_least(square));
    let decoded = catch_unwind(AssertUnwindSafe(decode))
        .map_err(|_| Failure::lasting("damaged in a way that its decoder did not expect"))?;
    let Picture { mut pixels, original, orientation, animated } = decoded.map_err(explain)?;
    if caller.is_cancelled() {
        return Err(Failure::passing("not wanted any more"));
    }
    // One that fits is its own thumbnail.
    let thumbnail = match thumbnail > 0 && !original.fits_into(square) {
        true => Some(thumbnail::encode(pixels.clone().reduced(square)).map_err(no_memory)?),
        false => None,
    };
    pixels = pixels.reduced(size);
    Ok(Drawing {
        layout: pixels.layout(),
        pixels: sealed(&pixels.bytes)?,
        original,
        orientation,
        animated,
        thumbnail: thumbnail.as_deref().map(sealed).transpose()?,
    })
}

fn sealed(octets: &[u8]) -> Result<Fd, Failure> {
    pixels::seal(octets).map(Fd::from).map_err(no_memory)
}

fn explain(error: DecodeError) -> Failure {
    match error {
        DecodeError::Io(_) => Failure::passing(error.to_string()),
        error => Failure::lasting(error.to_string()),
    }
}

fn no_memory(error: io::Error) -> Failure {
    Failure::passing(format!("no memory for the picture: {error}"))
}
