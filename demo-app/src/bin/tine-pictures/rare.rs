//! Pictures in formats for which there is no encoder at hand, and colours in another space.

use std::fmt::Write;
use std::io;

use image::{Rgb, RgbImage};
use moxcms::{ColorProfile, Layout, TransformOptions};
use zune_core::bit_depth::BitDepth;
use zune_core::colorspace::ColorSpace;
use zune_core::options::EncoderOptions;
use zune_jpegxl::JxlSimpleEncoder;

/// A drawing with the corners of the scene, and a hill.
pub(crate) fn svg(image: &RgbImage) -> String {
    let (width, height) = image.dimensions();
    let side = width.min(height) / 4;
    let (right, bottom) = (width - side, height - side);
    let mut svg = format!(
        "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" \
         height=\"{height}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#99c1f1\"/>\n\
         <ellipse cx=\"50%\" cy=\"100%\" rx=\"40%\" ry=\"50%\" fill=\"#57e389\"/>\n"
    );
    for (x, y) in [(0, 0), (right, 0), (0, bottom), (right, bottom)] {
        let Rgb([red, green, blue]) = *image.get_pixel(x, y);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" \
             fill=\"#{red:02x}{green:02x}{blue:02x}\"/>"
        );
    }
    svg + "</svg>\n"
}

/// JPEG XL without loss.
pub(crate) fn jpeg_xl(image: &RgbImage) -> io::Result<Vec<u8>> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let options = EncoderOptions::new(width, height, ColorSpace::RGB, BitDepth::Eight);
    let mut file = Vec::new();
    JxlSimpleEncoder::new(image, options)
        .encode(&mut file)
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    Ok(file)
}

/// DDS, compressed as DXT1. The format is made of blocks of 4 × 4 pixels, each of four colours on a line.
pub(crate) fn dds(image: &RgbImage) -> Vec<u8> {
    let (width, height) = image.dimensions();
    // Caps, height, width, pixel format and linear size are given.
    let mut file = b"DDS ".to_vec();
    for word in [124, 0x8_1007, height, width, width.div_ceil(4) * height.div_ceil(4) * 8, 0, 1] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 44]);
    // The pixel format: its size, that it has a name, and the name.
    file.extend([32_u32, 4].map(u32::to_le_bytes).concat());
    file.extend(b"DXT1");
    file.extend([0; 20]);
    // A texture.
    file.extend([0x1000_u32, 0, 0, 0, 0].map(u32::to_le_bytes).concat());
    for top in (0..height).step_by(4) {
        for left in (0..width).step_by(4) {
            file.extend(dxt1_block(image, left, top));
        }
    }
    file
}

/// The darkest and the brightest colour, and for each pixel which of them is nearer.
fn dxt1_block(image: &RgbImage, left: u32, top: u32) -> [u8; 8] {
    let (width, height) = image.dimensions();
    let brightness = |pixel: &Rgb<u8>| pixel.0.iter().map(|&value| u32::from(value)).sum::<u32>();
    let pixels: Vec<Rgb<u8>> = (0..16)
        .map(|index| {
            let (x, y) = (left + index % 4, top + index / 4);
            *image.get_pixel(x.min(width - 1), y.min(height - 1))
        })
        .collect();
    let dark = pixels.iter().copied().min_by_key(brightness).unwrap_or(Rgb([0; 3]));
    let bright = pixels.iter().copied().max_by_key(brightness).unwrap_or(Rgb([0; 3]));
    let (middle, mut choices) = ((brightness(&dark) + brightness(&bright)) / 2, 0_u32);
    for (index, pixel) in pixels.iter().enumerate() {
        // 0 is the first colour, 1 the second.
        choices |= u32::from(brightness(pixel) <= middle) << (2 * index);
    }
    let mut block = [0; 8];
    block[..2].copy_from_slice(&rgb565(bright).to_le_bytes());
    block[2..4].copy_from_slice(&rgb565(dark).to_le_bytes());
    block[4..].copy_from_slice(&choices.to_le_bytes());
    block
}

fn rgb565(Rgb([red, green, blue]): Rgb<u8>) -> u16 {
    let part = |value: u8, most: u16| (u16::from(value) * most + 127) / 255;
    part(red, 31) << 11 | part(green, 63) << 5 | part(blue, 31)
}

/// The same colours in the space of Display P3, and its profile.
pub(crate) fn in_p3(image: &RgbImage) -> io::Result<(RgbImage, Vec<u8>)> {
    let (srgb, p3) = (ColorProfile::new_srgb(), ColorProfile::new_display_p3());
    let options = TransformOptions::default();
    let transform = srgb
        .create_transform_8bit(Layout::Rgb, &p3, Layout::Rgb, options)
        .map_err(io::Error::other)?;
    let mut wide = image.clone();
    transform.transform(image, &mut wide).map_err(io::Error::other)?;
    Ok((wide, p3.encode().map_err(io::Error::other)?))
}
