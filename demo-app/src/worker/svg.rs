//! Flow 2, the worker's side: SVG, drawn at the size that is needed.
//!
//! Text is left out, for a worker can open no font. Of pictures inside only those count that the file
//! itself holds.

use std::io::Read;

use flate2::read::GzDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

use super::DecodeError;
use super::decode::{Decoded, check_size};
use crate::layout::Size;

const FORMAT: &str = "SVG";
/// The longest text, in octets.
const LONGEST: u64 = 64 << 20;

/// Draws the picture to fit into `want`.
pub(super) fn decode(mut reader: impl Read, want: Size) -> Result<Decoded, DecodeError> {
    let mut octets = read(&mut reader)?;
    if octets.starts_with(&[0x1F, 0x8B]) {
        octets = read(GzDecoder::new(&*octets)).map_err(|error| match error {
            DecodeError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                DecodeError::Truncated(FORMAT)
            }
            DecodeError::Io(error) => DecodeError::Corrupt(FORMAT, error.to_string()),
            error => error,
        })?;
    }
    let resolver =
        ImageHrefResolver { resolve_string: Box::new(|_, _| None), ..ImageHrefResolver::default() };
    let options = Options { image_href_resolver: resolver, ..Options::default() };
    let tree = Tree::from_data(&octets, &options).map_err(|error| match error {
        _ if !is_closed(&octets) => DecodeError::Truncated(FORMAT),
        error => DecodeError::Corrupt(FORMAT, error.to_string()),
    })?;
    let (width, height) = (tree.size().width(), tree.size().height());
    // The conversion saturates; what is too large is refused.
    let stored = check_size(width.ceil() as u64, height.ceil() as u64, FORMAT)?;
    let fitted = stored.fit_into(want);
    let mut pixmap = Pixmap::new(fitted.width, fitted.height)
        .ok_or(DecodeError::TooHeavy(fitted.pixels().saturating_mul(4)))?;
    let scale = Transform::from_scale(fitted.width as f32 / width, fitted.height as f32 / height);
    resvg::render(&tree, scale, &mut pixmap.as_mut());
    let image = RgbaImage::from_raw(fitted.width, fitted.height, pixmap.take_demultiplied())
        .ok_or_else(|| DecodeError::Corrupt(FORMAT, "rows are missing".into()))?;
    let image = DynamicImage::ImageRgba8(image);
    Ok(Decoded { image, stored, orientation: Orientation::NoTransforms, profile: None })
}

/// Whether the text's last tag ends its first element.
fn is_closed(text: &[u8]) -> bool {
    let last = text.rsplit(|octet| *octet == b'<').next().unwrap_or_default();
    last.starts_with(b"/") && last.windows(4).any(|part| part == b"svg>")
}

fn read(reader: impl Read) -> Result<Vec<u8>, DecodeError> {
    let mut octets = Vec::new();
    reader.take(LONGEST + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > LONGEST {
        return Err(DecodeError::TooHeavy(octets.len() as u64));
    }
    Ok(octets)
}
