//! Flow 2: a shared object, looked at before the dynamic linker maps it.
//!
//! Of one for another kind of machine the linker says that there is no such file, and one that ends before what is to
//! be mapped of it has its reader killed (SIGBUS). All else it tells by itself.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

/// The beginning of a 64-bit object (elf(5)).
const HEADER: usize = 64;
/// One entry of its table of segments.
const SEGMENT: usize = 56;
/// A segment that is mapped.
const LOAD: u32 = 1;

/// Tells what is wrong with an object.
pub(super) fn check(file: &OwnedFd) -> Result<(), &'static str> {
    // What cannot be read, the linker cannot either.
    let Ok(file) = file.try_clone().map(File::from) else { return Ok(()) };
    let (Some(object), Some(own)) = (header(&file), own()) else { return Ok(()) };
    // Behind the kind of file, which is another for programs.
    match (object[..7] == own[..7], object[18..20] == own[18..20]) {
        (true, false) => Err("it is for another kind of machine"),
        (true, true) if ends_early(&file, &object) => Err("it is cut off"),
        _ => Ok(()),
    }
}

/// The header of a 64-bit object.
fn header(file: &File) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0).ok()?;
    (header[..5] == *b"\x7fELF\x02").then_some(header)
}

/// This program's; None where there is no /proc.
fn own() -> Option<[u8; HEADER]> {
    header(&File::open("/proc/self/exe").ok()?)
}

fn ends_early(file: &File, header: &[u8; HEADER]) -> bool {
    let Ok(len) = file.metadata().map(|data| data.len()) else { return false };
    let table = number(&header[32..]);
    let count = u64::from(u16::from_ne_bytes([header[56], header[57]]));
    (0..count).any(|at| {
        let mut segment = [0; SEGMENT];
        let start = table.saturating_add(at * SEGMENT as u64);
        if file.read_exact_at(&mut segment, start).is_err() {
            return true;
        }
        let kind = u32::from_ne_bytes([segment[0], segment[1], segment[2], segment[3]]);
        let end = number(&segment[8..]).saturating_add(number(&segment[32..]));
        kind == LOAD && end > len
    })
}

fn number(octets: &[u8]) -> u64 {
    octets.first_chunk().copied().map_or(0, u64::from_ne_bytes)
}
