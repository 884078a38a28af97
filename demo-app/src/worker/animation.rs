//! Flow 2, the worker's side: a picture that moves, one frame at a time, for as long as somebody looks.
//!
//! ```text
//!   Begin ──▶ Next ──▶ Next ── … ──▶ end of file ──▶ the file's start again, as often as the file says
//! ```
//! It is a worker of its own, for it keeps its place between two requests. The app asks when it has shown what
//! it has, so that no more than a few frames are ever there, however long the film.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::{LoopCount, Orientation};
use image::{AnimationDecoder, DynamicImage, Frame, Frames, ImageDecoder, ImageFormat, Limits};
use serde::{Deserialize, Serialize};
use tine::{Shared, SharedMut, rpc};

use super::colour::{self, Colours};
use super::decode::{MEMORY_LIMIT, check_size, explain};
use super::format::Format;
use super::watched::{Ended, Watched};
use super::{DecodeError, Pixels, chunks, gif, scale, webp};
use crate::layout::Size;

/// Frames that say they are shown for less get [`USUAL`]: so all browsers do, and files rely on it.
const BRIEFEST: u32 = 11;
/// What a frame without a time of its own is shown for, in ms.
const USUAL: u32 = 100;
/// No frame is reduced unless it is larger: nothing of it is lost when it is looked at closely.
pub const LARGEST_FRAME: Size = Size::new(4096, 4096);

/// What the app asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Play {
    /// The first frame of this file.
    Begin(rpc::Fd),
    /// The frame that comes then.
    Next,
}

/// One frame: red, green, blue, alpha, the colours multiplied by it, row after row without gaps.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The picture.
    pub pixels: Shared,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How long it is shown, in ms.
    pub millis: u32,
}

tine::entry!(
    /// Answers each [`Play`] with a frame, or with `None` when the film is over.
    pub ANIMATE = animate
);

fn animate(worker: tine::Worker) -> tine::Result<()> {
    let mut film: Option<Film> = None;
    rpc::serve(worker, move |request: Play, _| -> tine::Result<Option<Shown>> {
        if let Play::Begin(file) = request {
            film = Some(Film::new(File::from(file.into_owned()?)));
        }
        let Some(film) = &mut film else { return Err(tine::Error::other("no film has begun")) };
        // Many decoders panic over a hostile file. Nothing of theirs is used again.
        let frame = catch_unwind(AssertUnwindSafe(|| film.next()))
            .unwrap_or_else(|_| Err(DecodeError::Corrupt("film", "its decoder gave up".into())));
        frame.map_err(tine::Error::other)?.map(|frame| film.share(frame)).transpose()
    })
}

/// A film, and the place in it.
struct Film {
    file: File,
    frames: Option<Frames<'static>>,
    ended: Ended,
    name: &'static str,
    colours: Colours,
    /// As EXIF has it.
    orientation: Orientation,
    /// Frames given since the file's start.
    given: u32,
    /// How often it is shown from the start still; without an end if there is none.
    left: Option<u32>,
}

impl Film {
    fn new(file: File) -> Self {
        Self {
            file,
            frames: None,
            ended: Ended::default(),
            name: "film",
            colours: Colours::Srgb,
            orientation: Orientation::NoTransforms,
            given: 0,
            left: Some(0),
        }
    }

    /// The next frame, as it is stored; `None` after the last.
    fn next(&mut self) -> Result<Option<Frame>, DecodeError> {
        if self.frames.is_none() {
            self.left = match self.open()? {
                LoopCount::Infinite => None,
                LoopCount::Finite(times) => Some(times.get() - 1),
            };
        }
        if let Some(frame) = self.step()? {
            return Ok(Some(frame));
        }
        // One picture alone does not move.
        if self.given < 2 || self.left == Some(0) {
            return Ok(None);
        }
        self.left = self.left.map(|left| left - 1);
        self.open()?;
        self.step()
    }

    fn step(&mut self) -> Result<Option<Frame>, DecodeError> {
        let frame = self.frames.as_mut().and_then(Iterator::next).transpose();
        let frame = frame.map_err(|error| explain(error, self.name, &self.ended))?;
        self.given += u32::from(frame.is_some());
        Ok(frame)
    }

