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
}

impl Drawing {
    /// Checks what a worker sent.
    pub(super) fn verify(
        memory: OwnedFd,
        layout: Layout,
        original: Size,
        orientation: u8,
    ) -> Result<Self, ProtocolError> {
        // The seals first: only memory files have them, and asking one for its size cannot block.
        let seals = rustix::fs::fcntl_get_seals(&memory)
            .map_err(|_| ProtocolError::Memory("is not a memory file"))?;
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE) {
            return Err(ProtocolError::Memory("is not sealed"));
        }
        let held = rustix::fs::fstat(&memory).map_err(io::Error::from)?.st_size;
        if u64::try_from(held).is_ok_and(|held| held >= layout.len()) {
            Ok(Self { memory, layout, original, orientation })
        } else {
            Err(ProtocolError::Memory("is smaller than the picture"))
        }
    }

    /// A copy of the pixels, `layout.len()` octets.
    ///
    /// # Errors
    ///
    /// Whatever reading memory may answer; none is expected.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.layout.len() as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::pread(&self.memory, &mut bytes[filled..], filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
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
