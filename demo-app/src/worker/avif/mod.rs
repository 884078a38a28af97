//! Flow 2, the worker's side: AVIF, where the program was built with it. It is the file's main picture, or the first
//! one of a sequence.
//!
//! ```text
//! file ── zenavif-parse ──▶ streams ── av1 ──▶ samples ── colours ──▶ red, green, blue ── light, or a profile ──▶ sRGB
//! ```
//! rav1d, the Rust translation of dav1d, decodes the streams, in this thread alone.

mod av1;
mod colours;
mod film;

use std::borrow::Cow;
use std::io::Read;

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, RgbaImage};
use zenavif_parse::{
    AvifParser, CleanAperture, ColorInformation, DecodeConfig, Error, Unstoppable,
};

use self::av1::Frame;
use self::colours::{Told, each_row, eight_bits, opacity};
use super::decode::{Decoded, MEMORY_LIMIT, check_size};
use super::light::Light;
use super::{DecodeError, colour};
use crate::layout::Size;

pub(super) use self::film::film;

const FORMAT: &str = "AVIF";

/// What such files begin with: the length of the first box, its name, and the kind of the file.
pub(super) fn is_avif(head: &[u8]) -> bool {
    is_told(head, b"avif") || is_sequence(head)
}

/// Whether a file with such a beginning has several pictures.
pub(super) fn is_sequence(head: &[u8]) -> bool {
    is_told(head, b"avis")
}

/// Whether it says that it is of this kind.
fn is_told(head: &[u8], wanted: &[u8; 4]) -> bool {
    let Some((&[a, b, c, d, b'f', b't', b'y', b'p'], rest)) = head.split_first_chunk::<8>() else {
        return false;
    };
    // The kinds that it is as well come behind a version.
    let length = (u32::from_be_bytes([a, b, c, d]) as usize).clamp(8, head.len());
    let (told, _) = rest[..length - 8].as_chunks::<4>();
    told.iter().enumerate().any(|(at, kind)| at != 1 && kind == wanted)
}

/// Decodes the picture.
pub(super) fn decode(reader: impl Read) -> Result<Decoded, DecodeError> {
    let file = parsed(octets(reader)?)?;
    let (colours, told) = colours(&file)?;
    let alpha = alpha(&file, colours.dimensions())?;
    let image = finished(&file, colours, alpha);
    let profile = profile(&file, &told);
    let stored = Size::new(image.width(), image.height());
    Ok(Decoded { image, stored, orientation: orientation(&file), profile })
}

fn octets(reader: impl Read) -> Result<Vec<u8>, DecodeError> {
    let mut octets = Vec::new();
    reader.take(MEMORY_LIMIT).read_to_end(&mut octets)?;
    Ok(octets)
}

fn parsed(mut octets: Vec<u8>) -> Result<AvifParser<'static>, DecodeError> {
    // The parser wants this to be the first of the file's kinds.
    if !matches!(octets.get(8..12), Some(b"avif" | b"avis")) {
        octets.get_mut(8..12).ok_or(DecodeError::Truncated(FORMAT))?.copy_from_slice(b"avif");
    }
    let config = DecodeConfig::default().lenient(true);
    AvifParser::from_owned_with_config(octets, &config, &Unstoppable).map_err(explain)
}

/// Colours with their alpha, of which that part is left that is to be shown.
fn finished(file: &AvifParser<'_>, colours: RgbImage, alpha: Option<Vec<u8>>) -> DynamicImage {
    let image = match alpha {
        None => DynamicImage::ImageRgb8(colours),
        Some(alpha) => with_alpha(&colours, &alpha, file.premultiplied_alpha()).into(),
    };
    match file.clean_aperture().and_then(|part| part_shown(part, &image)) {
        None => image,
        Some(([x, y], Size { width, height })) => image.crop_imm(x, y, width, height),
    }
}

fn profile(file: &AvifParser<'_>, told: &Told) -> Option<Vec<u8>> {
    match file.color_info() {
        Some(ColorInformation::IccProfile(profile)) => Some(profile.clone()),
        // These are sRGB by now.
        _ if Light::of(told.primaries, told.transfer).is_some() => None,
        _ => colour::profile_of(told.primaries, told.transfer),
    }
}

