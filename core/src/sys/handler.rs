//! Flow 1, at its foot: signal handlers that tell queues, hand on to the handler that was there
//! before, and give way to it when the last queue loses interest.
//!
//! `signal-hook` would do the first two. It never gives a signal its former action back, so a program
//! that once watched SIGINT could not be interrupted afterwards.
//!
//! # Safety
//! A handler may run in any thread, between any two instructions. It reads atomics and nodes that are
//! never freed, writes to an eventfd and restores `errno`: all of it is on the list of
//! `signal-safety(7)`. What may go away while it runs (the eventfd of a queue, the former action) is
//! taken back only when [`quiet`] has seen that no handler is at it.
#![allow(unsafe_code)]

use super::stamp::stamp;
use std::io::{Error, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Signals are numbered from 1; bit `n - 1` of a mask stands for signal `n`.
const SIGNALS: usize = 64;

/// What the kernel sends for a mistake of the program's own: to return from its handler is to repeat
/// the mistake.
const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// What a handler knows of one queue. Nodes are used again, and never freed.
struct Node {
    next: *const Node,
    /// The number of the queue's eventfd; -1 while no queue uses the node.
    eventfd: AtomicI32,
    /// The process that the queue belongs to.
    stamp: AtomicU32,
    wanted: AtomicU64,
    pending: AtomicU64,
}

// SAFETY: `next` is written before the node is published, and points to one that lives for ever.
unsafe impl Sync for Node {}
// SAFETY: as above.
unsafe impl Send for Node {}

static NODES: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());
/// The action that each signal had before ours; null where ours is not in place.
static FORMER: [AtomicPtr<libc::sigaction>; SIGNALS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS];
/// How many handlers are at a node or a former action.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// How many listeners want each signal. Who changes a node or an action holds the lock.
struct Installed {
    stamp: u32,
    listeners: [u32; SIGNALS],
}

static INSTALLED: Mutex<Installed> =
    Mutex::new(Installed { stamp: u32::MAX, listeners: [0; SIGNALS] });

fn installed() -> MutexGuard<'static, Installed> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.stamp != stamp() {
        // A forked process starts with none of the listeners of the one before.
        *installed = Installed { stamp: stamp(), listeners: [0; SIGNALS] };
    }
    installed
}

/// The signals of one queue.
pub(crate) struct Listener {
    node: &'static Node,
}

impl Listener {
    /// Rings the eventfd `bell` from now on when a signal comes that is listened to. The bell has to
    /// stay open as long as the listener.
    pub(crate) fn new(bell: BorrowedFd<'_>) -> Self {
        let _lock = installed();
        let node = nodes().find(|node| node.eventfd.load(SeqCst) < 0).unwrap_or_else(add_node);
        node.stamp.store(stamp(), SeqCst);
        node.pending.store(0, SeqCst);
        node.wanted.store(0, SeqCst);
        node.eventfd.store(bell.as_raw_fd(), SeqCst);
        Listener { node }
    }

    /// Listens to a signal, which must not be listened to already.
    ///
    /// # Errors
    /// `EINVAL` for what is no signal, cannot be caught, or must not be returned from.
    pub(crate) fn listen(&self, signal: i32) -> Result<()> {
        let mut installed = installed();
        let index = index(signal).ok_or_else(|| Error::from_raw_os_error(libc::EINVAL))?;
        if installed.listeners[index] == 0 {
            install(signal, index)?;
        }
        installed.listeners[index] += 1;
        self.node.wanted.fetch_or(1 << index, SeqCst);
        Ok(())
    }

    /// Listens to a signal no more. If nobody else does, its former action is in force again.
    pub(crate) fn leave(&self, signal: i32) {
        let mut installed = installed();
        let Some(index) = index(signal) else { return };
        self.node.wanted.fetch_and(!(1 << index), SeqCst);
        self.node.pending.fetch_and(!(1 << index), SeqCst);
        if installed.listeners[index] > 0 {
            installed.listeners[index] -= 1;
            if installed.listeners[index] == 0 {
                restore(signal, index);
            }
        }
    }

    /// Tells whether signals came since the last [`take`](Listener::take).
    pub(crate) fn is_pending(&self) -> bool {
        self.node.pending.load(SeqCst) != 0
    }

    /// The signals that came since the last call, as a mask.
    pub(crate) fn take(&self) -> impl Iterator<Item = i32> + use<> {
        let pending = self.node.pending.swap(0, SeqCst);
        (1..=64).filter(move |signal| pending >> (signal - 1) & 1 != 0)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let wanted = self.node.wanted.load(SeqCst);
        (1..=64).filter(|signal| wanted >> (signal - 1) & 1 != 0).for_each(|n| self.leave(n));
        let _lock = installed();
        self.node.eventfd.store(-1, SeqCst);
        quiet();
    }
}

fn index(signal: i32) -> Option<usize> {
    let index = usize::try_from(signal).ok()?.checked_sub(1)?;
    (index < SIGNALS && !FAULTS.contains(&signal)).then_some(index)
}

