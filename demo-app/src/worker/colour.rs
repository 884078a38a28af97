//! Flow 2, the worker's side: colours as the screen wants them, whatever space a file has them in.

use std::sync::LazyLock;

use image::{DynamicImage, ImageBuffer, RgbImage, Rgba, RgbaImage};
use moxcms::{CicpProfile, MatrixCoefficients};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::light::Light;

/// What a file says of its colours.
pub(super) enum Colours {
    /// They are those of the screen.
    Srgb,
    /// An ICC profile.
    By(Vec<u8>),
    /// They are brighter than the screen is.
    Bright(Light),
}

impl Colours {
    /// By numbers of ITU-T H.273.
    pub(super) fn of(primaries: u16, transfer: u16) -> Self {
        let profile = || profile_of(primaries, transfer).map_or(Self::Srgb, Self::By);
        Light::of(primaries, transfer).map_or_else(profile, Self::Bright)
    }
}

/// Brings 8-bit colours from the space of an ICC profile to sRGB. A profile that is broken, or one of other colours
/// than there are, changes nothing: no picture is withheld for it.
pub(super) fn to_srgb(image: DynamicImage, profile: &[u8]) -> DynamicImage {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return image };
    match profile.color_space {
        DataColorSpace::Rgb => rgb_to_srgb(image, &profile),
        DataColorSpace::Gray => grey_to_srgb(image, &profile),
        _ => image,
    }
}

/// The same of what is grey, in colours.
fn grey_to_srgb(mut image: DynamicImage, profile: &ColorProfile) -> DynamicImage {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let shown = transformed(profile, &all, Layout::Gray, Layout::Rgb);
    let Some(shown) = shown else { return image };
    let (shown, _) = shown.as_chunks::<3>();
    let change = |pixel: &mut [u8]| {
        let grey = pixel[0];
        if pixel.iter().take(3).all(|colour| *colour == grey) {
            pixel[..3].copy_from_slice(&shown[usize::from(grey)]);
        }
    };
    match &mut image {
        DynamicImage::ImageRgb8(image) => image.pixels_mut().for_each(|pixel| change(&mut pixel.0)),
        DynamicImage::ImageRgba8(image) => {
            image.pixels_mut().for_each(|pixel| change(&mut pixel.0))
        }
        _ => (),
    }
    image
}

/// Cyan, magenta, yellow and black, 0 for none, as RGB colours of sRGB; without a profile of inks, as each takes its part
/// of the light.
pub(super) fn inks_to_rgb(inks: &[u8], profile: Option<&[u8]>) -> Vec<u8> {
    profile.and_then(|profile| inks_to_srgb(inks, profile)).unwrap_or_else(|| {
        let light = |ink: u8| u16::from(255 - ink);
        let (pixels, _) = inks.as_chunks::<4>();
        let rgb = pixels
            .iter()
            .flat_map(|&[c, m, y, k]| [c, m, y].map(|ink| (light(ink) * light(k) / 255) as u8));
        rgb.collect()
    })
}

/// The same by a profile. None: the profile is not one of these inks.
fn inks_to_srgb(inks: &[u8], profile: &[u8]) -> Option<Vec<u8>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    // Four of anything are laid out so.
    (profile.color_space == DataColorSpace::Cmyk)
        .then(|| transformed(&profile, inks, Layout::Rgba, Layout::Rgb))?
}

/// A profile of colours that are told by numbers of ITU-T H.273: which red, green and blue, and by which curve.
/// `None` if they are shown as sRGB. The curves of television are taken for that of sRGB: so screens show them.
pub(super) fn profile_of(primaries: u16, transfer: u16) -> Option<Vec<u8>> {
    let (primaries, transfer) = (u8::try_from(primaries).ok()?, u8::try_from(transfer).ok()?);
    let primaries = if matches!(primaries, 0 | 2 | 3) { 1 } else { primaries };
    let transfer = if matches!(transfer, 4 | 5 | 8 | 17) { transfer } else { 13 };
    if (primaries, transfer) == (1, 13) {
        return None;
    }
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: primaries.try_into().ok()?,
        transfer_characteristics: transfer.try_into().ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    profile.encode().ok()
}