/// The colours of the picture, which may be put together from several ones.
fn colours(file: &AvifParser<'_>) -> Result<(RgbImage, Told), DecodeError> {
    let Some(grid) = file.grid_config() else {
        return whole(file, &Frame::decode(&first_frame(file)?.0)?);
    };
    let (columns, rows) = (usize::from(grid.columns), usize::from(grid.rows));
    let tiles = file.grid_tile_count();
    if tiles == 0 || columns * rows != tiles {
        return Err(corrupt("parts of the picture are missing"));
    }
    let tile = |at| Frame::decode(&file.tile_data(at).map_err(explain)?);
    let first = tile(0)?;
    let (width, height) = first.size();
    let side = |told: u32, tile: u32, tiles: usize| match told {
        0 => u64::from(tile) * tiles as u64,
        told => u64::from(told).min(u64::from(tile) * tiles as u64),
    };
    let mut canvas = Canvas::new(
        side(grid.output_width, width, columns),
        side(grid.output_height, height, rows),
    )?;
    let told = canvas.draw(file, &first, [0, 0])?;
    for at in 1..tiles {
        let (x, y) = ((at % columns) as u32 * width, (at / columns) as u32 * height);
        canvas.draw(file, &tile(at)?, [x, y])?;
    }
    Ok((canvas.0, told))
}

/// The colours of a frame that is all of a picture.
fn whole(file: &AvifParser<'_>, frame: &Frame) -> Result<(RgbImage, Told), DecodeError> {
    let (width, height) = frame.size();
    let mut canvas = Canvas::new(u64::from(width), u64::from(height))?;
    let told = canvas.draw(file, frame, [0, 0])?;
    Ok((canvas.0, told))
}

/// What is drawn upon.
struct Canvas(RgbImage);

impl Canvas {
    fn new(width: u64, height: u64) -> Result<Self, DecodeError> {
        let Size { width, height } = check_size(width, height, FORMAT)?;
        Ok(Self(RgbImage::new(width, height)))
    }

    /// Draws a frame there, as far as there is room; gives by what it was told.
    fn draw(
        &mut self,
        file: &AvifParser<'_>,
        frame: &Frame,
        [left, top]: [u32; 2],
    ) -> Result<Told, DecodeError> {
        let told = told(file, frame);
        let light = Light::of(told.primaries, told.transfer);
        let (width, left, top) = (self.0.width() as usize, left as usize, top as usize);
        let mut rows: Vec<_> = self.0.chunks_exact_mut(3 * width).skip(top).collect();
        each_row(frame, &told, |row, colours| {
            let Some(row) = rows.get_mut(row).and_then(|row| row.get_mut(3 * left..)) else {
                return;
            };
            for (pixel, colours) in row.as_chunks_mut().0.iter_mut().zip(colours) {
                *pixel = match &light {
                    Some(light) => light.show(*colours),
                    None => colours.map(eight_bits),
                };
            }
        })?;
        drop(rows);
        Ok(told)
    }
}

/// What the file says of colours comes before what its stream says.
fn told(file: &AvifParser<'_>, frame: &Frame) -> Told {
    match file.color_info() {
        Some(&ColorInformation::Nclx {
            color_primaries: primaries,
            transfer_characteristics: transfer,
            matrix_coefficients: matrix,
            full_range: is_full,
        }) => Told { primaries, transfer, matrix, is_full },
        _ => frame.told(),
    }
}

/// A stream of AV1.
type Coded<'a> = Cow<'a, [u8]>;

/// What is coded of the picture, or of the first of many, and of its alpha.
fn first_frame<'a>(
    file: &'a AvifParser<'_>,
) -> Result<(Coded<'a>, Option<Coded<'a>>), DecodeError> {
    let primary = file.primary_data().map_err(explain)?;
    if primary.is_empty() && file.animation_info().is_some() {
        let frame = file.frame(0).map_err(explain)?;
        return Ok((frame.data, frame.alpha_data));
    }
    Ok((primary, file.alpha_data().transpose().map_err(explain)?))
}

