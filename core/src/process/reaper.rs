//! Flow 2, at its end: templates are the app's own children, and leave no zombies.
//!
//! No SIGCHLD handler and no `waitpid(-1)`: each template's pidfd is asked for itself, by the thread's
//! queue when it becomes readable, and whenever another template or a worker comes or goes.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{WaitId, WaitIdOptions};

use crate::Interest;

/// Templates that have been told to end, or seen to, and are not reaped yet.
static ENDING: Mutex<Vec<Arc<OwnedFd>>> = Mutex::new(Vec::new());

/// Takes over the duty to reap the process behind `pidfd`.
pub(super) fn adopt(pidfd: OwnedFd) {
    sweep();
    let pidfd = Arc::new(pidfd);
    if reap(&pidfd) {
        return;
    }
    ENDING.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&pidfd));
    watch(pidfd);
}

/// Reaps whatever has ended by now.
pub(super) fn sweep() {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner).retain(|pidfd| !reap(pidfd));
}

fn watch(pidfd: Arc<OwnedFd>) {
    let Some(queue) = crate::queue::existing() else { return };
    let watcher = std::rc::Rc::new(std::cell::RefCell::new(None));
    let own = std::rc::Rc::clone(&watcher);
    let io = queue.io(pidfd, Interest::READABLE, move |_, _| {
        sweep();
        own.take();
    });
    // A queue that can watch no more leaves it to the next sweep.
    *watcher.borrow_mut() = io.ok();
}

/// Tells whether nothing is left to reap. ECHILD: the app has done it, or it is no child of the app's.
pub(super) fn reap(pidfd: &OwnedFd) -> bool {
    use std::os::fd::AsFd as _;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    !matches!(rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options), Ok(None))
}
