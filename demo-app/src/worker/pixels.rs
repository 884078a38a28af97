//! Flow 2, the worker's side: pixels as textures want them, and the sealed memory they travel in.

use std::io;
use std::os::fd::OwnedFd;

use image::DynamicImage;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use crate::protocol::{Layout, PixelFormat, Size};

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

    /// How the bytes lie in memory.
    pub fn layout(&self) -> Layout {
        let stride = self.size.width * self.format.bytes_per_pixel();
        Layout { size: self.size, stride, format: self.format }
    }

    /// The bytes in a memory file that nobody can change any more, neither size nor content.
    ///
    /// # Errors
    ///
    /// Whatever the system says, most likely that memory or descriptors are used up.
    pub fn to_sealed_memory(&self) -> io::Result<OwnedFd> {
        let memory = rustix::fs::memfd_create(
            "tine-viewer picture",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        // Written, not mapped: memory cannot be sealed against writing while a writable mapping of it
        // exists. The size comes first, so that running out of memory is an error and no signal.
        rustix::fs::ftruncate(&memory, self.bytes.len() as u64)?;
        rustix::fs::fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK)?;
        write_all_at_start(&memory, &self.bytes)?;
        rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SEAL)?;
        Ok(memory)
    }
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
