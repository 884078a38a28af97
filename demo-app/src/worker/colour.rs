//! Flow 2, the worker's side: colours as the screen wants them, whatever space a file has them in.

use std::sync::LazyLock;

use image::{DynamicImage, ImageBuffer, RgbImage, Rgba, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Brings 8-bit colours from the space of an ICC profile to sRGB. A profile that is broken, or not one
/// of RGB colours, changes nothing: no picture is withheld for it.
pub(super) fn to_srgb(image: DynamicImage, profile: &[u8]) -> DynamicImage {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return image };
    if profile.color_space != DataColorSpace::Rgb {
        return image;
    }
    match image {
        DynamicImage::ImageRgb8(image) => {
            let (width, height) = image.dimensions();
            let colours = transformed(&profile, image.into_raw(), Layout::Rgb);
            let image = RgbImage::from_raw(width, height, colours);
            image.map(DynamicImage::ImageRgb8)
        }
        DynamicImage::ImageRgba8(image) => {
            let (width, height) = image.dimensions();
            let colours = transformed(&profile, image.into_raw(), Layout::Rgba);
            let image = RgbaImage::from_raw(width, height, colours);
            image.map(DynamicImage::ImageRgba8)
        }
        image => Some(image),
    }
    .expect("a change of colours leaves their number as it is")
}

fn transformed(profile: &ColorProfile, colours: Vec<u8>, layout: Layout) -> Vec<u8> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let mut result = vec![0; colours.len()];
    let transform = profile.create_transform_8bit(layout, &srgb, layout, options);
    match transform.and_then(|transform| transform.transform(&colours, &mut result)) {
        Ok(()) => result,
        Err(_) => colours,
    }
}

/// Whether the colours are linear light, as OpenEXR and Radiance files have them.
pub(super) fn is_linear(image: &DynamicImage) -> bool {
    matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_))
}

/// Linear light as 8-bit sRGB. What is brighter than white becomes white. Alpha is not premultiplied
/// any more, as it is in OpenEXR.
pub(super) fn from_linear(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgba32F(image) => {
            let pixels = image.pixels().flat_map(|&Rgba([red, green, blue, alpha])| {
                let over = |light: f32| if alpha > 0.0 { encode(light / alpha) } else { 0 };
                [over(red), over(green), over(blue), (alpha.clamp(0.0, 1.0) * 255.0).round() as u8]
            });
            let image = ImageBuffer::from_raw(image.width(), image.height(), pixels.collect());
            image.map(DynamicImage::ImageRgba8)
        }
        image => {
            let image = image.into_rgb32f();
            let colours = image.iter().map(|light| encode(*light));
            let image = ImageBuffer::from_raw(image.width(), image.height(), colours.collect());
            image.map(DynamicImage::ImageRgb8)
        }
    }
    .expect("a change of colours leaves their number as it is")
}

/// Steps of light: at the curve's steepest a fifth of a step of sRGB.
const STEPS: usize = 1 << 14;

/// sRGB's transfer curve.
static CURVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let curve = |light: f32| match light {
        light if light <= 0.003_130_8 => light * 12.92,
        light => 1.055 * light.powf(1.0 / 2.4) - 0.055,
    };
    (0..=STEPS).map(|step| (curve(step as f32 / STEPS as f32) * 255.0).round() as u8).collect()
});

/// What is no number is dark.
fn encode(light: f32) -> u8 {
    CURVE[(light.clamp(0.0, 1.0) * STEPS as f32) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_follows_the_curve_and_stays_in_bounds() {
        let cases = [(0.0, 0), (1.0, 255), (7.0, 255), (-1.0, 0), (f32::NAN, 0), (0.2140, 127)];
        for (light, expected) in cases {
            assert!(encode(light).abs_diff(expected) <= 1, "{light} is {}", encode(light));
        }
    }

    #[test]
    fn a_profile_that_is_none_changes_nothing() {
        let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(2, 2, image::Rgb([9, 99, 199])));
        assert_eq!(to_srgb(image.clone(), b"no profile"), image);
    }
}
