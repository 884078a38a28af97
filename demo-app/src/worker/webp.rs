//! Flow 2, the worker's side: the pixels of a WebP, by libwebp.
//!
//! It takes a fifth of the time of `image-webp` 0.2, which tells of headers still, but takes no frame of a film
//! away that is to go. As with JPEG, its C code is what the worker's process is a fence for. It can reduce each row as it comes, which
//! saves memory for all pixels; what a reduced picture does not show, smooth edges of blocks and of
//! colours, is left out then.

use std::num::NonZeroU32;

use image::error::{DecodingError, ImageFormatHint};
use image::metadata::LoopCount;
use image::{Delay, DynamicImage, Frame, Frames, ImageError, ImageFormat, RgbImage, RgbaImage};
use webpx::{AnimationDecoder, ColorMode, Decoder, DecoderConfig, Limits};

use super::scale;
use crate::layout::Size;

/// The picture in `file`, which is of this size, reduced if it is much larger than `wanted`. `None` if it
/// moves or is damaged: the other decoder knows what to say about it.
pub(super) fn pixels(file: &[u8], size: Size, wanted: Size) -> Option<DynamicImage> {
    let decoder = Decoder::new(file).ok()?;
    let info = decoder.info();
    let has_alpha = info.has_alpha;
    if info.has_animation || (info.width, info.height) != (size.width, size.height) {
        return None;
    }
    // Its size has been looked at.
    let mut config = DecoderConfig::new().limits(Limits::none());
    if let Some(Size { width, height }) = scale::on_the_way(size, wanted) {
        config = config.scale(width, height).bypass_filtering(true).no_fancy_upsampling(true);
    }
    let decoder = decoder.config(config);
    if has_alpha {
        let (pixels, width, height) = decoder.decode_rgba_raw().ok()?;
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        let (pixels, width, height) = decoder.decode_rgb_raw().ok()?;
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    }
}

/// The frames of a film in `file`, whose size has been looked at, and how often they are to be shown.
pub(super) fn frames(file: &[u8]) -> Result<(Frames<'static>, LoopCount), ImageError> {
    let opened =
        AnimationDecoder::with_options_limits(file, ColorMode::Rgba, false, &Limits::none());
    let mut decoder = opened.map_err(failed)?;
    let times = NonZeroU32::new(decoder.info().loop_count);
    let next = move || {
        let frame = decoder.next_frame().map_err(failed).transpose()?;
        Some(frame.and_then(|frame| {
            let delay = Delay::from_numer_denom_ms(frame.duration_ms, 1);
            let pixels = RgbaImage::from_raw(frame.width, frame.height, frame.data);
            let pixels = pixels.ok_or_else(|| failed("rows are missing"))?;
            Ok(Frame::from_parts(pixels, 0, 0, delay))
        }))
    };
    let frames = Frames::new(Box::new(std::iter::from_fn(next)));
    Ok((frames, times.map_or(LoopCount::Infinite, LoopCount::Finite)))
}

fn failed(error: impl ToString) -> ImageError {
    let format = ImageFormatHint::Exact(ImageFormat::WebP);
    ImageError::Decoding(DecodingError::new(format, error.to_string()))
}
