//! Between the two flows: a picture in memory that its worker can no longer touch.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::SealFlags;
use rustix::io::Errno;

use super::{Layout, ProtocolError, Size};

/// Pixels in a sealed memory file, checked: neither size nor content can change, and all rows are
/// within it. It may be mapped and read at any time.
#[derive(Debug)]
pub struct Drawing {
    memory: OwnedFd,
    /// How the pixels lie in the memory, from its start.
    pub layout: Layout,
    /// The picture's own size, right side up.
    pub original: Size,
    /// The EXIF orientation that was applied, 1 (none) to 8.
    pub orientation: u8,
    /// It is the first of several frames.
    pub animated: bool,
    /// The same picture for the thumbnail cache, if it was asked for and is worth keeping.
    pub thumbnail: Option<Encoded>,
}

/// A file that a worker wrote into memory which it can no longer touch. What it says is untrusted.
#[derive(Debug)]
pub struct Encoded {
    memory: OwnedFd,
    len: u32,
}

impl Encoded {
    /// Checks what a worker sent.
    pub(super) fn verify(memory: OwnedFd, len: u32) -> Result<Self, ProtocolError> {
        check_memory(&memory, len.into())?;
        Ok(Self { memory, len })
    }

    /// A copy of its octets.
    ///
    /// # Errors
    ///
    /// Whatever reading memory may answer; none is expected.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        read_memory(&self.memory, self.len as usize)
    }
}

/// Neither size nor content of the memory can change, and it holds so many octets.
fn check_memory(memory: &OwnedFd, len: u64) -> Result<(), ProtocolError> {
    // The seals first: only memory files have them, and asking one for its size cannot block.
    let seals = rustix::fs::fcntl_get_seals(memory)
        .map_err(|_| ProtocolError::Memory("is not a memory file"))?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE) {
        return Err(ProtocolError::Memory("is not sealed"));
    }
    let held = rustix::fs::fstat(memory).map_err(io::Error::from)?.st_size;
    if u64::try_from(held).is_ok_and(|held| held >= len) {
        Ok(())
    } else {
        Err(ProtocolError::Memory("is smaller than the picture"))
    }
}

/// A copy of the first `len` octets.
fn read_memory(memory: &OwnedFd, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match rustix::io::pread(memory, &mut bytes[filled..], filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

impl Drawing {
    /// Checks what a worker sent.
    pub(super) fn verify(
        memory: OwnedFd,
        layout: Layout,
        original: Size,
        orientation: u8,
    ) -> Result<Self, ProtocolError> {
        check_memory(&memory, layout.len())?;
        Ok(Self { memory, layout, original, orientation, animated: false, thumbnail: None })
    }

    /// A copy of the pixels, `layout.len()` octets.
    ///
    /// # Errors
    ///
    /// Whatever reading memory may answer; none is expected.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        read_memory(&self.memory, self.layout.len() as usize)
    }
}

impl AsFd for Drawing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl From<Drawing> for OwnedFd {
    fn from(drawing: Drawing) -> Self {
        drawing.memory
    }
}
