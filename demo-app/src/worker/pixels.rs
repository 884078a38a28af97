//! Flow 2, the worker's side: pixels as textures want them, and the sealed memory they travel in.

use std::io;
use std::os::fd::OwnedFd;

use image::{DynamicImage, RgbImage, RgbaImage};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::scale;
use crate::layout::{Layout, PixelFormat, Size};

/// A picture's pixels, row after row from the top, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// In pixels.
    pub size: Size,
    /// What the bytes of one pixel are.
    pub format: PixelFormat,
    /// `size.height` rows of `size.width` pixels.
    pub bytes: Vec<u8>,
}

impl Pixels {
    pub(super) fn from_image(image: DynamicImage) -> Self {
        let size = Size::new(image.width(), image.height());
        match image {
            DynamicImage::ImageRgba8(image) => {
                Self { size, format: PixelFormat::Rgba8Premultiplied, bytes: image.into_raw() }
            }
            image => Self { size, format: PixelFormat::Rgb8, bytes: image.into_rgb8().into_raw() },
        }
    }

    /// The same picture, reduced to fit into `bounds`.
    #[must_use]
    pub fn reduced(self, bounds: Size) -> Self {
        let size = self.size.fit_into(bounds);
        if size == self.size {
            return self;
        }
        Self::from_image(scale::to_size(self.into_image(), size))
    }

    pub(super) fn into_image(self) -> DynamicImage {
        let Size { width, height } = self.size;
        let image = match self.format {
            PixelFormat::Rgb8 => {
                RgbImage::from_raw(width, height, self.bytes).map(DynamicImage::ImageRgb8)
            }
            PixelFormat::Rgba8Premultiplied => {
                RgbaImage::from_raw(width, height, self.bytes).map(DynamicImage::ImageRgba8)
            }
        };
        image.expect("a picture has as many bytes as its size says")
    }

    /// How the bytes lie in memory.
    pub fn layout(&self) -> Layout {
        let stride = self.size.width * self.format.bytes_per_pixel();
        Layout { size: self.size, stride, format: self.format }
    }
}

/// These octets in a memory file that nobody can change any more, neither size nor content.
///
/// # Errors
///
/// Whatever the system says, most likely that memory or descriptors are used up.
pub(super) fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("tine-viewer picture", flags)?;
    // Written, not mapped: memory cannot be sealed against writing while a writable mapping of it
    // exists. The size comes first, so that running out of memory is an error and no signal.
    rustix::fs::ftruncate(&memory, bytes.len() as u64)?;
    rustix::fs::fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK)?;
    write_all_at_start(&memory, bytes)?;
    rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(memory)
}

fn write_all_at_start(memory: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    let mut offset = 0;
    while !bytes.is_empty() {
        match rustix::io::pwrite(memory, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
