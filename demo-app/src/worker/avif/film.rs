//! Flow 2, the worker's side: a sequence of AVIF, one frame after the other.

use std::io::Read;
use std::iter;
use std::num::NonZeroU32;

use image::error::{DecodingError, ImageFormatHint};
use image::metadata::{LoopCount, Orientation};
use image::{Delay, Frame, Frames, ImageError, ImageFormat};
use zenavif_parse::AvifParser;

use super::av1::Stream;
use super::colours::Told;
use super::{explain, finished, octets, opacities, orientation, parsed, profile, whole};
use crate::worker::DecodeError;

/// A sequence from its start.
pub(in crate::worker) struct Film {
    /// As they are stored.
    pub(in crate::worker) frames: Frames<'static>,
    /// How often they are to be shown.
    pub(in crate::worker) count: LoopCount,
    /// As for the picture.
    pub(in crate::worker) profile: Option<Vec<u8>>,
    pub(in crate::worker) orientation: Orientation,
}

/// Opens a sequence.
pub(in crate::worker) fn film(reader: impl Read) -> Result<Film, DecodeError> {
    let octets = octets(reader)?;
    // A list of edits says it, and the parser takes those without one for told to end.
    let is_told = octets.windows(4).any(|part| part == b"elst");
    let file = parsed(octets)?;
    let about = file.animation_info();
    let about = about.ok_or_else(|| DecodeError::Unsupported("AVIF does not move".into()))?;
    // What does not say how often is shown without an end, as browsers do it.
    let times = if is_told { NonZeroU32::new(about.loop_count) } else { None };
    let (mut light, mut alpha) = (Stream::new()?, Stream::new()?);
    let (first, told) = frame(&file, 0, &mut light, &mut alpha)?;
    let (profile, orientation) = (profile(&file, &told), orientation(&file));
    let mut at = 1;
    let next = move || {
        (at < about.frame_count).then(|| {
            at += 1;
            frame(&file, at - 1, &mut light, &mut alpha).map(|(frame, _)| frame).map_err(failed)
        })
    };
    Ok(Film {
        frames: Frames::new(Box::new(iter::once(Ok(first)).chain(iter::from_fn(next)))),
        count: times.map_or(LoopCount::Infinite, LoopCount::Finite),
        profile,
        orientation,
    })
}

fn frame(
    file: &AvifParser<'_>,
    at: usize,
    light: &mut Stream,
    alpha: &mut Stream,
) -> Result<(Frame, Told), DecodeError> {
    let coded = file.frame(at).map_err(explain)?;
    let (colours, told) = whole(file, &light.next(&coded.data)?)?;
    let size = colours.dimensions();
    let opacities = coded.alpha_data.map(|coded| opacities(&alpha.next(&coded)?, size));
    let image = finished(file, colours, opacities.transpose()?);
    let delay = Delay::from_numer_denom_ms(coded.duration_ms, 1);
    Ok((Frame::from_parts(image.into_rgba8(), 0, 0, delay), told))
}

fn failed(error: DecodeError) -> ImageError {
    let format = ImageFormatHint::Exact(ImageFormat::Avif);
    ImageError::Decoding(DecodingError::new(format, error))
}
