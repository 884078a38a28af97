//! Flow 2, the worker's side: any decoder's pixels, brought to the tile's format and size.
//!
//! Reduction happens in two steps: whole blocks of pixels are averaged until the picture is between
//! two and four times too large, which costs one pass over memory, and only the rest is resampled
//! with a good filter.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, RgbImage, RgbaImage};

use crate::layout::Size;

/// Below this factor blocks are not averaged first: the filter needs pixels to work on.
const OVERSAMPLING: u32 = 2;
/// The sum of so many octets fits into 16 bits.
const LARGEST_BLOCK: u32 = 257;

/// RGB with 8 bits, or RGBA with 8 bits and the colours premultiplied by alpha where the picture has
/// any transparency.
pub(super) fn to_tile_format(image: DynamicImage) -> DynamicImage {
    match to_eight_bits(image) {
        DynamicImage::ImageRgba8(mut image) => {
            premultiply(&mut image);
            DynamicImage::ImageRgba8(image)
        }
        image => image,
    }
}

/// RGB or RGBA with 8 bits. `image` would do it by way of floating point.
fn to_eight_bits(image: DynamicImage) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    let rgb = |bytes| RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8);
    let rgba = |bytes| RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8);
    let converted = match image {
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => return image,
        DynamicImage::ImageLuma8(grey) => {
            rgb(grey.as_raw().iter().flat_map(|&grey| [grey; 3]).collect())
        }
        DynamicImage::ImageLumaA8(grey) => {
            let (pixels, _) = grey.as_raw().as_chunks::<2>();
            rgba(pixels.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect())
        }
        DynamicImage::ImageRgb16(image) => rgb(image.as_raw().iter().map(upper_octet).collect()),
        DynamicImage::ImageRgba16(image) => rgba(image.as_raw().iter().map(upper_octet).collect()),
        image if image.color().has_alpha() => Some(image.into_rgba8().into()),
        image => Some(image.into_rgb8().into()),
    };
    converted.expect("each pixel becomes one")
}

/// `value × 255 / 65535`, rounded.
fn upper_octet(value: &u16) -> u8 {
    ((u32::from(*value) * 255 + 32_895) >> 16) as u8
}

/// Multiplies colours by alpha, `colour × alpha / 255`, rounded: two in one multiplication, and several
/// pixels at once where the processor can.
fn premultiply(rgba: &mut [u8]) {
    const EVEN: u32 = 0x00FF_00FF;
    let times = |pair: u32, alpha: u32| {
        let product = pair * alpha + 0x0080_0080;
        ((product + ((product >> 8) & EVEN)) >> 8) & EVEN
    };
    for pixel in rgba.as_chunks_mut::<4>().0 {
        let value = u32::from_le_bytes(*pixel);
        let alpha = value >> 24;
        let (red_blue, green) = (times(value & EVEN, alpha), times((value >> 8) & 0xFF, alpha));
        *pixel = (red_blue | (green << 8) | (alpha << 24)).to_le_bytes();
    }
}

/// Reduces a picture in the tile's format to exactly `size`; one of that size already is returned as
/// it is.
pub(super) fn to_size(image: DynamicImage, size: Size) -> DynamicImage {
    if (image.width(), image.height()) == (size.width, size.height) {
        return image;
    }
    match image {
        DynamicImage::ImageRgba8(image) => {
            let (from, bytes) = (Size::new(image.width(), image.height()), image.into_raw());
            let bytes = reduce::<4>(bytes, from, size, PixelType::U8x4);
            RgbaImage::from_raw(size.width, size.height, bytes).map(DynamicImage::ImageRgba8)
        }
        image => {
            let image = image.into_rgb8();
            let (from, bytes) = (Size::new(image.width(), image.height()), image.into_raw());
            let bytes = reduce::<3>(bytes, from, size, PixelType::U8x3);
            RgbImage::from_raw(size.width, size.height, bytes).map(DynamicImage::ImageRgb8)
        }
    }
    .expect("the reduced picture has the size that was asked for")
}

fn reduce<const N: usize>(bytes: Vec<u8>, from: Size, to: Size, pixel: PixelType) -> Vec<u8> {
    match blocks(from, to) {
        Some(factor) => {
            let (bytes, from) = average_blocks::<N>(&bytes, from, factor);
            resample(&bytes, from, to, pixel)
        }
        None => resample(&bytes, from, to, pixel),
    }
}

/// The size to which a decoder may reduce a picture by averaging: there is enough left for the filter.
/// `None` if the picture is not large enough for that.
pub(super) fn on_the_way(from: Size, to: Size) -> Option<Size> {
    blocks(from, to).map(|_| Size::new(to.width * OVERSAMPLING, to.height * OVERSAMPLING))
}

/// The side of the blocks to average, if it is worth it.
fn blocks(from: Size, to: Size) -> Option<u32> {
    let factor = (from.width / to.width).min(from.height / to.height) / OVERSAMPLING;
    (factor >= 2).then_some(factor.min(LARGEST_BLOCK))
}

