//! Flow 2: a fresh process becomes an external program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::Pid;

use crate::error::named;
use crate::fault::{self, Stage};
use crate::wire::{Execute, Given as Standard, Message, socket};
use crate::{Error, Result, sys};

/// An execution in the making: the descriptors are where the program expects them.
pub(super) struct Execution {
    command: Command,
    program: String,
    arg0: Option<OsString>,
    clear_environment: bool,
    directory: Option<OsString>,
    process_group: Option<i32>,
    dies_with_app: bool,
    new_session: bool,
    /// None lies at a number that another is to have.
    places: Vec<(OwnedFd, RawFd)>,
}

impl Execution {
    pub fn new(order: &Execute<'_>, fds: Vec<OwnedFd>) -> Result<Self> {
        let numbers: Vec<_> = order.places.iter().map(|place| *place as RawFd).collect();
        let fds: io::Result<Vec<_>> =
            fds.into_iter().map(|fd| sys::descriptors::out_of_the_way(fd, &numbers)).collect();
        let mut fds = fds?.into_iter();
        let mut command = Command::new(os(order.program));
        command.args(order.args.iter().copied().map(os));
        if let Some(name) = order.arg0 {
            command.arg0(os(name));
        }
        if order.clear_environment {
            command.env_clear();
        }
        for (name, value) in &order.environment {
            match value {
                Some(value) => command.env(os(name), os(value)),
                None => command.env_remove(os(name)),
            };
        }
        let program = named(os(order.program));
        let mut standard = |given, null: fn() -> io::Result<OwnedFd>| match given {
            Standard::Inherit => Ok(Stdio::inherit()),
            // Opened here, and not when the program is executed, which would seem to be what is not there.
            Standard::Null => null().map(Stdio::from).map_err(|error| {
                Error::system(format_args!("open /dev/null for {program}"), error)
            }),
            Standard::Fd => fds.next().map(Stdio::from).ok_or_else(missing),
        };
        command.stdin(standard(order.standard[0], sys::descriptors::null)?);
        command.stdout(standard(order.standard[1], writable_null)?);
        command.stderr(standard(order.standard[2], writable_null)?);
        Ok(Execution {
            command,
            program,
            arg0: order.arg0.map(|name| os(name).to_owned()),
            clear_environment: order.clear_environment,
            directory: order.directory.map(|directory| os(directory).to_owned()),
            process_group: order.process_group,
            dies_with_app: order.dies_with_app,
            new_session: order.new_session,
            places: fds.zip(numbers).collect(),
        })
    }

    /// Executes the program. Comes back with the reason only when that cannot be done.
    pub fn execute(self, process: OwnedFd) -> String {
        let numbers: Vec<_> = self.places.iter().map(|(_, number)| *number).collect();
        let process = match sys::descriptors::out_of_the_way(process, &numbers) {
            Ok(process) => process,
            Err(error) => return format!("cannot execute {}: {error}", self.program),
        };
        let (mut what, error) = match self.prepare() {
            Err(failed) => failed,
            Ok(()) => {
                fault::process_at(Stage::Entering);
                let arg0 = self.arg0.as_deref();
                let error = sys::program::execute(self.command, arg0, self.clear_environment);
                // One without a slash was looked for elsewhere.
                let path = Some(&self.program).filter(|program| program.contains('/'));
                let hint = path.map_or("", |path| sys::program::hint(path.as_ref(), &error));
                (format!("execute {}{hint}", self.program), error)
            }
        };
        // What the standard library refuses by itself is told in words: a NUL in an argument.
        let errno = error.raw_os_error().unwrap_or_else(|| {
            what = format!("{what} ({error})");
            Errno::INVAL.raw_os_error()
        });
        let refused = Message::Refused { errno, what: what.as_bytes() };
        // An app that is gone does not ask.
        let _ = socket::send(&process, &refused.encode(0, 0).0, &[]);
        format!("cannot {what}: {}", io::Error::from_raw_os_error(errno))
    }

    /// Makes the process what the program is to find; says what could not be done.
    fn prepare(&self) -> Result<(), (String, io::Error)> {
        let program = &self.program;
        let failed =
            |what: String| move |error: Errno| (format!("{what} for {program}"), error.into());
        if let Some(directory) = &self.directory {
            rustix::process::chdir(directory)
                .map_err(failed(format!("enter {}", named(directory))))?;
        }
        super::group::come_back();
        if self.new_session {
            rustix::process::setsid().map_err(failed("begin a session".into()))?;
        }
        if let Some(group) = self.process_group {
            let entered = match group {
                ..0 => Err(Errno::INVAL),
                _ => rustix::process::setpgid(None, Pid::from_raw(group)),
            };
            entered.map_err(failed(format!("enter process group {group}")))?;
        }
        if !self.dies_with_app {
            rustix::process::set_parent_process_death_signal(None)
                .map_err(failed("outlive the app".into()))?;
        }
        for (fd, number) in &self.places {
            sys::descriptors::place(fd, *number).map_err(|error| {
                let number = number.cast_unsigned();
                (format!("make a descriptor number {number} for {program}"), error)
            })?;
        }
        Ok(())
    }
}

/// Nothing else takes any amount and keeps nothing.
fn writable_null() -> io::Result<OwnedFd> {
    std::fs::File::options().write(true).open("/dev/null").map(OwnedFd::from)
}

fn os(octets: &[u8]) -> &OsStr {
    OsStr::from_bytes(octets)
}

fn missing() -> Error {
    Error::new(crate::ErrorKind::Protocol, "an order to execute lacks a descriptor")
}
