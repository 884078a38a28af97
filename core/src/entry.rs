//! Flow 2, on both sides: functions that a worker can enter, known by name in every image that links them.

use std::fmt;

use crate::{Error, Worker};

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

impl Entry {
    #[doc(hidden)]
    pub const fn new(name: &'static str, enter: fn(Worker) -> Ending) -> Self {
        Entry { name, enter }
    }

    /// Gives the name: the path of the module that registered the function, and the function.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn enter(&self, worker: Worker) -> Ending {
        (self.enter)(worker)
    }

    pub(crate) fn find(name: &[u8]) -> Option<&'static Entry> {
        ENTRIES.iter().copied().find(|entry| entry.name.as_bytes() == name)
    }

    /// The names of all entries, in alphabetical order.
    pub(crate) fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names
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

/// Registers a function that workers can enter, and names a constant for it.
///
/// The function takes a [`Worker`] and returns nothing or a `Result<(), E>` whose `E` can be shown.
/// It is found by its name, `module::function`, so that processes made from another image of the
/// program, or from another program that links it, enter the same one.
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
