//! Flow 2, the worker's side: a file becomes pixels that fit the wanted size.
//!
//! The steps: look at the content, never at the name; check what the header claims before anything
//! is allocated for it; decode, scaled where the format can (JPEG, SVG); bring to the tile's pixel
//! format and to sRGB; reduce; turn as EXIF says.
//!
//! A file that ends too early is an error, for a grey or torn tile would look like the picture. The
//! one exception: a JPEG of which only the end mark, or no more than the last few rows, are missing.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::colour::Colours;
use super::format::Format;
use super::positioned::Positioned;
use super::watched::{Ended, Watched};
use super::{
    DecodeError, Pixels, chunks, colour, dds, exr, gif, jpeg, jxl, scale, small, svg, tiff, webp,
};
use crate::layout::Size;

/// The largest picture, in pixels, that a worker takes on: 16,384 squared, more than the cameras
/// of 200 million pixels give.
pub const PIXEL_LIMIT: u64 = 1 << 28;

/// The most that a picture may take when it is decoded at its own size, in octets: 128 million pixels
/// with alpha. As much again goes into the decoder and the change of its format.
pub(super) const MEMORY_LIMIT: u64 = 512 << 20;

/// A decoded picture, reduced and right side up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What is to be shown: at most the wanted size, the picture's own size if that is smaller.
    pub pixels: Pixels,
    /// The picture's own size, right side up.
    pub original: Size,
    /// The EXIF orientation that was applied, 1 (none) to 8.
    pub orientation: u8,
    /// It is the first of several frames.
    pub animated: bool,
}

/// A picture as its decoder gave it.
pub(super) struct Decoded {
    pub(super) image: DynamicImage,
    /// Before any reduction, as stored in the file.
    pub(super) stored: Size,
    pub(super) orientation: Orientation,
    /// The ICC profile of its colours; sRGB without.
    pub(super) profile: Option<Vec<u8>>,
}

/// Decodes the picture in `file`, from its start, to fit into `want` without being enlarged. The file's
/// offset stays where it is.
///
/// Of several pictures in a file (an animation, an icon) it is the first, or the format's best.
///
/// # Errors
///
/// - [`DecodeError::NotAFile`] if `file` is a directory, a pipe, a device: nothing was read from it.
/// - [`DecodeError::TooLarge`] or [`DecodeError::TooHeavy`] if the header claims more pixels or
///   memory than there may be: none was allocated.
/// - The other kinds of [`DecodeError`] for what is no picture, or a damaged one.
pub fn decode(file: File, want: Size) -> Result<Picture, DecodeError> {
    if !file.metadata()?.is_file() {
        return Err(DecodeError::NotAFile);
    }
    let mut reader = BufReader::with_capacity(1 << 16, Positioned::new(file));
    let head = reader.fill_buf()?;
    if head.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = Format::of(head).ok_or(DecodeError::NotAPicture)?;
    let told = match format {
        Format::Other(ImageFormat::Png) => chunks::told(head),
        _ => None,
    };
    let mut animated = format.is_animated(head);
    if format == Format::Other(ImageFormat::Gif) {
        animated = gif::moves(&mut reader);
        reader.rewind()?;
    }
    let decoded = match format {
        Format::Jpeg => jpeg::decode(reader, want)?,
        Format::Svg => svg::decode(reader, want)?,
        Format::JpegXl => jxl::decode(reader)?,
        #[cfg(feature = "avif")]
        Format::Other(ImageFormat::Avif) => super::avif::decode(reader)?,
        Format::Other(ImageFormat::WebP) => {
            let mut octets = Vec::new();
            reader.take(MEMORY_LIMIT).read_to_end(&mut octets)?;
            let file = Cursor::new(&octets[..]);
            decode_whole(file, ImageFormat::WebP, format.name(), |stored, orientation| {
                webp::pixels(&octets, stored, fitted(stored, orientation, want))
            })?
        }
        Format::Other(ImageFormat::Ico) => small::icon(reader)?,
        Format::Other(other @ (ImageFormat::Bmp | ImageFormat::Tga)) => {
            small::seen(reader, other, format.name())?
        }
        Format::Other(ImageFormat::Dds) => dds::decode(reader)?,
        Format::Other(ImageFormat::Tiff) => tiff::decode(reader)?,
        Format::Other(ImageFormat::OpenExr) => exr::decode(reader)?,
        Format::Other(ImageFormat::Png) => {
            let decoded = decode_whole(reader, ImageFormat::Png, format.name(), |_, _| None)?;
            match told {
                None => decoded,
                Some(Colours::Srgb) => Decoded { profile: None, ..decoded },
                Some(Colours::By(profile)) => Decoded { profile: Some(profile), ..decoded },
                Some(Colours::Bright(light)) => {
                    Decoded { image: light.show_all(decoded.image), profile: None, ..decoded }
                }
            }
        }
        Format::Other(other) => decode_whole(reader, other, format.name(), |_, _| None)?,
    };
    Ok(Picture { animated, ..finish(decoded, want) })
}

