//! Flow 2, the worker's side: what AV1 has in place of red, green and blue becomes these.
//!
//! The numbers are those of ITU-T H.273. Of planes with half of the samples the others are made by mixing, as
//! libavif does it: each sample stands for the middle of those that it is for.
//!
//! `yuv` 0.8 does the same with vector instructions, but not right for what has half of the samples, for SMPTE
//! 240M, for red, green and blue of the limited range, and for more than 8 bits.

use super::av1::{Frame, Plane};
use crate::worker::DecodeError;

/// What a file says of its colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Which red, green and blue.
    pub(super) primaries: u16,
    /// By which curve.
    pub(super) transfer: u16,
    /// How they became light and colours.
    pub(super) matrix: u16,
    /// With all values that a sample can have.
    pub(super) is_full: bool,
}

/// How light and two of colours become red, green and blue.
#[derive(Clone, Copy)]
enum Matrix {
    /// They are green, blue and red.
    None,
    /// Green and orange.
    Steps,
    /// How much of the light is red, and how much is blue.
    Shares(f32, f32),
}

impl Matrix {
    fn of(told: &Told) -> Result<Self, DecodeError> {
        Ok(match (told.matrix, told.primaries) {
            (0, _) => Self::None,
            (1, _) | (12, 1) => Self::Shares(0.2126, 0.0722),
            (4, _) => Self::Shares(0.3, 0.11),
            // Nothing is told, or what has no meaning yet: as libavif takes it.
            (2 | 3 | 5 | 6, _) => Self::Shares(0.299, 0.114),
            (7, _) => Self::Shares(0.212, 0.087),
            (8, _) => Self::Steps,
            (9, _) | (12, 9) => Self::Shares(0.2627, 0.0593),
            // By the primaries.
            (12, 4) => Self::Shares(0.299, 0.1146),
            (12, 5) => Self::Shares(0.222, 0.0713),
            (12, 6 | 7) => Self::Shares(0.2124, 0.0866),
            (12, 11) => Self::Shares(0.2095, 0.0689),
            (12, 12) => Self::Shares(0.229, 0.0793),
            (12, 22) => Self::Shares(0.2318, 0.0960),
            (12, _) => Self::Shares(0.2126, 0.0722),
            (other, _) => {
                let why = format!("AVIF with colours by the matrix {other} of H.273");
                return Err(DecodeError::Unsupported(why));
            }
        })
    }

    fn apply(self, light: f32, blue: f32, red: f32) -> [f32; 3] {
        match self {
            Self::None => [red, light, blue],
            Self::Steps => [light - blue + red, light + blue, light - blue - red],
            Self::Shares(of_red, of_blue) => {
                let (r, b) =
                    (light + 2.0 * (1.0 - of_red) * red, light + 2.0 * (1.0 - of_blue) * blue);
                [r, (light - of_red * r - of_blue * b) / (1.0 - of_red - of_blue), b]
            }
        }
    }
}

/// What turns samples into parts of 1: lights from 0 up, colours around 0.
#[derive(Clone, Copy)]
struct Scale {
    nothing: f32,
    factor: f32,
}

impl Scale {
    fn new(frame: &Frame, is_full: bool, is_colour: bool) -> Self {
        // One step of 8 bits.
        let step = f32::from(frame.most() + 1) / 256.0;
        let range = match (is_full, is_colour) {
            (true, _) => f32::from(frame.most()),
            (false, false) => 219.0 * step,
            (false, true) => 224.0 * step,
        };
        let nothing = match (is_full, is_colour) {
            (_, true) => 128.0 * step,
            (true, false) => 0.0,
            (false, false) => 16.0 * step,
        };
        Self { nothing, factor: 1.0 / range }
    }

    fn apply(self, sample: f32) -> f32 {
        (sample - self.nothing) * self.factor
    }
}

/// Gives red, green and blue of all pixels in parts of 1, row after row; some are a little out of these bounds.
pub(super) fn each_row(
    frame: &Frame,
    told: &Told,
    mut take: impl FnMut(usize, &[[f32; 3]]),
) -> Result<(), DecodeError> {
    let (width, height) = frame.size();
    let (width, height) = (width as usize, height as usize);
    let matrix = Matrix::of(told)?;
    let of_light = Scale::new(frame, told.is_full, false);
    let of_colour = Scale::new(frame, told.is_full, !matches!(matrix, Matrix::None));
    let mut colours = vec![[0.0; 3]; width];
    for row in 0..height {
        let light = frame.row(Plane::Light, row);
        let light = light.iter().map(|sample| of_light.apply(f32::from(*sample)));
        if frame.is_grey() {
            colours.iter_mut().zip(light).for_each(|(pixel, light)| *pixel = [light; 3]);
        } else {
            let blue = full_row(frame, Plane::Blue, row);
            let red = full_row(frame, Plane::Red, row);
            for (pixel, (light, (blue, red))) in colours.iter_mut().zip(light.zip(blue.zip(red))) {
                *pixel = matrix.apply(light, of_colour.apply(blue), of_colour.apply(red));
            }
        }
        take(row, &colours);
    }
    Ok(())
}

/// One row of a plane of colours, with as many samples as there are pixels or one more.
fn full_row(frame: &Frame, plane: Plane, row: usize) -> impl Iterator<Item = f32> {
    let (across, down) = frame.halved();
    let get = |row| frame.row(plane, row).into_iter().map(f32::from);
    let (_, height) = frame.size();
    let mut samples: Vec<f32> = match down {
        false => get(row).collect(),
        true => {
            let (near, far) = neighbours(row, height.div_ceil(2) as usize);
            get(near).zip(get(far)).map(|(near, far)| mixed(near, far)).collect()
        }
    };
    if across {
        let place = |at| {
            let (near, far) = neighbours(at, samples.len());
            mixed(samples[near], samples[far])
        };
        samples = (0..2 * samples.len()).map(place).collect();
    }
    samples.into_iter()
}

/// Of half as many samples: the one that a place is in, and the next one on the other side of it.
fn neighbours(at: usize, samples: usize) -> (usize, usize) {
    let near = at / 2;
    match at % 2 {
        0 => (near, near.saturating_sub(1)),
        _ => (near, (near + 1).min(samples - 1)),
    }
}

fn mixed(near: f32, far: f32) -> f32 {
    0.75 * near + 0.25 * far
}

/// How opaque the pixels of a row are.
pub(super) fn opacity(frame: &Frame, row: usize) -> Vec<u8> {
    let scale = Scale::new(frame, frame.is_full(), false);
    let samples = frame.row(Plane::Light, row).into_iter();
    samples.map(|sample| eight_bits(scale.apply(f32::from(sample)))).collect()
}

/// A part of 1 in 8 bits.
pub(super) fn eight_bits(part: f32) -> u8 {
    // What is out of bounds becomes the bound.
    (part * 255.0).round() as u8
}
