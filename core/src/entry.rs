//! Flow 2, on both sides: functions that a worker can enter, known by name in every image that links them.

use std::fmt;
use std::sync::OnceLock;

use crate::{Error, Items, Worker};

/// A function that a worker can enter; made by [`entry!`](crate::entry!).
#[derive(Clone, Copy)]
pub struct Entry {
    name: &'static str,
    enter: fn(Worker) -> Ending,
}

/// How an entry ended, before the process does: what [`Outcome`] makes of the function's result.
#[doc(hidden)]
pub type Ending = Result<(), String>;

/// All entries of this image, collected by the linker.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static ENTRIES: [&'static Entry];

/// [`ENTRIES`], and their names where a template's processes have them in memory already, as they have not the program's
/// constants.
static KNOWN: OnceLock<Vec<(Box<str>, &'static Entry)>> = OnceLock::new();

impl Entry {
    #[doc(hidden)]
    pub const fn new(name: &'static str, enter: fn(Worker) -> Ending) -> Self {
        Entry { name, enter }
    }

    /// Gives the name: the path of the module that registered the function, and the function.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    #[inline(always)]
    pub(crate) fn enter(&self, worker: Worker) -> Ending {
        (self.enter)(worker.entering(self.name))
    }

    /// In a template: has the code and the names of all of them at hand for its processes.
    pub(crate) fn make_ready() {
        ENTRIES.iter().for_each(|entry| crate::sys::code::map(entry.enter as usize));
        KNOWN.get_or_init(|| ENTRIES.iter().map(|entry| (entry.name.into(), *entry)).collect());
    }

    /// Finds the one of that name.
    ///
    /// # Errors
    /// When there are two, of which nobody can say which is meant.
    #[inline(always)]
    pub(crate) fn find(name: &[u8]) -> Result<Option<&'static Entry>, String> {
        let found = match KNOWN.get() {
            Some(known) => {
                only(known.iter().filter(|(known, _)| is(known, name)).map(|(_, entry)| *entry))
            }
            None => only(ENTRIES.iter().copied().filter(|entry| is(entry.name, name))),
        };
        found.map_err(|()| ambiguous("entries", name))
    }

    /// The names of all entries, in alphabetical order.
    pub(crate) fn names() -> Vec<String> {
        let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.name.into()).collect();
        names.sort_unstable();
        names
    }
}

/// A function that can be called in a process while it is prepared; made by [`function!`](crate::function!).
#[derive(Clone, Copy)]
pub struct Function {
    name: &'static str,
    call: fn(&mut Items, Vec<Vec<u8>>) -> Ending,
}

/// All functions of this image, collected by the linker.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static FUNCTIONS: [&'static Function];

impl Function {
    #[doc(hidden)]
    pub const fn new(name: &'static str, call: fn(&mut Items, Vec<Vec<u8>>) -> Ending) -> Self {
        Function { name, call }
    }

    /// Gives the name: the path of the module that registered the function, and the function.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn call(&self, items: &mut Items, args: Vec<Vec<u8>>) -> Ending {
        (self.call)(items, args)
    }

    /// As [`Entry::find`].
    pub(crate) fn find(name: &[u8]) -> Result<Option<&'static Function>, String> {
        let found = only(FUNCTIONS.iter().copied().filter(|function| is(function.name, name)));
        found.map_err(|()| ambiguous("functions", name))
    }

    /// The names of all functions, in alphabetical order.
    pub(crate) fn names() -> Vec<String> {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name.into()).collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

impl From<Function> for String {
    fn from(function: Function) -> String {
        function.name.into()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.name).finish()
    }
}

impl From<Entry> for String {
    fn from(entry: Entry) -> String {
        entry.name.into()
    }
}

/// What an entry may return: nothing, or a result whose error can be shown.
pub trait Outcome {
    #[doc(hidden)]
    fn ending(self) -> Ending;
}