    /// Goes to the file's start; gives how often it is to be shown.
    fn open(&mut self) -> Result<LoopCount, DecodeError> {
        self.file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 16, self.file.try_clone()?);
        let head = std::io::BufRead::fill_buf(&mut reader)?;
        let format = Format::of(head).ok_or(DecodeError::NotAPicture)?;
        let is_repeated = gif::is_repeated(head);
        let told = match format {
            Format::Other(ImageFormat::Png) => chunks::told(head),
            _ => None,
        };
        self.name = format.name();
        let reader = Watched::new(reader);
        self.ended = reader.ended();
        let (name, ended) = (self.name, self.ended.clone());
        let failed = |error| explain(error, name, &ended);
        let opened = match format {
            Format::Other(ImageFormat::Gif) => {
                let mut decoder = GifDecoder::new(reader).map_err(failed)?;
                self.look(&mut decoder)?;
                let (frames, count) = opened(decoder);
                // What says nothing is shown once; `image` takes it for endless.
                (frames, if is_repeated { count } else { LoopCount::Finite(NonZeroU32::MIN) })
            }
            Format::Other(ImageFormat::WebP) => {
                let mut decoder = WebPDecoder::new(reader).map_err(failed)?;
                self.look(&mut decoder)?;
                self.file.rewind()?;
                let mut octets = Vec::new();
                (&self.file).take(MEMORY_LIMIT).read_to_end(&mut octets)?;
                webp::frames(&octets).map_err(failed)?
            }
            Format::Other(ImageFormat::Png) => {
                let mut decoder = PngDecoder::new(reader).map_err(failed)?;
                self.look(&mut decoder)?;
                opened(decoder.apng().map_err(failed)?)
            }
            #[cfg(feature = "avif")]
            Format::Other(ImageFormat::Avif) => {
                self.file.rewind()?;
                let film = super::avif::film(&self.file)?;
                self.orientation = film.orientation;
                self.colours = film.profile.map_or(Colours::Srgb, Colours::By);
                (film.frames, film.count)
            }
            _ => return Err(DecodeError::Unsupported(format!("{name} does not move"))),
        };
        let (frames, count) = opened;
        if let Some(told) = told {
            self.colours = told;
        }
        self.frames = Some(frames);
        self.given = 0;
        Ok(count)
    }

    /// Learns of a file what its still picture is shown by, too. Nothing is allocated for a claim of too many pixels.
    fn look(&mut self, decoder: &mut impl ImageDecoder) -> Result<(), DecodeError> {
        let (width, height) = decoder.dimensions();
        let octets = check_size(width.into(), height.into(), self.name)?.pixels() * 4;
        let mut limits = Limits::default();
        limits.max_alloc = Some(2 * MEMORY_LIMIT);
        let limited = decoder.set_limits(limits);
        if octets > MEMORY_LIMIT || limited.is_err() {
            return Err(DecodeError::TooHeavy(octets));
        }
        self.orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let profile = decoder.icc_profile().ok().flatten();
        self.colours = profile.map_or(Colours::Srgb, Colours::By);
        Ok(())
    }

    /// A frame in sRGB, upright, and reduced to what is looked at.
    fn share(&self, frame: Frame) -> tine::Result<Shown> {
        let (millis, of) = frame.delay().numer_denom_ms();
        let millis = millis / of.max(1);
        let millis = if millis < BRIEFEST { USUAL } else { millis };
        let image = DynamicImage::ImageRgba8(frame.into_buffer());
        let image = match &self.colours {
            Colours::Srgb => image,
            Colours::By(profile) => colour::to_srgb(image, profile),
            Colours::Bright(light) => light.show_all(image),
        };
        let mut image = scale::to_tile_format(image);
        image.apply_orientation(self.orientation);
        let pixels = Pixels::from_image(image).reduced(LARGEST_FRAME);
        let mut shared = SharedMut::new(pixels.bytes.len())?;
        shared.copy_from_slice(&pixels.bytes);
        let Size { width, height } = pixels.size;
        Ok(Shown { pixels: shared.share()?, width, height, millis })
    }
}

/// The frames from the file's start, and how often they are to be shown.
fn opened(decoder: impl AnimationDecoder<'static>) -> (Frames<'static>, LoopCount) {
    let count = decoder.loop_count();
    (decoder.into_frames(), count)
}
