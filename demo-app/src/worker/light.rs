//! Flow 2, the worker's side: pictures that are brighter than a screen is, in what there is of the screen.
//!
//! White, as paper has it, stays white: it is what ITU-R BT.2408 calls reference white. What is brighter has the
//! last fifth of what a screen gives for itself, and keeps its hue.

use image::{DynamicImage, RgbImage, RgbaImage};

use super::colour::encode;

/// In candela per square metre.
const WHITE: f32 = 203.0;
/// How bright is the brightest by the curve HLG.
const HLG_PEAK: f32 = 1000.0;
/// Up to here light is shown as it is, in parts of white.
const KNEE: f32 = 0.8;
/// Steps of a curve, as many as 12 bits have.
const STEPS: usize = 4095;

/// From red, green and blue of ITU-R BT.2020, or of displays with P3, to those of sRGB, in linear light.
const FROM_BT2020: [[f32; 3]; 3] =
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];
const FROM_P3: [[f32; 3]; 3] =
    [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]];

/// How the colours of a picture with such a curve become sRGB.
pub(super) struct Light {
    /// Light by value, in parts of white.
    curve: Vec<f32>,
    is_hlg: bool,
    primaries: Option<[[f32; 3]; 3]>,
}

impl Light {
    /// By numbers of ITU-T H.273; none for what is no brighter than the screen.
    pub(super) fn of(primaries: u16, transfer: u16) -> Option<Self> {
        let curve: fn(f32) -> f32 = match transfer {
            16 => pq,
            18 => hlg,
            _ => return None,
        };
        let primaries = match primaries {
            9 => Some(FROM_BT2020),
            11 | 12 => Some(FROM_P3),
            _ => None,
        };
        let curve = (0..=STEPS).map(|step| curve(step as f32 / STEPS as f32)).collect();
        Some(Self { curve, is_hlg: transfer == 18, primaries })
    }

    /// All pixels of a picture, in 8 bits.
    pub(super) fn show_all(&self, image: DynamicImage) -> DynamicImage {
        let part = |value: u16| f32::from(value) / f32::from(u16::MAX);
        let (width, height) = (image.width(), image.height());
        if !image.color().has_alpha() {
            let image = image.into_rgb16();
            let shown = |x, y| image::Rgb(self.show(image.get_pixel(x, y).0.map(part)));
            return RgbImage::from_fn(width, height, shown).into();
        }
        let image = image.into_rgba16();
        let shown = |x, y| {
            let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(part);
            let [red, green, blue] = self.show([red, green, blue]);
            image::Rgba([red, green, blue, (alpha * 255.0).round() as u8])
        };
        RgbaImage::from_fn(width, height, shown).into()
    }

    /// One pixel, given in parts of 1.
    pub(super) fn show(&self, pixel: [f32; 3]) -> [u8; 3] {
        let mut light =
            pixel.map(|value| self.curve[((value * STEPS as f32).round() as usize).min(STEPS)]);
        if self.is_hlg {
            // How the whole is lit makes it brighter.
            let [red, green, blue] = light;
            let whole = 0.2627 * red + 0.678 * green + 0.0593 * blue;
            light = light.map(|light| light * whole.powf(0.2) * HLG_PEAK / WHITE);
        }
        if let Some(rows) = self.primaries {
            let mixed =
                |row: [f32; 3]| row.iter().zip(light).map(|(part, light)| part * light).sum();
            light = rows.map(mixed);
        }
        let most = light.into_iter().fold(0.0, f32::max);
        light.map(|light| encode(if most > KNEE { light * within(most) / most } else { light }))
    }
}

/// What is shown of so much light.
fn within(light: f32) -> f32 {
    let rest = 1.0 - KNEE;
    KNEE + rest * (1.0 - ((KNEE - light) / rest).exp())
}

/// SMPTE ST 2084.
fn pq(value: f32) -> f32 {
    let root = value.powf(1.0 / 78.843_75);
    let light = (root - 0.835_937_5).max(0.0) / (18.851_563 - 18.687_5 * root);
    light.powf(1.0 / 0.159_301_76) * 10_000.0 / WHITE
}

/// ARIB STD-B67, without what depends on the whole.
fn hlg(value: f32) -> f32 {
    match value {
        value if value <= 0.5 => value * value / 3.0,
        value => (((value - 0.559_910_7) / 0.178_832_77).exp() + 0.284_668_92) / 12.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(transfer: u16, primaries: u16, pixel: [f32; 3]) -> [u8; 3] {
        Light::of(primaries, transfer).unwrap().show(pixel)
    }

    #[test]
    fn white_is_nearly_white_and_what_is_brighter_is_brighter() {
        // By BT.2408 paper is at 58 % of PQ and at 75 % of HLG.
        for (transfer, paper) in [(16, 0.58), (18, 0.75)] {
            let [dark, paper, bright, brightest] =
                [0.2, paper, paper + 0.1, 1.0].map(|value| shown(transfer, 9, [value; 3])[0]);
            assert!(dark < 60 && (235..250).contains(&paper), "{dark} {paper}");
            assert!(
                paper < bright && bright <= brightest && brightest >= 254,
                "{bright} {brightest}"
            );
        }
    }

    #[test]
    fn colours_keep_their_hue() {
        let [red, green, blue] = shown(16, 1, [0.5, 0.4, 0.3]);
        assert!(red > green && green > blue, "{red} {green} {blue}");
        // What sRGB has no place for is as near as can be.
        assert_eq!(shown(16, 9, [0.5, 0.0, 0.0])[1..], [0, 0]);
        // What is out of bounds is not another colour.
        assert_eq!(shown(16, 1, [1.2, -0.1, 2.0]), shown(16, 1, [1.0, 0.0, 1.0]));
    }
}
