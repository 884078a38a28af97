//! Flow 2: the first and the last moments of a fresh process.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use rustix::process::{Pid, Signal};

use super::orders::{Orders, Then};
use super::stderr::Voice;
use super::worker::{Item, Worker};
use crate::entry::Entry;
use crate::wire::How;
use crate::{Result, sys};

/// What a fresh process starts with.
pub(super) struct Birth {
    /// Its own socket.
    pub socket: OwnedFd,
    /// The writing end of its standard error.
    pub stderr: OwnedFd,
    /// Octets of orders that lie in the socket already.
    pub waiting: usize,
    /// What it inherits.
    pub items: VecDeque<Item>,
    /// The template: when that dies, so does this process.
    pub parent: Pid,
}

/// Runs a fresh process from its first moment to its last.
pub(super) fn enter(birth: Birth) -> ! {
    let Birth { socket, stderr, waiting, items, parent } = birth;
    let socket = clean(socket, stderr, parent).unwrap_or_else(|_| sys::exit_now(1));
    VOICE.set(Voice::new());
    let then = Orders::new(socket, waiting, items)
        .and_then(|mut orders| orders.follow().map(|then| (then, orders.into_parts())));
    let (how, text) = match then {
        Ok((Then::Run(name), (socket, items))) => run(&name, Worker::new(socket.into(), items)),
        Ok((Then::Leave, _)) => (How::Dropped, Vec::new()),
        Err(error) => (How::BadOrders, error.to_string().into_bytes()),
    };
    // A closed standard output is nothing that can be told any more.
    let _ = std::io::stdout().flush();
    say(how, &text);
    sys::exit_now(how.code())
}

fn say(how: How, text: &[u8]) {
    if let Some(voice) = VOICE.take() {
        voice.say(how, text);
    }
}

/// Rule 6 of the design: signals, descriptors, and death with the parent.
fn clean(socket: OwnedFd, stderr: OwnedFd, parent: Pid) -> Result<OwnedFd> {
    sys::default_signals(false);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // It died before the line above could tell.
        sys::exit_now(1);
    }
    sys::descriptors::make_standard(&stderr, 2)?;
    let [socket] = sys::descriptors::keep_only([socket])?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    std::mem::forget(stderr);
    Ok(socket)
}

fn run(name: &[u8], worker: Worker) -> (How, Vec<u8>) {
    let Some(entry) = Entry::find(name) else {
        return (How::NotFound, Entry::names().join("\n").into_bytes());
    };
    sys::on_exit(exited);
    match catch_unwind(AssertUnwindSafe(|| entry.enter(worker))) {
        Ok(Ok(())) => (How::Returned, Vec::new()),
        Ok(Err(text)) => (How::Failed, text.into_bytes()),
        Err(payload) => (How::Panicked, panic_text(&*payload)),
    }
}

thread_local! {
    /// Set in a process's main thread, whose end is the process's.
    static VOICE: Cell<Option<Voice>> = const { Cell::new(None) };
    /// The last panic of this thread: message, NUL, place.
    static PANIC: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Has panics of workers noted; called once in each template, inherited by its workers.
pub(super) fn note_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        note(info);
        before(info);
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("(not a string)");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let text = format!("{message}\0{place}").into_bytes();
    if cfg!(panic = "abort") {
        // Nobody will catch it: these are the last words.
        say(How::Panicked, &text);
    }
    PANIC.with(|panic| *panic.borrow_mut() = text);
}

/// The noted panic; a program that has put its own hook in place leaves the payload only.
fn panic_text(payload: &(dyn Any + Send)) -> Vec<u8> {
    let noted = PANIC.with(RefCell::take);
    if !noted.is_empty() {
        return noted;
    }
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default().into_bytes()
}

/// exit(3) in a worker: its own output is flushed by then, the app's handlers stay uncalled.
extern "C" fn exited(code: i32, _: *mut std::ffi::c_void) {
    sys::exit_now(code)
}
