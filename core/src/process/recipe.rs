//! Flow 2: what makes a process: everything it is given, in order, and what it does then.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Resource;

use super::body::FarEnd;
use super::command::Order;
use crate::error::named;
use crate::wire::{self, BODY_MAX, Header, Long, Message, Outbox};
use crate::{Error, ErrorKind, Result, sys};

/// Of the descriptors that the app may have, one process's long arguments take one in so many.
const SHARE: u64 = 4;

/// One thing given, shared by all copies.
#[derive(Clone)]
pub(super) enum Given {
    Fd(Arc<OwnedFd>),
    Arg(Arc<[u8]>),
    /// Too long for a message.
    LongArg {
        octets: Long,
        len: u32,
    },
    Call {
        function: Arc<str>,
        args: Arc<[Vec<u8>]>,
    },
    Load {
        path: Arc<str>,
        file: Arc<OwnedFd>,
    },
    /// Encoded.
    Sandbox(Arc<[u8]>),
}

/// What a process does after its orders.
#[derive(Clone)]
pub(super) enum Then {
    Run(Arc<str>),
    /// Serve this link, as a template.
    Serve(Arc<FarEnd>),
    /// Become an external program.
    Execute(Arc<Order>),
}

/// All of it; kept until the process has it, so that it can be asked for again.
#[derive(Clone)]
pub(super) struct Recipe {
    pub given: Vec<Given>,
    pub then: Then,
    /// In a fresh image of the program instead of a copy of the template.
    pub fresh: bool,
}

impl Given {
    /// An argument, in the app's heap or, as long as there are not many, in a file.
    pub fn arg(octets: Vec<u8>, files: impl FnOnce() -> usize) -> Result<Given> {
        if octets.len() <= BODY_MAX {
            return Ok(Given::Arg(octets.into()));
        }
        let len = u32::try_from(octets.len()).map_err(|_| {
            let message = format!("an argument of {} octets is past 4 GiB", octets.len());
            Error::new(ErrorKind::Misuse, message)
        })?;
        // None also where a filter of seccomp(2) refuses to tell.
        let limit = |of| sys::limit(of).ok().and_then(|limit| limit.current).unwrap_or(u64::MAX);
        // A file that is longer than those of the app may be is a signal that ends it (SIGXFSZ).
        let fits = (files() as u64) < limit(Resource::Nofile) / SHARE
            && octets.len() as u64 <= limit(Resource::Fsize);
        let file = fits.then(|| wire::long_file(&octets).ok()).flatten();
        let octets = match file {
            Some(file) => Long::File(Arc::new(file)),
            // It goes octet by octet, also where no memfd is to be had.
            None => Long::Heap(Arc::new(octets)),
        };
        Ok(Given::LongArg { octets, len })
    }

    /// Whether it is an argument for which the app holds a file.
    pub fn is_file(&self) -> bool {
        matches!(self, Given::LongArg { octets: Long::File(_), .. })
    }

    /// A shared object, which is a file: a FIFO, say, would have who opens it wait, and then the process.
    pub fn load(path: &Path) -> Result<Given> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let file = opened.and_then(|file| Ok((rustix::fs::fstat(&file)?, file)));
        let open = |errno| Error::system(format_args!("open {}", named(path)), errno);
        match file.map_err(open)? {
            (status, file) if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile => {
                Ok(Given::Load { path: path.to_string_lossy().into(), file: Arc::new(file) })
            }
            _ => {
                let message = format!("{} is no regular file, and cannot be loaded", named(path));
                Err(Error::new(ErrorKind::Misuse, message))
            }
        }
    }

    /// Whether it is code that runs while the process is prepared.
    pub fn runs(&self) -> bool {
        matches!(self, Given::Call { .. } | Given::Load { .. })
    }

    fn push(&self, orders: &mut Outbox) -> Result<()> {
        match self {
            Given::Fd(fd) => orders.push(&Message::Fds, 0, vec![Arc::clone(fd)]),
            Given::Arg(octets) => orders.push(&Message::Arg(octets), 0, Vec::new()),
            Given::LongArg { octets: Long::Heap(octets), len } => {
                orders.push_parts(Long::Heap(Arc::clone(octets)), *len);
                Ok(())
            }
            Given::LongArg { octets: Long::File(file), len } => {
                let header = Header { code: Message::ARG, long: true, fds: 1, len: *len, id: 0 };
                orders.push_long(header, Arc::clone(file));
                Ok(())
            }
            Given::Call { function, args } => {
                let args = args.iter().map(Vec::as_slice).collect();
                let call = Message::Call { function: function.as_bytes(), args };
                orders.push(&call, 0, Vec::new())
            }
            Given::Sandbox(octets) => orders.push(&Message::Sandbox(octets), 0, Vec::new()),
            Given::Load { path, file } => {
                orders.push(&Message::Load { path: path.as_bytes() }, 0, vec![Arc::clone(file)])
            }
        }
    }
}

impl Recipe {
    /// Whether the process says when it is ready: code that may fail runs in it before.
    pub fn reports(&self) -> bool {
        match self.then {
            Then::Run(_) => {
                self.given.iter().any(|given| given.runs() || matches!(given, Given::Sandbox(_)))
            }
            Then::Serve(_) => false,
            Then::Execute(_) => true,
        }
    }

    /// What the process is sent.
    pub fn orders(&self) -> Result<Outbox> {
        let mut orders = Outbox::default();
        if let Then::Serve(link) = &self.then {
            let given_up = || Error::new(ErrorKind::NoTemplate, "the process was given up");
            // First, so that a preparation that fails can be told over it.
            orders.push(&Message::Link, 0, vec![link.get().ok_or_else(given_up)?])?;
        }
        for given in &self.given {
            given.push(&mut orders)?;
        }
        match &self.then {
            Then::Run(entry) => {
                let run = Message::Run { report: self.reports(), entry: entry.as_bytes() };
                orders.push(&run, 0, Vec::new())?;
            }
            Then::Serve(_) => orders.push(&Message::Serve, 0, Vec::new())?,
            Then::Execute(order) => order.push(&mut orders)?,
        }
        Ok(orders)
    }

    /// The entry's name, for reports.
    pub fn entry(&self) -> &str {
        match &self.then {
            Then::Run(entry) => entry,
            Then::Serve(_) => "template",
            Then::Execute(order) => order.name(),
        }
    }
}

/// Why orders could not be written to a process that may live.
pub(super) fn unwritten(error: Errno) -> Error {
    let what = match error {
        // The kernel takes none of io_uring's in a message, since 6.7.
        Errno::INVAL => {
            "send a descriptor, which is of a kind that no socket takes, as those of io_uring are"
        }
        _ => "write the orders of a process",
    };
    Error::system(what, error)
}
