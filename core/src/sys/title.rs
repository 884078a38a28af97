//! Flow 2: what `ps` and `top` call a process.
//!
//! The short name (`ps -e`, 15 octets) is one call of the kernel. The command line (`ps aux`) is memory that
//! the kernel reads when it is asked: a template says once that its own is [`TITLE`], and a worker only writes
//! there.
//!
//! # Safety
//! `prctl(PR_SET_MM_MAP)` is told what the kernel itself has just said of this process, but for where the
//! arguments lie. The kernel only reads there, and fails where nothing is mapped.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;

/// Room for a command line, and a NUL at its end.
const LENGTH: usize = 96;

thread_local! {
    /// The command line. In the thread's own memory, where every worker writes to this page anyway
    /// (where its last words go, and its panics): a page of its own would have to be copied for each.
    static TITLE: [Cell<u8>; LENGTH] = const { [const { Cell::new(0) }; LENGTH] };
}

/// `struct prctl_mm_map` of linux/prctl.h.
#[repr(C)]
struct Map {
    /// Code, data, heap, stack, arguments, environment: from, to; of the stack only its start.
    areas: [u64; 11],
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// Has the kernel show [`TITLE`] as the command line of this process and of those forked from it.
///
/// A kernel without `CONFIG_CHECKPOINT_RESTORE` refuses, and shows the app's instead.
pub(crate) fn begin() {
    let Some(areas) = areas() else { return };
    let map = Map { areas, auxv: 0, auxv_size: 0, exe_fd: u32::MAX };
    // SAFETY: `map` is what the call takes, and outlives it; see the top for what it says.
    unsafe {
        libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, &raw const map, size_of::<Map>(), 0);
    }
}

/// The process's areas as proc_pid_stat(5) numbers them, with arguments in [`TITLE`].
fn areas() -> Option<[u64; 11]> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Field 3 is the first behind the name, which may hold anything.
    let fields: Vec<u64> =
        stat.rsplit_once(')')?.1.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied();
    // SAFETY: with 0 it only tells where the heap ends.
    let heap_end = unsafe { libc::sbrk(0) } as u64;
    let title = TITLE.with(|title| title.as_ptr()) as u64;
    Some([
        field(26)?,
        field(27)?,
        field(45)?,
        field(46)?,
        field(47)?,
        heap_end,
        field(28)?,
        title,
        title + LENGTH as u64,
        field(50)?,
        field(51)?,
    ])
}

/// Names this process: `tine what`, and `of` what.
#[inline]
pub(crate) fn show(what: &str, of: &[u8]) {
    let what = b"tine ".iter().chain(what.as_bytes());
    let colon: &[u8] = if of.is_empty() { b"" } else { b": " };
    TITLE.with(|title| {
        let octets = what.clone().chain(colon).chain(of).chain(std::iter::repeat(&0));
        title[..LENGTH - 1].iter().zip(octets).for_each(|(place, octet)| place.set(*octet));
    });
    // Of an entry's path the last part says most, and the rest would not fit.
    let last = of.rsplit(|octet| *octet == b':').next().unwrap_or_default();
    let octets = what.take(if last.is_empty() { 15 } else { 5 }).chain(last);
    let mut short = [0; 16];
    short[..15].iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
    if let Ok(short) = CStr::from_bytes_until_nul(&short) {
        // Never refused (prctl(2), PR_SET_NAME).
        let _never = rustix::thread::set_name(short);
    }
}