/// Whether a picture turned by `orientation` lies on its side.
pub(super) fn is_sideways(orientation: Orientation) -> bool {
    orientation.to_exif() >= 5
}

/// Refuses what is empty or larger than [`PIXEL_LIMIT`].
pub(super) fn check_size(
    width: u64,
    height: u64,
    format: &'static str,
) -> Result<Size, DecodeError> {
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(0), _) | (_, Ok(0)) => Err(DecodeError::Corrupt(format, "it has no pixels".into())),
        (Ok(w), Ok(h)) if width.saturating_mul(height) <= PIXEL_LIMIT => Ok(Size::new(w, h)),
        _ => Err(DecodeError::TooLarge(width, height)),
    }
}

/// All formats that can only be decoded at their own size. Where `pixels` has them they are not decoded
/// here.
pub(super) fn decode_whole(
    reader: impl BufRead + Seek,
    format: ImageFormat,
    name: &'static str,
    pixels: impl FnOnce(Size, Orientation) -> Option<DynamicImage>,
) -> Result<Decoded, DecodeError> {
    let reader = Watched::new(reader);
    let ended = reader.ended();
    let explain = |error| explain(error, name, &ended);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY_LIMIT);
    let mut reader = ImageReader::with_format(reader, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    let stored = check_size(width.into(), height.into(), name)?;
    if decoder.total_bytes() > MEMORY_LIMIT {
        return Err(DecodeError::TooHeavy(decoder.total_bytes()));
    }
    // Damaged EXIF data is no reason to withhold the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let image = match pixels(stored, orientation) {
        Some(image) => image,
        None => DynamicImage::from_decoder(decoder).map_err(explain)?,
    };
    Ok(Decoded { image, stored, orientation, profile })
}

/// The size of a picture, as stored, that fits into `want` when it is right side up.
fn fitted(stored: Size, orientation: Orientation, want: Size) -> Size {
    stored.fit_into(turned(want, orientation))
}

fn turned(size: Size, orientation: Orientation) -> Size {
    if is_sideways(orientation) { size.transposed() } else { size }
}

fn finish(decoded: Decoded, want: Size) -> Picture {
    let Decoded { image, stored, orientation, profile } = decoded;
    let fitted = fitted(stored, orientation, want);
    let linear = colour::is_linear(&image);
    let image = if linear { colour::from_linear(image) } else { image };
    let mut image = match profile.filter(|_| !linear) {
        // Opaque: there are fewer pixels when it is reduced.
        Some(profile) if !image.color().has_alpha() => {
            colour::to_srgb(scale::to_size(scale::to_tile_format(image), fitted), &profile)
        }
        Some(profile) => {
            let image = colour::to_srgb(image.into_rgba8().into(), &profile);
            scale::to_size(scale::to_tile_format(image), fitted)
        }
        None => scale::to_size(scale::to_tile_format(image), fitted),
    };
    image.apply_orientation(orientation);
    Picture {
        pixels: Pixels::from_image(image),
        original: turned(stored, orientation),
        orientation: orientation.to_exif(),
        animated: false,
    }
}

/// A decoder that fails after it has asked for more than there was failed for lack of it.
pub(super) fn explain(error: ImageError, format: &'static str, ended: &Ended) -> DecodeError {
    match error {
        _ if ended.get() => DecodeError::Truncated(format),
        ImageError::IoError(error) => DecodeError::Io(error),
        ImageError::Unsupported(error) => DecodeError::Unsupported(error.to_string()),
        // The outer error only repeats the format.
        error => match error.source() {
            Some(decoder) => DecodeError::Corrupt(format, in_words(&decoder.to_string())),
            None => DecodeError::Corrupt(format, error.to_string()),
        },
    }
}

/// Of what `png` 0.18 writes out of a chunk its name.
fn in_words(text: &str) -> String {
    let parts = text.split_once("ChunkType { type: ").and_then(|(before, rest)| {
        let (name, rest) = rest.split_once(',')?;
        Some((before, name, rest.split_once(" }")?.1))
    });
    match parts {
        Some((before, name, after)) => format!("{before}{name}{}", in_words(after)),
        None => text.to_owned(),
    }
}
