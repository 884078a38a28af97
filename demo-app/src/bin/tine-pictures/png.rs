//! PNG by hand, for what no encoder at hand writes: interlaced files, EXIF data, false claims.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{Rgb, RgbImage};
use tine_viewer::chunk;

use crate::scene::CORNERS;

const SIGNATURE: [u8; 8] = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY: u8 = 0;
const RGB: u8 = 2;
const INDEXED: u8 = 3;
const RGBA: u8 = 6;
/// Shades of each colour in a palette.
const SHADES: u8 = 6;
/// Start column and row, step to the right and down, of each of Adam7's passes.
const PASSES: [(u32, u32, usize, usize); 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

/// An interlaced picture.
pub(crate) fn interlaced(image: &RgbImage) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for (column, row, right, down) in PASSES {
        if column >= image.width() {
            continue; // a pass without pixels has no filter octets either
        }
        for y in (row..image.height()).step_by(down) {
            lines.push(0);
            for x in (column..image.width()).step_by(right) {
                lines.extend(image.get_pixel(x, y).0);
            }
        }
    }
    file(header(image.width(), image.height(), 8, RGB, true), None, &lines)
}

/// A picture with a palette: six shades of each colour, and those of the corners.
pub(crate) fn palette(image: &RgbImage) -> io::Result<Vec<u8>> {
    let step = 255 / (SHADES - 1);
    let shades = || (0..SHADES).map(|shade| shade * step);
    let cube = shades().flat_map(|r| shades().flat_map(move |g| shades().map(move |b| [r, g, b])));
    let palette: Vec<u8> = cube.chain(CORNERS).flatten().collect();
    let index = |&Rgb(colour): &Rgb<u8>| match CORNERS.iter().position(|&corner| corner == colour) {
        Some(corner) => SHADES.pow(3) + corner as u8,
        None => colour
            .iter()
            .fold(0, |index, value| index * SHADES + value.saturating_add(step / 2) / step),
    };
    let mut lines = Vec::new();
    for row in image.rows() {
        lines.push(0);
        lines.extend(row.map(index));
    }
    let header = header(image.width(), image.height(), 8, INDEXED, false);
    file(header, Some((b"PLTE", &palette)), &lines)
}

/// A picture with EXIF data, `tiff` beginning with its byte order.
pub(crate) fn with_exif(image: &RgbImage, tiff: &[u8]) -> io::Result<Vec<u8>> {
    let header = header(image.width(), image.height(), 8, RGB, false);
    file(header, Some((b"eXIf", tiff)), &lines(image))
}

/// A picture whose colours are in the space of this ICC profile.
pub(crate) fn with_profile(image: &RgbImage, profile: &[u8]) -> io::Result<Vec<u8>> {
    let chunk = [b"profile\0\0".as_slice(), &compressed(profile)?].concat();
    let header = header(image.width(), image.height(), 8, RGB, false);
    file(header, Some((b"iCCP", &chunk)), &lines(image))
}

/// An animation for ever, of frames of one size, a tenth of a second each.
pub(crate) fn animated(frames: &[RgbImage]) -> io::Result<Vec<u8>> {
    let mut png = Vec::from(SIGNATURE);
    let (width, height) = frames.first().map_or((0, 0), RgbImage::dimensions);
    chunk::push(&mut png, b"IHDR", &header(width, height, 8, RGB, false));
    chunk::push(&mut png, b"acTL", &[(frames.len() as u32).to_be_bytes(), [0; 4]].concat());
    let mut sequence = 0_u32;
    for (number, frame) in frames.iter().enumerate() {
        let place = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
        // A tenth of a second; nothing is disposed of, nothing blended.
        chunk::push(&mut png, b"fcTL", &[&place[..], &[0, 1, 0, 10, 0, 0]].concat());
        sequence += 1;
        let pixels = compressed(&lines(frame))?;
        if number == 0 {
            chunk::push(&mut png, b"IDAT", &pixels);
        } else {
            chunk::push(&mut png, b"fdAT", &[&sequence.to_be_bytes()[..], &pixels].concat());
            sequence += 1;
        }
    }
    chunk::push(&mut png, b"IEND", &[]);
    Ok(png)
}

/// Rows without a filter.
fn lines(image: &RgbImage) -> Vec<u8> {
    let rows = image.rows();
    rows.flat_map(|row| [0].into_iter().chain(row.flat_map(|pixel| pixel.0))).collect()
}

fn compressed(octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(octets)?;
    zlib.finish()
}

/// A file of 65 octets that claims to have `width` × `height` pixels: of one bit, or of 64.
pub(crate) fn claiming(width: u32, height: u32, deep: bool) -> io::Result<Vec<u8>> {
    let (depth, colour) = if deep { (16, RGBA) } else { (1, GREY) };
    file(header(width, height, depth, colour, false), None, &[])
}

fn header(width: u32, height: u32, depth: u8, colour: u8, interlaced: bool) -> Vec<u8> {
    let tail = [depth, colour, 0, 0, u8::from(interlaced)];
    [&width.to_be_bytes()[..], &height.to_be_bytes(), &tail].concat()
}

fn file(header: Vec<u8>, extra: Option<(&[u8; 4], &[u8])>, lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut png = Vec::from(SIGNATURE);
    chunk::push(&mut png, b"IHDR", &header);
    if let Some((name, data)) = extra {
        chunk::push(&mut png, name, data);
    }
    chunk::push(&mut png, b"IDAT", &compressed(lines)?);
    chunk::push(&mut png, b"IEND", &[]);
    Ok(png)
}