fn rgb_to_srgb(image: DynamicImage, profile: &ColorProfile) -> DynamicImage {
    match image {
        DynamicImage::ImageRgb8(image) => {
            let (width, height) = image.dimensions();
            let colours = unless_broken(profile, image.into_raw(), Layout::Rgb);
            let image = RgbImage::from_raw(width, height, colours);
            image.map(DynamicImage::ImageRgb8)
        }
        DynamicImage::ImageRgba8(image) => {
            let (width, height) = image.dimensions();
            let colours = unless_broken(profile, image.into_raw(), Layout::Rgba);
            let image = RgbaImage::from_raw(width, height, colours);
            image.map(DynamicImage::ImageRgba8)
        }
        image => Some(image),
    }
    .expect("a change of colours leaves their number as it is")
}

fn unless_broken(profile: &ColorProfile, colours: Vec<u8>, layout: Layout) -> Vec<u8> {
    transformed(profile, &colours, layout, layout).unwrap_or(colours)
}

fn transformed(profile: &ColorProfile, from: &[u8], layout: Layout, to: Layout) -> Option<Vec<u8>> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let mut result = vec![0; from.len() / layout.channels() * to.channels()];
    let transform = profile.create_transform_8bit(layout, &srgb, to, options).ok()?;
    transform.transform(from, &mut result).ok()?;
    Some(result)
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
pub(super) fn encode(light: f32) -> u8 {
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

    #[test]
    fn grey_has_a_curve_of_its_own() {
        let grey = DynamicImage::ImageRgb8(RgbImage::from_pixel(2, 2, image::Rgb([128; 3])));
        let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let shown = to_srgb(grey, &profile).into_rgb8();
        // Half of the light.
        assert!(shown.as_raw().iter().all(|colour| colour.abs_diff(188) <= 2), "{shown:?}");
    }

    /// A profile by which cyan looks middle grey, no ink white, and all else black.
    fn odd_inks() -> Vec<u8> {
        const IDENTITY: [u32; 9] = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x10000];
        let ramp: Vec<u8> = (0..=u8::MAX).collect();
        let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
        table.extend(IDENTITY.iter().flat_map(|one| one.to_be_bytes()));
        table.extend(ramp.repeat(4));
        // Black varies first, cyan last. Lightness, and two that are grey in the middle.
        for inks in 0..16 {
            let lightness = match inks {
                0b0000 => 255,
                0b1000 => 128,
                _ => 0,
            };
            table.extend([lightness, 128, 128]);
        }
        table.extend(ramp.repeat(3));
        let mut profile = vec![0; 128];
        profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
        profile[12..24].copy_from_slice(b"prtrCMYKLab ");
        profile[36..40].copy_from_slice(b"acsp");
        let white = [0xf6d6_u32, 0x10000, 0xd32d];
        profile[68..80].copy_from_slice(&white.map(u32::to_be_bytes).concat());
        profile.extend([1, u32::from_be_bytes(*b"A2B0"), 144].iter().flat_map(|v| v.to_be_bytes()));
        profile.extend((table.len() as u32).to_be_bytes());
        profile.extend(table);
        let size = profile.len() as u32;
        profile[..4].copy_from_slice(&size.to_be_bytes());
        profile
    }

    #[test]
    fn inks_look_as_their_profile_says() {
        let inks = [[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]].concat();
        let shown = inks_to_srgb(&inks, &odd_inks()).unwrap();
        for (shown, expected) in shown.iter().zip([[255; 3], [119; 3], [0; 3]].concat()) {
            assert!(shown.abs_diff(expected) <= 4, "{shown} for {expected}");
        }
        assert_eq!(inks_to_srgb(&inks, b"no profile"), None);
        // The same in a TIFF.
        let mut file = tempfile::tempfile().unwrap();
        let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
        let mut picture = encoder.new_image::<tiff::encoder::colortype::CMYK8>(3, 1).unwrap();
        picture.encoder().write_tag(tiff::tags::Tag::IccProfile, &odd_inks()[..]).unwrap();
        picture.write_data(&inks).unwrap();
        let picture = super::super::decode(file, crate::layout::Size::new(9, 9)).unwrap();
        assert_eq!(picture.pixels.bytes, shown);
    }
}
