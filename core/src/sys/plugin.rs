//! Flow 2: shared objects that add entries and functions to a process: `include/tine-plugin.h` in Rust.
//!
//! # Safety
//! A plugin is code of the program's choice, as its own is; what it exports is believed. Its table and the
//! strings in it live as long as the object, which is never unloaded.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_uchar, c_void};
use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::Item;

/// The version of the table; an object of another is refused.
const VERSION: u32 = 1;
/// Octets that an error's text may have.
const ROOM: usize = 1024;

/// One item as C sees it: a descriptor that is the callee's from now on, or octets that are the caller's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawItem {
    fd: c_int,
    octets: *const c_uchar,
    length: usize,
}

type RawCall = unsafe extern "C" fn(
    data: *const c_void,
    socket: c_int,
    items: *const RawItem,
    count: usize,
    error: *mut c_char,
    room: usize,
) -> c_int;

#[repr(C)]
struct RawExport {
    name: *const c_char,
    kind: u32,
    /// None: null, which the header does not allow.
    call: Option<RawCall>,
    data: *const c_void,
}

/// The table that a plugin's `tine_plugin` function gives.
#[repr(C)]
pub struct RawPlugin {
    version: u32,
    count: u32,
    exports: *const RawExport,
}

/// What an export is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Kind {
    Entry = 0,
    Function = 1,
}

/// A loaded object.
pub(crate) struct Plugin {
    exports: Vec<Export>,
}

/// One function of a loaded object.
#[derive(Clone)]
pub(crate) struct Export {
    name: String,
    kind: Kind,
    call: RawCall,
    data: *const c_void,
}

// SAFETY: `data` points into the loaded object, which stays; the process that uses it has one thread while
// it is prepared, and an entry is entered once.
unsafe impl Send for Export {}

impl Plugin {
    pub fn load(path: &Path) -> Result<Plugin, String> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the path ends with a NUL; what the object's constructors do is its author's choice.
        let object = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if object.is_null() {
            return Err(linker_error());
        }
        // SAFETY: the handle was given by dlopen, the name ends with a NUL.
        let table = unsafe { libc::dlsym(object, c"tine_plugin".as_ptr()) };
        if table.is_null() {
            return Err("it does not export tine_plugin()".into());
        }
        // SAFETY: the header says that this is the function's type.
        let table: extern "C" fn() -> *const RawPlugin = unsafe { std::mem::transmute(table) };
        // SAFETY: the header says that the pointer is to a table that lasts, or null.
        let table = unsafe { table().as_ref() }.ok_or("tine_plugin() gives no table")?;
        if table.version != VERSION {
            return Err(format!("its table is of version {}, not {VERSION}", table.version));
        }
        let raw = match table.count as usize {
            0 => &[],
            _ if table.exports.is_null() => return Err("its table has no exports".into()),
            // SAFETY: the header says that so many exports follow.
            count => unsafe { std::slice::from_raw_parts(table.exports, count) },
        };
        let mut exports = Vec::with_capacity(raw.len());
        for (index, raw) in raw.iter().enumerate() {
            let export = Export::new(index, raw)?;
            if exports.iter().any(|other| export.is_named_as(other)) {
                return Err(format!("two of its exports are named {}", export.name));
            }
            exports.push(export);
        }
        Ok(Plugin { exports })
    }

    pub fn exports(self) -> Vec<Export> {
        self.exports
    }
}

fn linker_error() -> String {
    // SAFETY: dlerror gives a string that lasts until the next call in this thread, or null.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the dynamic linker does not say why".into();
    }
    // SAFETY: not null, so a string that ends with a NUL.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

impl Export {
    fn new(index: usize, raw: &RawExport) -> Result<Export, String> {
        if raw.name.is_null() {
            return Err(format!("its export {index} has no name"));
        }
        // SAFETY: the header says that a name is a string that lasts.
        let name = unsafe { CStr::from_ptr(raw.name) }.to_string_lossy().into_owned();
        let kind = match raw.kind {
            0 => Kind::Entry,
            1 => Kind::Function,
            kind => return Err(format!("its export {name} is of the unknown kind {kind}")),
        };
        let call = raw.call.ok_or_else(|| format!("its export {name} has no function"))?;
        Ok(Export { name, kind, call, data: raw.data })
    }

