//! Flow 2: a template's end of a link, and the state of the app that came over it.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::event::epoll::EventFlags;
use rustix::fs::Mode;

use crate::wire::{Inbox, Message, Outbox, State};
use crate::{Error, Result, sys};

/// One queue of the app, seen from the template.
pub(super) struct Link {
    socket: OwnedFd,
    /// The link that it came over, and which belongs to a handle of the app's: when that closes, nobody is
    /// left who would ask for a process over this one. None: the first of all.
    through: Option<u64>,
    outbox: Outbox,
    /// Whether epoll watches for room in the socket.
    awaits_room: bool,
    /// What was said last.
    pub state: Option<Rc<Inherited>>,
}

impl Link {
    pub fn new(socket: OwnedFd, through: Option<u64>) -> Self {
        Link { socket, through, outbox: Outbox::for_link(), awaits_room: false, state: None }
    }

    /// Tells whether it came over that link.
    pub fn came_over(&self, link: u64) -> bool {
        self.through == Some(link)
    }

    /// Takes one message. None: the app has closed its end.
    pub fn receive<'b>(
        &self,
        inbox: &'b mut Inbox,
    ) -> Result<Option<(u64, Message<'b>, Option<OwnedFd>)>> {
        match inbox.receive(&self.socket)? {
            Some((header, body, fd)) => Ok(Some((header.id, Message::decode(header, body)?, fd))),
            None => Ok(None),
        }
    }

    /// Sends a message, or keeps it until there is room; tells what epoll must watch for, if that changes.
    pub fn tell(
        &mut self,
        id: u64,
        message: &Message<'_>,
        fd: Option<OwnedFd>,
    ) -> Result<Option<EventFlags>> {
        self.outbox.send(&self.socket, message, id, fd)?;
        self.flush().map_err(Error::from)
    }

    /// Sends what fits; tells the same.
    pub fn flush(&mut self) -> rustix::io::Result<Option<EventFlags>> {
        self.outbox.flush(&self.socket)?;
        if self.outbox.is_crowded() {
            // A pidfd, without which the app does.
            self.outbox.drop_fds();
            self.outbox.flush(&self.socket)?;
        }
        Ok(self.interest())
    }

    /// Notes what the app says of itself.
    pub fn inherit(&mut self, state: State<'_>, directory: Option<OwnedFd>) {
        let inherited = Inherited::new(state, directory, self.state.as_deref());
        self.state = Some(Rc::new(inherited));
    }

    fn interest(&mut self) -> Option<EventFlags> {
        let awaits_room = !self.outbox.is_empty();
        if awaits_room == self.awaits_room {
            return None;
        }
        self.awaits_room = awaits_room;
        let out = if awaits_room { EventFlags::OUT } else { EventFlags::empty() };
        Some(EventFlags::IN | out)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The app's environment, directory, umask and locale, as they were when it last said so.
#[derive(PartialEq)]
pub(super) struct Inherited {
    umask: Mode,
    locale: CString,
    environment: Vec<CString>,
    directory: Option<Rc<Directory>>,
}

/// Where the app is.
struct Directory {
    fd: OwnedFd,
    /// Device and inode.
    which: Option<(u64, u64)>,
}

impl Directory {
    fn new(fd: OwnedFd) -> Directory {
        let which = rustix::fs::fstat(&fd).ok().map(|stat| (stat.st_dev, stat.st_ino));
        Directory { fd, which }
    }
}

impl PartialEq for Directory {
    fn eq(&self, other: &Directory) -> bool {
        self.which.is_some() && self.which == other.which
    }
}

impl Inherited {
    /// A directory that cannot be entered any more leaves the one before, as it does the app.
    pub fn new(
        state: State<'_>,
        directory: Option<OwnedFd>,
        before: Option<&Inherited>,
    ) -> Inherited {
        let directory = directory.map(|fd| Rc::new(Directory::new(fd)));
        Inherited {
            umask: Mode::from_raw_mode(state.umask),
            locale: CString::new(state.locale).unwrap_or_default(),
            environment: state
                .environment
                .split_inclusive(|octet| *octet == 0)
                .filter_map(|string| CString::from_vec_with_nul(string.to_vec()).ok())
                .collect(),
            directory: directory.or_else(|| before?.directory.clone()),
        }
    }

    /// What tells it to a child that is there already; the environment is [`environment`](Self::environment)'s.
    pub fn message<'a>(&'a self, environment: &'a [u8]) -> State<'a> {
        State { umask: self.umask.as_raw_mode(), locale: self.locale.to_bytes(), environment }
    }

    pub fn environment(&self) -> Vec<u8> {
        self.environment.iter().flat_map(|string| string.as_bytes_with_nul()).copied().collect()
    }

    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(|directory| directory.fd.as_fd())
    }

    /// Makes it this process's own, and so that of the children to come.
    pub fn apply(&self) {
        // Where a filter of seccomp(2) refuses it, this process has the one that it was made with.
        let _ = sys::umask(self.umask);
        sys::replace_environment(self.environment.clone());
        if !sys::is_locale(&self.locale) {
            sys::set_locale(&self.locale);
        }
        sys::tzset();
        if let Some(directory) = &self.directory {
            // A directory that may no longer be entered leaves the last one, as it does the app.
            let _ = rustix::process::fchdir(&directory.fd);
        }
    }
}
