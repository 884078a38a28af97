//! Flow 2: which object this copy of tine lies in: the program, or a library that has a copy of its own.
//!
//! # Safety
//! `dl_iterate_phdr` calls back before it returns, with a description that lasts through the call; of it only what
//! dl_iterate_phdr(3) promises is read.
#![allow(unsafe_code)]

use std::ffi::{OsString, c_int, c_void};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A file that is mapped into this process, as proc_pid_maps(5) names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub path: PathBuf,
    /// Device and inode: who lies in the same file finds the same.
    pub file: String,
}

/// Tells whether this code lies in the program itself, and not in a library.
pub(crate) fn is_program() -> bool {
    // SAFETY: getauxval(3) only reads what the kernel put before the program.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    let first = Program::find();
    // In a namespace of its own (dlmopen(3)) a library is asked about that, and may be the first there.
    let is_first = first.holds(headers) || super::loader::by_hand().is_some();
    is_first && first.holds(own_place())
}

/// Tells whether the program has a copy of tine: this one, or another.
pub(crate) fn program_has_one() -> bool {
    let program = Program::find();
    program.holds(own_place()) || program.notes.iter().any(|(place, size)| has_note(*place, *size))
}

/// By which a program that links tine is known to libraries: a note as elf(5) has it.
#[repr(C)]
struct Note {
    name_size: u32,
    content_size: u32,
    kind: u32,
    name: [u8; 8],
}

const NAME: &[u8; 5] = b"tine\0";

#[used]
// SAFETY: the section is of a type of its own, and its content is what a note has to be.
#[unsafe(link_section = ".note.tine")]
static NOTE: Note =
    Note { name_size: NAME.len() as u32, content_size: 0, kind: 1, name: *b"tine\0\0\0\0" };

/// Looks for it in a part of the program that has notes.
fn has_note(place: usize, size: usize) -> bool {
    // SAFETY: the program's headers say that it lies there, as long as the program runs.
    let mut rest =
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(place), size) };
    while let Some((head, after)) = rest.split_first_chunk::<12>() {
        let word = |at: usize| {
            u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize
        };
        let (name, content) = (word(0), word(4));
        if after.get(..name) == Some(NAME) {
            return true;
        }
        let next = name.next_multiple_of(4).saturating_add(content.next_multiple_of(4));
        rest = after.get(next..).unwrap_or_default();
    }
    false
}

/// The file that this code lies in.
pub(crate) fn own() -> Option<Mapped> {
    mapped(own_place())
}

/// The file of the program itself.
pub(crate) fn program() -> Option<Mapped> {
    mapped(Program::find().start)
}

fn own_place() -> usize {
    own as *const () as usize
}

/// Where the program lies.
#[derive(Default)]
struct Program {
    start: usize,
    /// From and to, of each part.
    parts: Vec<(usize, usize)>,
    /// Place and size, of each part that has notes.
    notes: Vec<(usize, usize)>,
}

impl Program {
    fn find() -> Program {
        let mut program = Program::default();
        // SAFETY: see the top; `program` outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut program).cast()) };
        program
    }

    fn holds(&self, place: usize) -> bool {
        self.parts.iter().any(|(from, to)| (*from..*to).contains(&place))
    }
}

/// Called for the program (dl_iterate_phdr(3)), and then for no other.
unsafe extern "C" fn first(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    program: *mut c_void,
) -> c_int {
    // SAFETY: the caller says that it describes an object.
    let object = unsafe { &*object };
    // SAFETY: it is what `find` has passed.
    let program = unsafe { &mut *program.cast::<Program>() };
    // SAFETY: the description says that so many headers are there.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    for header in headers {
        let from = (object.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        match header.p_type {
            libc::PT_LOAD => {
                program.parts.push((from, from.wrapping_add(header.p_memsz as usize)));
            }
            libc::PT_NOTE => program.notes.push((from, header.p_memsz as usize)),
            _ => (),
        }
    }
    program.start = program.parts.first().map_or(0, |(from, _)| *from);
    1
}

fn mapped(place: usize) -> Option<Mapped> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    maps.split(|octet| *octet == b'\n').find_map(|line| understand(line, place))
}

/// Reads one line, if it is about this place.
fn understand(line: &[u8], place: usize) -> Option<Mapped> {
    // The fields are ASCII: range, rights, offset, device, inode; then spaces, and the path to the end of the line.
    let mut rest = line;
    let mut fields = [""; 5];
    for field in &mut fields {
        let end = rest.iter().position(|octet| *octet == b' ')?;
        *field = str::from_utf8(&rest[..end]).ok()?;
        rest = &rest[end + 1..];
    }
    let (from, to) = fields[0].split_once('-')?;
    let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
    let path = rest.trim_ascii_start();
    if !range.contains(&place) || !path.starts_with(b"/") {
        return None;
    }
    let file = format!("{}:{}", fields[3], fields[4]);
    Some(Mapped { path: OsString::from_vec(unescaped(path)).into(), file })
}

/// A line's end in a path is told as `\012`.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut rest = path;
    let mut plain = Vec::with_capacity(path.len());
    while let Some((octet, after)) = rest.split_first() {
        (rest, _) = match after.strip_prefix(b"012") {
            Some(after) if *octet == b'\\' => (after, plain.push(b'\n')),
            _ => (after, plain.push(*octet)),
        };
    }
    plain
}