fn resample(bytes: &[u8], from: Size, to: Size, pixel: PixelType) -> Vec<u8> {
    let source = ImageRef::new(from.width, from.height, bytes, pixel)
        .expect("a picture has as many bytes as its size says");
    let mut target = Image::new(to.width, to.height, pixel);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false); // premultiplied already
    Resizer::new().resize(&source, &mut target, &options).expect("both have the same pixel type");
    target.into_vec()
}

/// Averages blocks of `factor` × `factor` pixels of `N` bytes; those at the right and lower edge may
/// be smaller. First whole rows are added up, which the processor does for many bytes at once.
fn average_blocks<const N: usize>(bytes: &[u8], from: Size, factor: u32) -> (Vec<u8>, Size) {
    let to = Size::new(from.width.div_ceil(factor), from.height.div_ceil(factor));
    let (stride, block) = (from.width as usize * N, factor as usize);
    let mut averaged = Vec::with_capacity(to.width as usize * to.height as usize * N);
    let mut sums = vec![0_u16; stride];
    for rows in bytes.chunks(stride * block) {
        sums.fill(0);
        for row in rows.chunks_exact(stride) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += u16::from(value);
            }
        }
        let lines = (rows.len() / stride) as u32;
        for pixels in sums.as_chunks::<N>().0.chunks(block) {
            let mut total = [0_u32; N];
            for pixel in pixels {
                for (total, &sum) in total.iter_mut().zip(pixel) {
                    *total += u32::from(sum);
                }
            }
            let count = lines * pixels.len() as u32;
            averaged.extend(total.map(|total| ((total + count / 2) / count) as u8));
        }
    }
    (averaged, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_at_the_edge_are_averaged_over_what_they_have() {
        let bytes = [10, 20, 90, 30, 40, 110, 7, 9, 5];
        let (averaged, size) = average_blocks::<1>(&bytes, Size::new(3, 3), 2);
        assert_eq!((averaged, size), (vec![25, 100, 8, 5], Size::new(2, 2)));
    }

    #[test]
    fn the_largest_block_of_white_is_white() {
        let size = Size::new(LARGEST_BLOCK * 2, LARGEST_BLOCK);
        let (averaged, to) =
            average_blocks::<1>(&vec![255; size.pixels() as usize], size, LARGEST_BLOCK);
        assert_eq!((averaged, to), (vec![255, 255], Size::new(2, 1)));
    }

    #[test]
    fn colours_are_multiplied_by_alpha_and_rounded() {
        for alpha in 0..=255_u8 {
            for colour in 0..=255_u8 {
                let mut pixel = [colour, 255 - colour, colour, alpha];
                premultiply(&mut pixel);
                let times = |colour: u8| ((u16::from(colour) * u16::from(alpha) + 127) / 255) as u8;
                let (first, second) = (times(colour), times(255 - colour));
                assert_eq!(pixel, [first, second, first, alpha]);
            }
        }
    }

    #[test]
    fn sixteen_bits_become_eight() {
        for value in 0..=u16::MAX {
            let expected = (f64::from(value) * 255.0 / 65_535.0).round() as u8;
            assert_eq!(upper_octet(&value), expected, "{value}");
        }
    }

    #[test]
    fn transparent_colour_does_not_bleed() {
        let mut image = RgbaImage::from_pixel(64, 64, image::Rgba([255, 0, 0, 0]));
        for (x, _, pixel) in image.enumerate_pixels_mut() {
            if x < 32 {
                pixel.0 = [0, 0, 255, 255];
            }
        }
        let tile = to_size(to_tile_format(DynamicImage::ImageRgba8(image)), Size::new(7, 7));
        let tile = tile.as_rgba8().expect("alpha is kept");
        assert!(tile.pixels().all(|pixel| pixel.0[0] == 0), "red shows: {tile:?}");
        assert_eq!(tile.get_pixel(0, 3).0, [0, 0, 255, 255]);
        assert_eq!(tile.get_pixel(6, 3).0, [0, 0, 0, 0]);
    }

    #[test]
    fn a_plain_colour_stays_through_all_reductions() {
        for side in [5, 16, 33, 257, 1000] {
            let image = RgbImage::from_pixel(side, side, image::Rgb([200, 100, 50]));
            let tile = to_size(DynamicImage::ImageRgb8(image), Size::new(5, 3)).into_rgb8();
            assert!(tile.pixels().all(|pixel| pixel.0 == [200, 100, 50]), "from {side}: {tile:?}");
        }
    }

    #[test]
    fn sixteen_bit_grey_becomes_rgb() {
        let grey = image::ImageBuffer::from_pixel(2, 1, image::Luma([0x8080_u16]));
        let tile = to_tile_format(DynamicImage::ImageLuma16(grey));
        assert_eq!(tile.as_rgb8().expect("no alpha").as_raw(), &[0x80; 6]);
    }
}
