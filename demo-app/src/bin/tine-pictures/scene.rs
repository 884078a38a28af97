//! What the pictures show: hills under a sky, told apart by the seed, with four coloured corners.

use image::{Rgb, RgbImage, Rgba, RgbaImage};

/// The colours of the corners, from the top left in reading order: red, green, blue, yellow.
pub(crate) const CORNERS: [[u8; 3]; 4] =
    [[224, 27, 36], [38, 162, 105], [26, 95, 180], [246, 211, 45]];

/// A sequence of numbers that depends on the seed only (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to, not including, `high`.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() % u64::from(high - low)) as u32
    }

    fn colour(&mut self) -> [f32; 3] {
        [(); 3].map(|()| self.between(40, 256) as f32)
    }
}

/// A picture, right side up.
pub(crate) fn paint(random: &mut Random) -> RgbImage {
    let (long, short) = (random.between(480, 1600), random.between(320, 480));
    let (width, height) = if random.between(0, 3) == 0 { (short, long) } else { (long, short) };
    let (above, below, hill) = (random.colour(), random.colour(), random.colour());
    let waves = random.between(2, 7) as f32;
    let phase = random.between(0, 100) as f32;
    RgbImage::from_fn(width, height, |x, y| {
        if let Some(colour) = corner(x, y, width, height) {
            return Rgb(colour);
        }
        let (right, down) = (x as f32 / width as f32, y as f32 / height as f32);
        let ridge = 0.65 + 0.15 * (right * waves + phase).sin();
        let (from, to, part) =
            if down < ridge { (above, below, down / ridge) } else { (hill, above, down - ridge) };
        Rgb([0, 1, 2].map(|i| (from[i] + (to[i] - from[i]) * part) as u8))
    })
}

/// The same in the opposite colours.
pub(crate) fn negative(image: &RgbImage) -> RgbImage {
    let mut negative = image.clone();
    negative.iter_mut().for_each(|value| *value = 255 - *value);
    negative
}

/// The same with a round hole: colours stay below it, as editors leave them.
pub(crate) fn with_hole(image: &RgbImage) -> RgbaImage {
    let (width, height) = image.dimensions();
    let radius = f64::from(width.min(height)) / 4.0;
    RgbaImage::from_fn(width, height, |x, y| {
        let (right, down) =
            (f64::from(x * 2) - f64::from(width), f64::from(y * 2) - f64::from(height));
        let distance = right.hypot(down) / 2.0;
        let alpha = ((distance - radius) * 8.0).clamp(0.0, 255.0) as u8;
        let Rgb([red, green, blue]) = *image.get_pixel(x, y);
        Rgba([red, green, blue, alpha])
    })
}

/// The picture as a camera held so would store it; `orientation` as in EXIF, 1 to 8.
///
/// The tag tells on which sides of the scene the stored first row and first column lie.
pub(crate) fn as_stored(image: &RgbImage, orientation: u16) -> RgbImage {
    let (width, height) = image.dimensions();
    let (right, bottom) = (width - 1, height - 1);
    let sideways = orientation >= 5;
    let (stored_width, stored_height) = if sideways { (height, width) } else { (width, height) };
    RgbImage::from_fn(stored_width, stored_height, |x, y| {
        let (from_x, from_y) = match orientation {
            2 => (right - x, y),          // row 0 at the top, column 0 at the right
            3 => (right - x, bottom - y), // bottom, right
            4 => (x, bottom - y),         // bottom, left
            5 => (y, x),                  // left, top
            6 => (right - y, x),          // right, top
            7 => (right - y, bottom - x), // right, bottom
            8 => (y, bottom - x),         // left, bottom
            _ => (x, y),                  // top, left
        };
        *image.get_pixel(from_x, from_y)
    })
}

fn corner(x: u32, y: u32, width: u32, height: u32) -> Option<[u8; 3]> {
    let side = width.min(height) / 4;
    let (left, right) = (x < side, x >= width - side);
    let (top, bottom) = (y < side, y >= height - side);
    match (left, right, top, bottom) {
        (true, _, true, _) => Some(CORNERS[0]),
        (_, true, true, _) => Some(CORNERS[1]),
        (true, _, _, true) => Some(CORNERS[2]),
        (_, true, _, true) => Some(CORNERS[3]),
        _ => None,
    }
}
