//! Flow 2, the worker's side: the pixels of a WebP that stands still, by libwebp.
//!
//! It takes a fifth of the time of `image-webp` 0.2, whose headers and animations are still used. As with
//! JPEG, its C code is what the worker's process is a fence for. It can reduce each row as it comes, which
//! saves memory for all pixels; what a reduced picture does not show, smooth edges of blocks and of
//! colours, is left out then.

use image::{DynamicImage, RgbImage, RgbaImage};
use webpx::{Decoder, DecoderConfig, Limits};

use super::scale;
use crate::layout::Size;

/// The picture in `file`, which is of this size, reduced if it is much larger than `wanted`. `None` if it
/// moves or is damaged: the other decoder knows what to say about it.
pub(super) fn pixels(file: &[u8], size: Size, wanted: Size) -> Option<DynamicImage> {
    let decoder = Decoder::new(file).ok()?;
    let info = decoder.info();
    let has_alpha = info.has_alpha;
    if info.has_animation || (info.width, info.height) != (size.width, size.height) {
        return None;
    }
    // Its size has been looked at.
    let mut config = DecoderConfig::new().limits(Limits::none());
    if let Some(Size { width, height }) = scale::on_the_way(size, wanted) {
        config = config.scale(width, height).bypass_filtering(true).no_fancy_upsampling(true);
    }
    let decoder = decoder.config(config);
    if has_alpha {
        let (pixels, width, height) = decoder.decode_rgba_raw().ok()?;
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        let (pixels, width, height) = decoder.decode_rgb_raw().ok()?;
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    }
}
