//! Between the two flows: what the app and a decoding worker say to each other over the worker's
//! socket.
//!
//! The app sends a [`Request`] with one read-only descriptor, the worker an [`Answer`], in the order
//! of the requests, and with one sealed memory file if there is a picture, with another if there is a
//! thumbnail for the cache as well. Both are records of fixed size, little-endian, so that a hostile
//! worker has no length to lie about.
//!
//! | record | octets | fields |
//! |---|---|---|
//! | request | 20 | job u64, width u32, height u32, thumbnail's side u32 |
//! | answer | 256 | job u64, status u32, then one of these |
//! | drawn | 40 | width u32, height u32, stride u32, format u32, original width u32, original height u32, orientation u32, thumbnail's octets u32, animated u32 |
//! | failed | 244 | lasting u32, text length u32, text |
//!
//! This file has the words and their octets; [`Caller`] and [`receive_request`] move them.

mod caller;
mod codec;
mod drawing;
mod error;
mod socket;

pub use caller::{Caller, Reply};
pub use drawing::{Drawing, Encoded};
pub use error::ProtocolError;
pub use socket::{receive_request, send_answer};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Asks for one picture. The descriptor of its file goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The app's name for it; the answer bears the same.
    pub job: u64,
    /// The picture is reduced to fit into this, right side up, and never enlarged.
    pub want: Size,
    /// The side of the square for which a thumbnail is to be encoded too, if the picture is larger than
    /// that; 0 for none.
    pub thumbnail: u32,
}

/// What became of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's.
    pub job: u64,
    /// A picture, or the reason why there is none.
    pub outcome: Outcome,
}

/// A picture, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The picture lies in the memory that goes with the answer.
    Drawn {
        /// How it lies there.
        layout: Layout,
        /// The picture's own size, right side up.
        original: Size,
        /// The EXIF orientation that was applied, 1 (none) to 8.
        orientation: u8,
        /// Octets of the thumbnail, a PNG file in a memory of its own; 0 if there is none.
        thumbnail: u32,
        /// It is the first of several frames.
        animated: bool,
    },
    /// There is no picture.
    Failed(Failure),
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One sentence for people; cut to what a record holds.
    pub reason: String,
    /// It lies in the file's content: the same will come of it until that changes.
    pub lasting: bool,
}

impl Failure {
    /// One that may not come again: of a worker, of the system.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: false }
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