/// How opaque each pixel is.
fn alpha(file: &AvifParser<'_>, size: (u32, u32)) -> Result<Option<Vec<u8>>, DecodeError> {
    // Of a picture of several ones it would be several, too, and the parser does not tell which.
    if file.grid_config().is_some() {
        return Ok(None);
    }
    let Some(coded) = first_frame(file)?.1 else { return Ok(None) };
    opacities(&Frame::decode(&coded)?, size).map(Some)
}

/// How opaque each pixel of a picture of this size is.
fn opacities(frame: &Frame, size: (u32, u32)) -> Result<Vec<u8>, DecodeError> {
    if frame.size() != size {
        return Err(corrupt("its transparency is of another size"));
    }
    Ok((0..size.1 as usize).flat_map(|row| opacity(frame, row)).collect())
}

fn with_alpha(colours: &RgbImage, alpha: &[u8], is_premultiplied: bool) -> RgbaImage {
    let mut alpha = alpha.iter();
    RgbaImage::from_fn(colours.width(), colours.height(), |x, y| {
        let alpha = alpha.next().copied().unwrap_or(u8::MAX);
        let [red, green, blue] = match is_premultiplied {
            true => colours.get_pixel(x, y).0.map(|colour| divided(colour, alpha)),
            false => colours.get_pixel(x, y).0,
        };
        image::Rgba([red, green, blue, alpha])
    })
}

fn divided(colour: u8, alpha: u8) -> u8 {
    let alpha = u16::from(alpha).max(1);
    ((u16::from(colour) * 255 + alpha / 2) / alpha).min(255) as u8
}

/// What is to be shown of the picture: from where on, and how much; `None` if that is no part of it.
fn part_shown(part: &CleanAperture, image: &DynamicImage) -> Option<([u32; 2], Size)> {
    let along = |size: (u32, u32), offset: (i32, u32), whole: u32| {
        let parts = |value: f64, of: u32| (of > 0).then(|| value / f64::from(of));
        let size = parts(f64::from(size.0), size.1)?;
        // From the middle of the whole to the middle of the part.
        let start = (f64::from(whole) - size) / 2.0 + parts(f64::from(offset.0), offset.1)?;
        let fits = start >= 0.0 && size >= 1.0 && start + size <= f64::from(whole);
        (fits && size.fract() == 0.0 && start.fract() == 0.0).then_some((start as u32, size as u32))
    };
    let (width, height) = ((part.width_n, part.width_d), (part.height_n, part.height_d));
    let (x, width) = along(width, (part.horiz_off_n, part.horiz_off_d), image.width())?;
    let (y, height) = along(height, (part.vert_off_n, part.vert_off_d), image.height())?;
    Some(([x, y], Size::new(width, height)))
}

/// First it is turned, against the clock, then mirrored: 0 changes top and bottom, 1 left and right.
fn orientation(file: &AvifParser<'_>) -> Orientation {
    const TOP_BOTTOM: u8 = 0;
    let turned = file.rotation().map_or(0, |rotation| rotation.angle);
    match (turned, file.mirror().map(|mirror| mirror.axis)) {
        (90, None) => Orientation::Rotate270,
        (180, None) => Orientation::Rotate180,
        (270, None) => Orientation::Rotate90,
        (_, None) => Orientation::NoTransforms,
        (90, Some(TOP_BOTTOM)) => Orientation::Rotate90FlipH,
        (90, Some(_)) => Orientation::Rotate270FlipH,
        (180, Some(TOP_BOTTOM)) => Orientation::FlipHorizontal,
        (180, Some(_)) => Orientation::FlipVertical,
        (270, Some(TOP_BOTTOM)) => Orientation::Rotate270FlipH,
        (270, Some(_)) => Orientation::Rotate90FlipH,
        (_, Some(TOP_BOTTOM)) => Orientation::FlipVertical,
        (_, Some(_)) => Orientation::FlipHorizontal,
    }
}

fn explain(error: Error) -> DecodeError {
    match error {
        Error::UnexpectedEOF => DecodeError::Truncated(FORMAT),
        Error::Unsupported(what) => DecodeError::Unsupported(format!("AVIF: {what}")),
        Error::Io(error) => DecodeError::Io(error),
        error => corrupt(error),
    }
}

fn corrupt(error: impl ToString) -> DecodeError {
    DecodeError::Corrupt(FORMAT, error.to_string())
}
