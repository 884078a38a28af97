//! Flow 2, the worker's side: DDS, the textures of games: compressed in all ways that there are, and not at all.
//!
//! Of several pictures in a file it is the first: of a cube one side, of a volume one slice.

use std::io::{self, Read, Seek, SeekFrom};

use dds::header::ParseOptions;
use dds::{Channels, ColorFormat, Decoder, DecodingError, ImageViewMut, Precision};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, Rgb32FImage};

use super::DecodeError;
use super::decode::{Decoded, MEMORY_LIMIT, check_size};
use crate::layout::Size;

const FORMAT: &str = "DDS";

/// Decodes the first picture.
pub(super) fn decode(mut reader: impl Read + Seek) -> Result<Decoded, DecodeError> {
    // Many a program writes headers that are not as they should be.
    let length = reader.seek(SeekFrom::End(0))?;
    reader.rewind()?;
    let options = ParseOptions::new_permissive(Some(length));
    let mut decoder = Decoder::new_with_options(reader, &options).map_err(explain)?;
    let size = decoder.main_size();
    let stored = check_size(size.width.into(), size.height.into(), FORMAT)?;
    let native = decoder.native_color();
    // Light that can be brighter than white.
    let is_light = native.precision == Precision::F32;
    let has_alpha = !is_light && matches!(native.channels, Channels::Rgba | Channels::Alpha);
    let precision = if is_light { Precision::F32 } else { Precision::U8 };
    let channels = if has_alpha { Channels::Rgba } else { Channels::Rgb };
    let color = ColorFormat { channels, precision };
    let octets = stored.pixels() * u64::from(color.bytes_per_pixel());
    if octets > MEMORY_LIMIT {
        return Err(DecodeError::TooHeavy(octets));
    }
    let mut pixels = vec![0; octets as usize];
    let view = ImageViewMut::new(&mut pixels, size, color).ok_or_else(missing)?;
    decoder.read_surface(view).map_err(explain)?;
    let image = image(stored, pixels, is_light, has_alpha).ok_or_else(missing)?;
    Ok(Decoded { image, stored, orientation: Orientation::NoTransforms, profile: None })
}

fn image(size: Size, pixels: Vec<u8>, is_light: bool, has_alpha: bool) -> Option<DynamicImage> {
    let Size { width, height } = size;
    if is_light {
        let light = pixels.as_chunks().0.iter().copied().map(f32::from_ne_bytes).collect();
        return Rgb32FImage::from_raw(width, height, light).map(DynamicImage::ImageRgb32F);
    }
    match has_alpha {
        true => ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8),
        false => ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    }
}

fn missing() -> DecodeError {
    DecodeError::Corrupt(FORMAT, "rows are missing".into())
}

fn explain(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(FORMAT)
        }
        DecodingError::Io(error) => DecodeError::Io(error),
        DecodingError::Format(error) => DecodeError::Unsupported(format!("DDS: {error}")),
        error => DecodeError::Corrupt(FORMAT, error.to_string()),
    }
}
