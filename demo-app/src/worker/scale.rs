//! Flow 2, the worker's side: any decoder's pixels, brought to the tile's format and size.
//!
//! Reduction happens in two steps: whole blocks of pixels are averaged until the picture is between
//! two and four times too large, which costs one pass over memory, and only the rest is resampled
//! with a good filter.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, RgbImage, RgbaImage};

use crate::protocol::Size;

/// Below this factor blocks are not averaged first: the filter needs pixels to work on.
const OVERSAMPLING: u32 = 2;

/// RGB with 8 bits, or RGBA with 8 bits and the colours premultiplied by alpha where the picture has
/// any transparency.
pub(super) fn to_tile_format(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return DynamicImage::ImageRgb8(image.into_rgb8());
    }
    let mut rgba = image.into_rgba8();
    for pixel in rgba.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        pixel.0 = [times(red, alpha), times(green, alpha), times(blue, alpha), alpha];
    }
    DynamicImage::ImageRgba8(rgba)
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

/// `colour × alpha / 255`, rounded.
fn times(colour: u8, alpha: u8) -> u8 {
    ((u16::from(colour) * u16::from(alpha) + 127) / 255) as u8
}

fn reduce<const N: usize>(bytes: Vec<u8>, from: Size, to: Size, pixel: PixelType) -> Vec<u8> {
    let factor = (from.width / to.width).min(from.height / to.height) / OVERSAMPLING;
    if factor < 2 {
        return resample(&bytes, from, to, pixel);
    }
    let (bytes, from) = average_blocks::<N>(&bytes, from, factor);
    resample(&bytes, from, to, pixel)
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
/// be smaller.
fn average_blocks<const N: usize>(bytes: &[u8], from: Size, factor: u32) -> (Vec<u8>, Size) {
    let to = Size::new(from.width.div_ceil(factor), from.height.div_ceil(factor));
    let block = factor as usize;
    let (stride, width) = (from.width as usize * N, to.width as usize);
    let mut averaged = Vec::with_capacity(width * to.height as usize * N);
    for rows in bytes.chunks(stride * block) {
        let mut sums = vec![[0_u32; N]; width];
        for row in rows.chunks_exact(stride) {
            let (pixels, _) = row.as_chunks::<N>();
            for (sum, pixels) in sums.iter_mut().zip(pixels.chunks(block)) {
                for pixel in pixels {
                    for (sum, &value) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(value);
                    }
                }
            }
        }
        let lines = (rows.len() / stride) as u32;
        let columns = |index: usize| (from.width - index as u32 * factor).min(factor);
        averaged.extend(sums.iter().enumerate().flat_map(|(index, sum)| {
            let count = lines * columns(index);
            sum.map(|sum| ((sum + count / 2) / count) as u8)
        }));
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
