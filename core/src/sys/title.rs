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
///
/// It calls nothing and reads no constant from memory, as either would be on a page that a fresh process has not
/// entered yet.
#[inline(always)]
pub(crate) fn show<const N: usize>(what: [u8; N], of: &[u8]) {
    let title = TITLE.with(|title| title.as_ptr().cast::<u8>().cast_mut());
    let mut place = 0;
    let mut write = |octet: u8| {
        if place < LENGTH - 1 {
            // SAFETY: within TITLE, which only this thread, the process's only one, writes to. Volatile, lest
            // a compiler make a call of it.
            unsafe { title.add(place).write_volatile(octet) };
            place += 1;
        }
    };
    let mut short = [0_u8; 16];
    let mut short_place = 0;
    let mut write_short = |octet: u8| {
        if short_place < 15 {
            // SAFETY: a reference is valid to write to. Volatile as above.
            unsafe { std::ptr::from_mut(&mut short[short_place]).write_volatile(octet) };
            short_place += 1;
        }
    };
    for octet in *b"tine " {
        write(octet);
        write_short(octet);
    }
    for octet in what {
        write(octet);
    }
    // Of an entry's path the last part says most, and the rest would not fit the short name.
    let last = of.iter().rposition(|octet| *octet == b':').map_or(0, |colon| colon + 1);
    if last == of.len() {
        for octet in what {
            write_short(octet);
        }
    }
    if !of.is_empty() {
        for octet in *b": " {
            write(octet);
        }
    }
    for (at, octet) in of.iter().enumerate() {
        write(*octet);
        if at >= last {
            write_short(*octet);
        }
    }
    for _ in 0..LENGTH {
        write(0);
    }
    let args = [libc::PR_SET_NAME as usize, short.as_ptr() as usize, 0, 0];
    // SAFETY: the kernel reads 16 octets at most, of which the last is 0 (prctl(2)). It never refuses.
    unsafe { super::raw::syscall(libc::SYS_prctl, args) };
}
