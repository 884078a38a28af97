//! Flow 1: which descriptors of this process are tine's own, so that nobody takes a queue's epoll
//! set for a foreign event loop.

use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

static OWN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

fn own() -> MutexGuard<'static, Vec<RawFd>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The descriptors of all live queues of this process, of all threads.
pub(crate) fn own_descriptors() -> Vec<RawFd> {
    own().clone()
}

/// A descriptor that [`own_descriptors`] tells of while it is open.
#[derive(Debug)]
pub(super) struct Own<T: AsFd>(T);

impl<T: AsFd> Own<T> {
    pub(super) fn new(fd: T) -> Self {
        own().push(fd.as_fd().as_raw_fd());
        Own(fd)
    }
}

impl<T: AsFd> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: AsFd> AsFd for Own<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: AsFd> Drop for Own<T> {
    fn drop(&mut self) {
        let number = self.0.as_fd().as_raw_fd();
        let mut own = own();
        if let Some(found) = own.iter().position(|other| *other == number) {
            own.swap_remove(found);
        }
    }
}