impl Outcome for () {
    fn ending(self) -> Ending {
        Ok(())
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn ending(self) -> Ending {
        self.map_err(|error| error.to_string())
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// Gives the only one.
#[inline(always)]
fn only<T>(mut matching: impl Iterator<Item = T>) -> Result<Option<T>, ()> {
    let first = matching.next();
    if matching.next().is_some() { Err(()) } else { Ok(first) }
}

#[cold]
fn ambiguous(what: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    format!("two {what} of this program are named {name}: register one in another module")
}

/// Compares without the C library, whose page a fresh process would not touch otherwise.
fn is(name: &str, wanted: &[u8]) -> bool {
    name.len() == wanted.len() && name.bytes().eq(wanted.iter().copied())
}

/// Registers a function that workers can enter, and names a constant for it.
///
/// The function takes a [`Worker`] and returns nothing or a `Result<(), E>` whose `E` can be shown.
/// It is found by its name, `module::function`, so that processes made from another image of the
/// program, or from another program that links it, enter the same one. Of two with one name, as in the bodies of two
/// functions of one module, or in two versions of a library, neither can be entered.
///
/// When it returns, fails or panics, what it has printed (`print!`) is written out, and the process leaves by
/// `_exit`: no destructor runs, and no other buffer is written. Of its own, and of the C library's (`printf`), it
/// takes care itself.
///
/// ```
/// tine::entry!(
///     /// Answers what it is sent.
///     pub ECHO = echo
/// );
///
/// fn echo(worker: tine::Worker) -> std::io::Result<()> {
///     let mut socket = worker.socket();
///     std::io::copy(&mut &*socket, &mut socket)?;
///     Ok(())
/// }
/// assert!(ECHO.name().ends_with("::echo"));
/// ```
#[macro_export]
macro_rules! entry {
    ($(#[$attribute:meta])* $visibility:vis $NAME:ident = $function:path $(,)?) => {
        $(#[$attribute])*
        $visibility static $NAME: $crate::Entry = {
            fn enter(worker: $crate::Worker) -> $crate::__private::Ending {
                $crate::Outcome::ending($function(worker))
            }
            $crate::Entry::new(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($function)),
                enter,
            )
        };
        const _: () = {
            use $crate::__private::linkme;
            #[linkme::distributed_slice($crate::__private::ENTRIES)]
            #[linkme(crate = $crate::__private::linkme)]
            static REGISTERED: &$crate::Entry = &$NAME;
        };
    };
}

/// Registers a function that can be [called](crate::Process::call) in a process while it is prepared.
///
/// It is given what was sent before (and may take it), and the call's arguments. Its name is made as that of an
/// [entry](crate::entry!).
///
/// ```
/// tine::function!(pub WARM = warm);
///
/// fn warm(_sent: &mut tine::Items, args: Vec<Vec<u8>>) -> Result<(), String> {
///     if args.is_empty() { Err("what shall I warm?".into()) } else { Ok(()) }
/// }
/// assert!(WARM.name().ends_with("::warm"));
/// ```
#[macro_export]
macro_rules! function {
    ($(#[$attribute:meta])* $visibility:vis $NAME:ident = $function:path $(,)?) => {
        $(#[$attribute])*
        $visibility static $NAME: $crate::Function = {
            fn call(
                sent: &mut $crate::Items,
                args: ::std::vec::Vec<::std::vec::Vec<u8>>,
            ) -> $crate::__private::Ending {
                $crate::Outcome::ending($function(sent, args))
            }
            $crate::Function::new(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($function)),
                call,
            )
        };
        const _: () = {
            use $crate::__private::linkme;
            #[linkme::distributed_slice($crate::__private::FUNCTIONS)]
            #[linkme(crate = $crate::__private::linkme)]
            static REGISTERED: &$crate::Function = &$NAME;
        };
    };
}

/// Makes a `cdylib` a plugin: a program can [load](crate::Process::load) it into a process and use every
/// entry and function that it registers.
///
/// The object and the program may be built by different compilers: what they share is C
/// (`include/tine-plugin.h`).
#[macro_export]
macro_rules! plugin {
    () => {
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn tine_plugin() -> *const $crate::__private::RawPlugin {
                $crate::__private::table()
            }
        };
    };
}
