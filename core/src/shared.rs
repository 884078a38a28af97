//! Between both flows: results too large to copy. A worker writes them into memory that it then cannot change
//! any more, and the app reads them where they are.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::sys::map::Mapping;
use crate::{Error, ErrorKind, Result};

/// Memory that a worker writes its result into.
///
/// ```
/// let mut pixels = tine::SharedMut::new(4 * 640 * 480)?;
/// pixels.fill(0xff);
/// let sealed = pixels.seal()?;              // a descriptor, to be sent to the app
/// let pixels = tine::Shared::from_fd(sealed)?; // in the app: not a copy
/// assert!(pixels.iter().all(|octet| *octet == 0xff));
/// # Ok::<(), tine::Error>(())
/// ```
pub struct SharedMut {
    mapping: Mapping,
    memfd: OwnedFd,
}

impl SharedMut {
    /// Makes `length` octets, all 0. No memory is used before it is written to.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: memory, address space or descriptors run out.
    pub fn new(length: usize) -> Result<SharedMut> {
        let failed = |error| Error::system(format_args!("make a memfd of {length} octets"), error);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memfd = rustix::fs::memfd_create("tine-shared", flags).map_err(failed)?;
        rustix::fs::ftruncate(&memfd, length as u64).map_err(failed)?;
        // Before it is mapped: from here on no access to it can fault.
        rustix::fs::fcntl_add_seals(&memfd, SealFlags::GROW | SealFlags::SHRINK).map_err(failed)?;
        let mapping = Mapping::of_own(memfd.as_fd(), length).map_err(failed)?;
        Ok(SharedMut { mapping, memfd })
    }

    /// Seals the memory against every change, by whomever, and gives its descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: `EBUSY` when the program has mapped it elsewhere, to be written (fcntl(2)).
    pub fn seal(self) -> Result<OwnedFd> {
        let SharedMut { mapping, memfd } = self;
        drop(mapping);
        rustix::fs::fcntl_add_seals(&memfd, SealFlags::WRITE | SealFlags::SEAL)
            .map_err(|error| Error::system("seal a memfd", error))?;
        Ok(memfd)
    }

    /// Seals the memory and keeps it readable here: what goes into a message of [`rpc`](crate::rpc).
    ///
    /// # Errors
    /// As [`SharedMut::seal`] and [`Shared::from_fd`].
    pub fn share(self) -> Result<Shared> {
        let memfd = Arc::new(self.seal()?);
        let mapping = Shared::map(&memfd)?;
        Ok(Shared { mapping, memfd: Some(memfd) })
    }
}

impl Deref for SharedMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapping.octets()
    }
}

impl DerefMut for SharedMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.mapping.octets_mut()
    }
}

/// Sealed memory of another process, read where it is.
///
/// It can be sent to other threads and be owned by whatever takes owned octets (`glib::Bytes::from_owned`).
pub struct Shared {
    mapping: Mapping,
    /// Kept where it may be sent: in the process that made the memory.
    memfd: Option<Arc<OwnedFd>>,
}

impl Shared {
    /// Maps what [`SharedMut::seal`] gave, in this process or another.
    ///
    /// # Errors
    /// - [`ErrorKind::Protocol`]: the descriptor is no memfd, or not sealed against writing, growing and
    ///   shrinking: whoever sent it could change it while it is read, or have the reader killed by SIGBUS.
    /// - [`ErrorKind::System`]: address space runs out.
    pub fn from_fd(fd: OwnedFd) -> Result<Shared> {
        // The mapping keeps the file; the descriptor is not needed any more.
        Ok(Shared { mapping: Shared::map(&fd)?, memfd: None })
    }

    pub(crate) fn memfd(&self) -> Option<Arc<OwnedFd>> {
        self.memfd.clone()
    }

    fn map(fd: &OwnedFd) -> Result<Mapping> {
        let wanted = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
        let seals = rustix::fs::fcntl_get_seals(fd).unwrap_or(SealFlags::empty());
        if !seals.contains(wanted) {
            let message = format!("shared memory is not sealed against every change: {seals:?}");
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        let failed = |error| Error::system("map shared memory", error);
        let length = rustix::fs::fstat(fd).map_err(failed)?.st_size;
        let length = usize::try_from(length).map_err(|_| failed(rustix::io::Errno::OVERFLOW))?;
        Mapping::of_sealed(fd.as_fd(), length).map_err(failed)
    }
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapping.octets()
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("length", &self.len()).finish()
    }
}

impl fmt::Debug for SharedMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMut").field("length", &self.len()).finish()
    }
}