fn nodes() -> impl Iterator<Item = &'static Node> {
    // SAFETY: a published node lives for ever.
    let first = unsafe { NODES.load(SeqCst).cast_const().as_ref() };
    // SAFETY: so does the one that it points to.
    std::iter::successors(first, |node| unsafe { node.next.as_ref() })
}

/// Publishes a new node, unused. The caller holds the lock.
fn add_node() -> &'static Node {
    let node = Box::leak(Box::new(Node {
        next: NODES.load(SeqCst),
        eventfd: AtomicI32::new(-1),
        stamp: AtomicU32::new(0),
        wanted: AtomicU64::new(0),
        pending: AtomicU64::new(0),
    }));
    NODES.store(node, SeqCst);
    node
}

/// Waits until no handler uses what it read before the call: a few instructions in another thread.
fn quiet() {
    while BUSY.load(SeqCst) != 0 {
        std::thread::yield_now();
    }
}

fn action_of(signal: i32) -> Result<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: sigaction only writes to `action`.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: it succeeded, so it has written.
    Ok(unsafe { action.assume_init() })
}

fn set_action(signal: i32, action: &libc::sigaction) -> Result<()> {
    // SAFETY: the action is either one that sigaction gave, or ours.
    let status = unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    if status == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

fn ours() -> usize {
    handle as *const () as usize
}

fn install(signal: i32, index: usize) -> Result<()> {
    let former = action_of(signal)?;
    if former.sa_sigaction == ours() {
        // Inherited through a fork, with the action that was there before it.
        return Ok(());
    }
    let known = FORMER[index].load(SeqCst);
    if !known.is_null() {
        // Somebody's handler is on top of ours and calls it, as we call those below.
        return Ok(());
    }
    let mut action = former;
    action.sa_sigaction = ours();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    if matches!(former.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        action.sa_flags |= libc::SA_RESTART;
        // SAFETY: sigemptyset only writes to the mask.
        unsafe { libc::sigemptyset(&mut action.sa_mask) };
    } else {
        // The handler that ours calls goes on as it was meant to: with its mask, and with system calls
        // that end early, or do not.
        action.sa_flags |= former.sa_flags & (libc::SA_RESTART | libc::SA_NODEFER);
    }
    // What says how children end stays as it is: who ignored SIGCHLD has no zombies now either.
    action.sa_flags |= former.sa_flags & (libc::SA_NOCLDWAIT | libc::SA_NOCLDSTOP);
    if signal == libc::SIGCHLD && former.sa_sigaction == libc::SIG_IGN {
        action.sa_flags |= libc::SA_NOCLDWAIT;
    }
    FORMER[index].store(Box::into_raw(Box::new(former)), SeqCst);
    set_action(signal, &action).inspect_err(|_| forget(index))
}

fn restore(signal: i32, index: usize) {
    // SAFETY: it was published by `install` and is taken back by `forget` only, under the lock.
    let Some(former) = (unsafe { FORMER[index].load(SeqCst).as_ref() }) else { return };
    // Where a later handler is on top of ours, it goes on calling ours, and ours the former one.
    if action_of(signal).is_ok_and(|action| action.sa_sigaction == ours())
        && set_action(signal, former).is_ok()
    {
        forget(index);
    }
}

/// Frees the former action of a signal. The caller holds the lock.
fn forget(index: usize) {
    let former = FORMER[index].swap(ptr::null_mut(), SeqCst);
    quiet();
    // SAFETY: `install` made it of a box, nobody finds it any more, and no handler is at it.
    drop(unsafe { Box::from_raw(former) });
}

extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the location is the thread's own.
    let errno = unsafe { *libc::__errno_location() };
    BUSY.fetch_add(1, SeqCst);
    let former = index(signal).and_then(|index| {
        tell(1 << index);
        // SAFETY: `forget` frees it only when BUSY is 0.
        unsafe { FORMER[index].load(SeqCst).as_ref() }.copied()
    });
    BUSY.fetch_sub(1, SeqCst);
    if let Some(former) = former {
        hand_on(&former, signal, info, context);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

fn tell(bit: u64) {
    let here = stamp();
    for node in nodes() {
        let eventfd = node.eventfd.load(SeqCst);
        let wanted = node.wanted.load(SeqCst) & bit != 0 && node.stamp.load(SeqCst) == here;
        if eventfd >= 0 && wanted && node.pending.fetch_or(bit, SeqCst) == 0 {
            let one = 1u64;
            // SAFETY: the eventfd stays open while BUSY is not 0; 8 bytes are read. It can fail only
            // when 2^64 - 2 rings were never heard.
            unsafe { libc::write(eventfd, ptr::from_ref(&one).cast(), 8) };
        }
    }
}

fn hand_on(
    former: &libc::sigaction,
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    type Full = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    type Plain = extern "C" fn(i32);
    match former.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {}
        handler if former.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: SA_SIGINFO says that it is a function of this type.
            let handler: Full = unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: it is neither of the constants, so it is a function of this type.
            let handler: Plain = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}
