//! Flow 2: destructors of the app's thread-local values, which no process of a template's runs.
//!
//! exit(3) calls them before any handler that [`super::on_exit`] could have put first. The GNU C library keeps them in
//! a list of the thread's, the latest first, which it has no call to shorten. So a destructor of tine's own, which does
//! nothing, is put before them, and its place in the list made the last.
//!
//! # Safety
//! What is written to is an entry that the C library has just made, known by three signs: the one word of the library's
//! thread-local memory that the call has changed leads to it, it holds the argument that was given, and it leads to
//! what that word held before (`struct dtor_list` of glibc's stdlib/cxa_thread_atexit_impl.c, the same since 2.18).
//! Where any of them is not so, nothing is written, and destructors run as they would. The processes that call this
//! have one thread.
#![allow(unsafe_code)]

/// Has the destructors that this thread has registered by now never run.
pub(crate) fn forget() {
    #[cfg(target_env = "gnu")]
    gnu::forget();
}

#[cfg(target_env = "gnu")]
mod gnu {
    use std::ffi::{c_int, c_void};
    use std::ptr;

    type Destructor = unsafe extern "C" fn(*mut c_void);

    unsafe extern "C" {
        fn __cxa_thread_atexit_impl(
            destructor: Destructor,
            argument: *mut c_void,
            library: *mut c_void,
        ) -> c_int;
        static __dso_handle: u8;
    }

    /// An entry of the list.
    #[repr(C)]
    struct Entry {
        destructor: usize,
        argument: *mut c_void,
        library: *mut c_void,
        next: usize,
    }

    /// Memory in words: where it begins, and how many.
    #[derive(Clone, Copy)]
    struct Words(*const usize, usize);

    impl Words {
        fn read(self) -> impl Iterator<Item = usize> {
            // SAFETY: a thread-local block is mapped for as long as its thread lives, and read a word at a time.
            (0..self.1).map(move |at| unsafe { self.0.add(at).read_volatile() })
        }
    }

    pub(super) fn forget() {
        static MARK: u8 = 0;
        let mark = (&raw const MARK).cast_mut().cast::<c_void>();
        let Some(words) = library_words() else { return };
        let mut before = Vec::with_capacity(words.1);
        before.extend(words.read());
        // SAFETY: the destructor does nothing, and is a function of the object that the handle is of.
        let added = unsafe {
            __cxa_thread_atexit_impl(nothing, mark, (&raw const __dso_handle).cast_mut().cast())
        };
        let mut changed = words.read().zip(before).filter(|(now, before)| now != before);
        let (Some((now, before)), None, 0) = (changed.next(), changed.next(), added) else {
            return;
        };
        let entry = ptr::with_exposed_provenance_mut::<Entry>(now);
        if entry.is_null() || !entry.is_aligned() {
            return;
        }
        // SAFETY: see the top: the call has put the address of what it has allocated there.
        let entry = unsafe { &mut *entry };
        if entry.argument == mark && entry.next == before {
            entry.next = 0;
        }
    }

    unsafe extern "C" fn nothing(_: *mut c_void) {}

    /// This thread's thread-local memory of the object that has the C library in it.
    fn library_words() -> Option<Words> {
        let mut found = None;
        // SAFETY: the callback is given `found`, which outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut found).cast()) };
        found
    }

    unsafe extern "C" fn look(
        object: *mut libc::dl_phdr_info,
        _: libc::size_t,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: dl_iterate_phdr(3) gives a valid object, and what it was given.
        let (object, found) = unsafe { (&*object, &mut *found.cast::<Option<Words>>()) };
        // SAFETY: the table is as long as is said, and mapped.
        let headers =
            unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
        let wanted = __cxa_thread_atexit_impl as *const () as usize as u64;
        let has_it = headers.iter().any(|part| {
            part.p_type == libc::PT_LOAD
                && wanted.wrapping_sub(object.dlpi_addr.wrapping_add(part.p_vaddr)) < part.p_memsz
        });
        let local = headers.iter().find(|part| part.p_type == libc::PT_TLS);
        if let (true, Some(local), false) = (has_it, local, object.dlpi_tls_data.is_null()) {
            let len = local.p_memsz as usize / size_of::<usize>();
            *found = Some(Words(object.dlpi_tls_data.cast_const().cast(), len));
        }
        has_it.into()
    }
}
