//! Flow 2, the worker's side: a frame of AV1, and the samples of its planes.

use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent, Settings};

use super::colours::Told;
use super::{FORMAT, corrupt};
use crate::worker::DecodeError;
use crate::worker::decode::MEMORY_LIMIT;

/// A decoded frame.
pub(super) struct Frame(Picture);

/// What a plane holds.
#[derive(Clone, Copy)]
pub(super) enum Plane {
    /// How light each pixel is, or the green, or how opaque.
    Light,
    /// The two of colours.
    Blue,
    Red,
}

/// A stream of frames, some of which are told by what has changed since others.
pub(super) struct Stream(Decoder);

impl Stream {
    pub(super) fn new() -> Result<Self, DecodeError> {
        let mut settings = Settings::new();
        // Workers may not make threads.
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        // Of one that comes in several qualities, the best.
        settings.set_all_layers(false);
        // In pixels: what a larger one claims is never allocated.
        settings.set_frame_size_limit((MEMORY_LIMIT / 4) as u32);
        Decoder::with_settings(&settings).map(Self).map_err(corrupt)
    }

    /// Decodes the next frame, or the first one of this part.
    pub(super) fn next(&mut self, coded: &[u8]) -> Result<Frame, DecodeError> {
        if coded.is_empty() {
            return Err(corrupt("it has no main picture"));
        }
        let Self(decoder) = self;
        let mut sent = decoder.send_data(coded.to_vec(), None, None, None);
        loop {
            // It wants to be given the rest when it has dealt with some.
            let all_sent = match sent {
                Ok(()) => true,
                Err(error) if error.is_again() => false,
                Err(error) => return Err(corrupt(error)),
            };
            match decoder.get_picture() {
                Ok(picture) => return Ok(Frame(picture)),
                Err(error) if !error.is_again() => return Err(corrupt(error)),
                Err(_) if all_sent => return Err(DecodeError::Truncated(FORMAT)),
                Err(_) => sent = decoder.send_pending_data(),
            }
        }
    }
}

impl Frame {
    /// Decodes the first frame of a stream.
    pub(super) fn decode(coded: &[u8]) -> Result<Self, DecodeError> {
        Stream::new()?.next(coded)
    }

    /// Pixels in a row, and rows.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    /// What the stream itself says of its colours.
    pub(super) fn told(&self) -> Told {
        let frame = &self.0;
        Told {
            primaries: frame.color_primaries() as u16,
            transfer: frame.transfer_characteristic() as u16,
            matrix: frame.matrix_coefficients() as u16,
            is_full: self.is_full(),
        }
    }

    /// Whether the samples use all values that they can have.
    pub(super) fn is_full(&self) -> bool {
        self.0.color_range() == YUVRange::Full
    }

    /// The largest value that a sample can have.
    pub(super) fn most(&self) -> u16 {
        (1 << self.0.bit_depth()) - 1
    }

    pub(super) fn is_grey(&self) -> bool {
        self.0.pixel_layout() == PixelLayout::I400
    }

    /// Whether a plane of colours has half of the samples in a row, and half of the rows.
    pub(super) fn halved(&self) -> (bool, bool) {
        match self.0.pixel_layout() {
            PixelLayout::I420 => (true, true),
            PixelLayout::I422 => (true, false),
            PixelLayout::I400 | PixelLayout::I444 => (false, false),
        }
    }

    /// The samples of one row; an empty one if there is none, which no whole frame has.
    pub(super) fn row(&self, plane: Plane, row: usize) -> Vec<u16> {
        let width = self.0.width() as usize;
        let of_colours = if self.halved().0 { width.div_ceil(2) } else { width };
        let (component, width) = match plane {
            Plane::Light => (PlanarImageComponent::Y, width),
            Plane::Blue => (PlanarImageComponent::U, of_colours),
            Plane::Red => (PlanarImageComponent::V, of_colours),
        };
        let stride = self.0.stride(component) as usize;
        let plane = self.0.plane(component);
        let octets = plane.chunks(stride).nth(row).unwrap_or_default();
        match self.0.bit_depth() {
            8 => octets.iter().copied().map(u16::from).take(width).collect(),
            _ => octets.as_chunks().0.iter().copied().map(u16::from_ne_bytes).take(width).collect(),
        }
    }
}
