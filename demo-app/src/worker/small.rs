//! Flow 2, the worker's side: what `image` 0.25 does not do with formats that are decoded by it otherwise.

use std::io::{BufRead, Cursor, Read, Seek};

use image::{DynamicImage, ImageFormat};

use super::DecodeError;
use super::decode::{Decoded, MEMORY_LIMIT, decode_whole};

const PNG: &[u8] = b"\x89PNG";

/// The largest picture of an icon. `image` refuses those that are PNG without alpha, which others show.
pub(super) fn icon(reader: impl Read) -> Result<Decoded, DecodeError> {
    let octets = whole(reader)?;
    match largest(&octets).filter(|picture| picture.starts_with(PNG)) {
        Some(picture) => decode_whole(Cursor::new(picture), ImageFormat::Png, "icon", |_, _| None),
        None => decode_whole(Cursor::new(&octets), ImageFormat::Ico, "icon", |_, _| None),
    }
}

/// What the directory says is the largest one, and of several the one with the most colours.
fn largest(octets: &[u8]) -> Option<&[u8]> {
    let count = usize::from(u16::from_le_bytes(*octets.get(4..)?.first_chunk()?));
    let (entries, _) = octets.get(6..)?.as_chunks::<16>();
    let best = entries.iter().take(count).max_by_key(|entry| {
        // 0 stands for 256.
        let side = |octet: u8| u32::from(octet.wrapping_sub(1)) + 1;
        (side(entry[0]) * side(entry[1]), u16::from_le_bytes([entry[6], entry[7]]))
    })?;
    let number = |at: usize| entry_number(best, at);
    octets.get(number(12)..number(12).checked_add(number(8))?)
}

fn entry_number(entry: &[u8; 16], at: usize) -> usize {
    u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]) as usize
}

/// A picture that may have alpha. One of which nothing at all is to be seen has room for it only.
pub(super) fn seen(
    reader: impl BufRead + Seek,
    format: ImageFormat,
    name: &'static str,
) -> Result<Decoded, DecodeError> {
    let mut decoded = decode_whole(reader, format, name, |_, _| None)?;
    if let DynamicImage::ImageRgba8(image) = &decoded.image
        && image.pixels().all(|pixel| pixel[3] == 0)
    {
        decoded.image = DynamicImage::ImageRgb8(decoded.image.to_rgb8());
    }
    Ok(decoded)
}

fn whole(reader: impl Read) -> Result<Vec<u8>, DecodeError> {
    let mut octets = Vec::new();
    reader.take(MEMORY_LIMIT).read_to_end(&mut octets)?;
    Ok(octets)
}