    /// Entries and functions may share a name.
    fn is_named_as(&self, other: &Export) -> bool {
        self.kind == other.kind && self.name == other.name
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn call(&self, socket: Option<UnixStream>, items: Vec<Item>) -> Result<(), String> {
        let socket = socket.map_or(-1, |socket| socket.into_raw_fd());
        let mut args = Vec::new();
        let raw: Vec<RawItem> = items
            .into_iter()
            .map(|item| match item {
                Item::Fd(fd) => {
                    RawItem { fd: fd.into_raw_fd(), octets: std::ptr::null(), length: 0 }
                }
                Item::Arg(arg) => {
                    let item = RawItem { fd: -1, octets: arg.as_ptr(), length: arg.len() };
                    args.push(arg);
                    item
                }
            })
            .collect();
        let mut error = [0 as c_char; ROOM];
        // SAFETY: the header says that this is the function's type. The items and their octets (in `args`)
        // outlive the call, the descriptors are the callee's, and the error has as much room as is said.
        let result = unsafe {
            (self.call)(self.data, socket, raw.as_ptr(), raw.len(), error.as_mut_ptr(), ROOM)
        };
        drop(args);
        if result == 0 {
            return Ok(());
        }
        error[ROOM - 1] = 0;
        // SAFETY: the last octet was just made a NUL.
        let text = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy().into_owned();
        Err(if text.is_empty() { format!("it returned {result}") } else { text })
    }
}

/// The Rust side of a plugin: the table of everything that this object registers.
pub fn table() -> *const RawPlugin {
    let entries = crate::entry::ENTRIES.iter().map(|entry| RawExport {
        name: c_name(entry.name()),
        kind: Kind::Entry as u32,
        call: Some(enter),
        data: std::ptr::from_ref(*entry).cast(),
    });
    let functions = crate::entry::FUNCTIONS.iter().map(|function| RawExport {
        name: c_name(function.name()),
        kind: Kind::Function as u32,
        call: Some(prepare),
        data: std::ptr::from_ref(*function).cast(),
    });
    let exports: &'static [RawExport] = Box::leak(entries.chain(functions).collect());
    let count = exports.len() as u32;
    Box::leak(Box::new(RawPlugin { version: VERSION, count, exports: exports.as_ptr() }))
}

fn c_name(name: &str) -> *const c_char {
    // A path of identifiers has no NUL in it.
    CString::new(name).unwrap_or_default().into_raw()
}

unsafe extern "C" fn enter(
    data: *const c_void,
    socket: c_int,
    items: *const RawItem,
    count: usize,
    error: *mut c_char,
    room: usize,
) -> c_int {
    // SAFETY: `table` put a reference to an entry there.
    let entry = unsafe { &*data.cast::<crate::Entry>() };
    // SAFETY: the caller gives the socket away.
    let socket = unsafe { UnixStream::from_raw_fd(socket) };
    // SAFETY: the caller says how many items there are, and gives their descriptors away.
    let items = unsafe { take(items, count) };
    answer(|| entry.enter(crate::serve::worker(socket, items)), error, room)
}

unsafe extern "C" fn prepare(
    data: *const c_void,
    _socket: c_int,
    items: *const RawItem,
    count: usize,
    error: *mut c_char,
    room: usize,
) -> c_int {
    // SAFETY: `table` put a reference to a function there.
    let function = unsafe { &*data.cast::<crate::Function>() };
    // SAFETY: the caller says how many items there are.
    let items = unsafe { take(items, count) };
    let args = items.into_iter().filter_map(|item| match item {
        Item::Arg(arg) => Some(arg),
        Item::Fd(_) => None,
    });
    let args = args.collect();
    answer(|| function.call(&mut crate::serve::Items::default(), args), error, room)
}

/// # Safety
/// `items` points to `count` items whose octets can be read; their descriptors are given away.
unsafe fn take(items: *const RawItem, count: usize) -> Vec<Item> {
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: as this function's own.
    let items = unsafe { std::slice::from_raw_parts(items, count) };
    let take = |item: &RawItem| {
        if item.fd >= 0 {
            // SAFETY: as this function's own.
            Item::Fd(unsafe { OwnedFd::from_raw_fd(item.fd) })
        } else if item.length == 0 {
            Item::Arg(Vec::new())
        } else {
            // SAFETY: as this function's own.
            Item::Arg(unsafe { std::slice::from_raw_parts(item.octets, item.length) }.to_vec())
        }
    };
    items.iter().map(take).collect()
}

/// Runs `function` and writes down its error; a panic must not cross into the caller, whose Rust may be
/// another, so it becomes an error with its text.
fn answer(function: impl FnOnce() -> Result<(), String>, error: *mut c_char, room: usize) -> c_int {
    let text = match crate::serve::catch(function) {
        Ok(Ok(())) => return 0,
        Ok(Err(text)) => text,
        Err(panic) => panic.to_string(),
    };
    let length = text.len().min(room.saturating_sub(1));
    if room > 0 {
        // SAFETY: the caller says that there are `room` octets, and `length` is less.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), error, length) };
        // SAFETY: `length` is less than `room`.
        unsafe { error.add(length).write(0) };
    }
    1
}
