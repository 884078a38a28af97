//! Between the two flows: how a picture lies in memory.

use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A box that any picture fits into: wanted when nothing is to be reduced.
    pub const UNBOUNDED: Self = Self::new(u32::MAX, u32::MAX);

    /// `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Lying on its side: width and height exchanged.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self::new(self.height, self.width)
    }

    /// This size reduced to fit into `bounds` with its proportions kept: never enlarged, and at
    /// least one pixel in each direction.
    #[must_use]
    pub fn fit_into(self, bounds: Self) -> Self {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let (to_width, to_height) = (u64::from(bounds.width), u64::from(bounds.height));
        let part = |side: u64, of: u64, whole: u64| ((side * of + whole / 2) / whole.max(1)).max(1);
        if width <= to_width && height <= to_height {
            self
        } else if width * to_height > height * to_width {
            Self::new(to_width.max(1) as u32, part(height, to_width, width) as u32)
        } else {
            Self::new(part(width, to_height, height) as u32, to_height.max(1) as u32)
        }
    }

    /// This size, enlarged where `other` is larger.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self::new(self.width.max(other.width), self.height.max(other.height))
    }

    /// Whether it is nowhere larger than `bounds`.
    pub const fn fits_into(self, bounds: Self) -> bool {
        self.width <= bounds.width && self.height <= bounds.height
    }

    /// How many pixels that are.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// What the octets of a pixel are. Both formats become textures without conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PixelFormat {
    /// Red, green, blue.
    Rgb8,
    /// Red, green, blue, each multiplied by alpha; alpha.
    Rgba8Premultiplied,
}

impl PixelFormat {
    /// Octets that a pixel takes.
    pub const fn bytes_per_pixel(self) -> u32 {
        match self {
            Self::Rgb8 => 3,
            Self::Rgba8Premultiplied => 4,
        }
    }
}

/// How pixels lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// In pixels.
    pub size: Size,
    /// Octets from the start of a row to the start of the next.
    pub stride: u32,
    /// What the octets of a pixel are.
    pub format: PixelFormat,
}

impl Layout {
    /// Octets from the first row's start to the last row's end, gaps included.
    pub const fn len(&self) -> u64 {
        self.stride as u64 * self.size.height as u64
    }

    /// Whether there is not a single octet.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_keeps_proportions_and_never_enlarges() {
        let bounds = Size::new(256, 256);
        let cases = [
            ((5640, 3172), (256, 144)),
            ((3172, 5640), (144, 256)),
            ((256, 256), (256, 256)),
            ((10, 20), (10, 20)),
            ((100_000, 3), (256, 1)),
            ((1, u32::MAX), (1, 256)),
            ((u32::MAX, u32::MAX), (256, 256)),
        ];
        for ((width, height), (to_width, to_height)) in cases {
            let fitted = Size::new(width, height).fit_into(bounds);
            assert_eq!(fitted, Size::new(to_width, to_height), "from {width}×{height}");
        }
        assert_eq!(Size::new(7, 9).fit_into(Size::UNBOUNDED), Size::new(7, 9));
        assert_eq!(Size::new(7, 9).fit_into(Size::new(0, 0)), Size::new(1, 1));
    }
}
