//! Flow 2, the worker's side: JPEG XL. Its decoder turns the picture upright itself.

use std::error::Error;
use std::io::{self, Read};

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer};
use jxl_oxide::{AllocTracker, EnumColourEncoding, JxlImage, PixelFormat, RenderingIntent};

use super::DecodeError;
use super::decode::{Decoded, MEMORY_LIMIT, check_size};

const FORMAT: &str = "JPEG XL";

/// Decodes the first frame.
pub(super) fn decode(reader: impl Read) -> Result<Decoded, DecodeError> {
    let tracker = AllocTracker::with_limit(2 * MEMORY_LIMIT as usize);
    let mut jxl = JxlImage::builder().alloc_tracker(tracker).read(reader).map_err(explain)?;
    let stored = check_size(jxl.width().into(), jxl.height().into(), FORMAT)?;
    let octets = stored.pixels() * 4 * size_of::<f32>() as u64;
    if octets > 2 * MEMORY_LIMIT {
        return Err(DecodeError::TooHeavy(octets));
    }
    // All of the file was read: a frame that is not whole is one that was cut off.
    if !jxl.is_loading_done() && jxl.num_loaded_keyframes() == 0 {
        return Err(DecodeError::Truncated(FORMAT));
    }
    // What is coded as the eye sees it is in no space of its own, whatever profile it had before.
    let has_profile = jxl.original_icc().is_some() && !jxl.image_header().metadata.xyb_encoded;
    if !has_profile {
        jxl.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Relative));
    }
    let format = jxl.pixel_format();
    let frame = jxl.render_frame(0).map_err(explain)?;
    let mut stream = frame.stream();
    let mut samples = vec![0_u8; stored.pixels() as usize * stream.channels() as usize];
    stream.write_to_buffer(&mut samples);
    let image = image(stored.width, stored.height, samples, format)?;
    let profile = has_profile.then(|| jxl.rendered_icc());
    Ok(Decoded { image, stored, orientation: Orientation::NoTransforms, profile })
}

fn explain(error: Box<dyn Error + Send + Sync>) -> DecodeError {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::UnexpectedEof) => DecodeError::Truncated(FORMAT),
        _ => DecodeError::Corrupt(FORMAT, error.to_string()),
    }
}

fn image(
    width: u32,
    height: u32,
    samples: Vec<u8>,
    format: PixelFormat,
) -> Result<DynamicImage, DecodeError> {
    let image = match format {
        PixelFormat::Gray => {
            ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8)
        }
        PixelFormat::Graya => {
            ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8)
        }
        PixelFormat::Rgb => {
            ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8)
        }
        PixelFormat::Rgba => {
            ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8)
        }
        PixelFormat::Cmyk | PixelFormat::Cmyka => {
            return Err(DecodeError::Unsupported("JPEG XL of printing inks".into()));
        }
    };
    image.ok_or_else(|| DecodeError::Corrupt(FORMAT, "rows are missing".into()))
}
