//! Flow 2: a fresh process becomes an external program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::fault::{self, Stage};
use crate::wire::{Execute, Given as Standard, Message, socket};
use crate::{Error, Result, sys};

/// An execution in the making: the descriptors are where the program expects them.
pub(super) struct Execution {
    command: Command,
    program: String,
    directory: Option<OsString>,
    dies_with_app: bool,
    new_session: bool,
    places: Vec<(OwnedFd, RawFd)>,
}

impl Execution {
    pub fn new(order: &Execute<'_>, fds: Vec<OwnedFd>) -> Result<Self> {
        let mut fds = fds.into_iter();
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
        if let Some(group) = order.process_group {
            command.process_group(group);
        }
        let mut standard = |given| match given {
            Standard::Inherit => Ok(Stdio::inherit()),
            Standard::Null => Ok(Stdio::null()),
            Standard::Fd => fds.next().map(Stdio::from).ok_or_else(missing),
        };
        command.stdin(standard(order.standard[0])?);
        command.stdout(standard(order.standard[1])?);
        command.stderr(standard(order.standard[2])?);
        let places = fds.zip(order.places.iter().map(|place| *place as RawFd)).collect();
        Ok(Execution {
            command,
            program: String::from_utf8_lossy(order.program).into_owned(),
            directory: order.directory.map(|directory| os(directory).to_owned()),
            dies_with_app: order.dies_with_app,
            new_session: order.new_session,
            places,
        })
    }

    /// Executes the program. Comes back with the reason only when that cannot be done.
    pub fn execute(mut self, process: OwnedFd) -> String {
        let mut what = format!("execute {}", self.program);
        let (process, error) = match self.enter_directory() {
            Err((text, error)) => {
                what = text;
                (Some(process), error)
            }
            Ok(()) => match self.prepare(process) {
                Ok(process) => {
                    fault::process_at(Stage::Entering);
                    (process, self.command.exec())
                }
                Err((process, error)) => (process, error),
            },
        };
        let errno = error.raw_os_error().unwrap_or(0);
        if let Some(process) = process {
            let refused = Message::Refused { errno, what: what.as_bytes() };
            // An app that is gone does not ask.
            let _ = socket::send(&process, &refused.encode(0, 0).0, &[]);
        }
        format!("cannot {what}: {error}")
    }

    fn enter_directory(&self) -> Result<(), (String, io::Error)> {
        let Some(directory) = &self.directory else { return Ok(()) };
        rustix::process::chdir(directory).map_err(|error| {
            (format!("enter {} for {}", directory.display(), self.program), error.into())
        })
    }

    /// Gives the process's socket back, at a number that is not in the way.
    fn prepare(
        &mut self,
        process: OwnedFd,
    ) -> Result<Option<OwnedFd>, (Option<OwnedFd>, io::Error)> {
        super::group::come_back();
        if self.new_session
            && let Err(error) = rustix::process::setsid()
        {
            return Err((Some(process), error.into()));
        }
        if !self.dies_with_app
            && let Err(error) = rustix::process::set_parent_process_death_signal(None)
        {
            return Err((Some(process), error.into()));
        }
        sys::descriptors::place(std::mem::take(&mut self.places), process)
            .map(Some)
            .map_err(|error| (None, error))
    }
}

fn os(octets: &[u8]) -> &OsStr {
    OsStr::from_bytes(octets)
}

fn missing() -> Error {
    Error::new(crate::ErrorKind::Protocol, "an order to execute lacks a descriptor")
}
