//! Flow 2: what a living template's process is known by.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use super::link::is;
use super::reaper::{self, Known};
use crate::ErrorKind;
use crate::wire::{Inbox, Message};

/// What a living template's process is known by.
pub(super) struct Body {
    /// The link that lives as long as the handles do; new links are sent over it.
    pub root: OwnedFd,
    pub pid: Option<u32>,
    pub process: Option<Known>,
    /// It was asked for by this process, which alone has its root link.
    pub own: bool,
    /// It has said that it serves.
    pub serves: bool,
    /// Of a process of another template.
    birth: Option<Arc<Birth>>,
}

/// What the thread that has asked another template for a process and whoever gives that process up tell each other: it
/// may be given up before it exists, and while it prepares itself it does not say over its link who it is.
pub(super) struct Birth {
    link: Weak<FarEnd>,
    /// 0 before it exists.
    pid: AtomicU32,
    given_up: AtomicBool,
    /// Why it never will.
    refusal: OnceLock<String>,
    /// How it ended, as its parent has told; later than its link does that it has.
    end: OnceLock<String>,
}

/// The far end of a root link, which is kept for a process until that has it.
///
/// Who has asked for the process hears that in a dispatch, which may never come. As long as it is open here, whatever was
/// sent over it and not read is not known to be lost, whoever has sent it: so it is closed when the process is given up.
pub(super) struct FarEnd(Mutex<Option<Arc<OwnedFd>>>);

impl FarEnd {
    pub fn new(link: OwnedFd) -> Arc<FarEnd> {
        Arc::new(FarEnd(Mutex::new(Some(Arc::new(link)))))
    }

    /// None: the process was given up.
    pub fn get(&self) -> Option<Arc<OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Birth {
    /// Of a process that is to have this link.
    pub fn of(link: &Arc<FarEnd>) -> Birth {
        Birth {
            link: Arc::downgrade(link),
            pid: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
            refusal: OnceLock::new(),
            end: OnceLock::new(),
        }
    }

    /// Nobody is sent the link any more.
    pub fn is_over(&self) {
        if let Some(link) = self.link.upgrade() {
            link.close();
        }
    }

    /// The process exists; tells whether it has been given up by now.
    pub fn is_born(&self, pid: u32) -> bool {
        // One of the two sees what the other has said before: both are sequentially consistent.
        self.pid.store(pid, Ordering::SeqCst);
        self.given_up.load(Ordering::SeqCst)
    }

    /// It could not be made.
    pub fn is_refused(&self, why: String) {
        let _ = self.refusal.set(why);
    }

    /// It has ended.
    pub fn has_ended(&self, how: String) {
        let _ = self.end.set(how);
    }

    /// How it ended, if that is known by now.
    pub fn end(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

impl Body {
    /// A body whose process is the app's child, and has just been made.
    pub fn of_child(root: OwnedFd, pid: Pid) -> Body {
        reaper::has_group(pid);
        Body {
            root,
            pid: Some(pid.as_raw_nonzero().get() as u32),
            process: Some(Known::of_child(pid)),
            own: true,
            serves: false,
            birth: None,
        }
    }

    /// Hears what a process that is not the app's child says of itself: its id, or why it cannot serve.
    pub fn listen(&mut self) -> Result<(), String> {
        let mut inbox = Inbox::default();
        loop {
            match inbox.receive(&self.root) {
                Ok(Some((header, body, _))) => match Message::decode(header, body) {
                    Ok(Message::Started { pid, .. }) => {
                        self.serves = true;
                        self.meet(pid);
                    }
                    Ok(Message::Refused { what, .. }) => {
                        return Err(String::from_utf8_lossy(what).into_owned());
                    }
                    // Nothing else is told over a root link.
                    _ => (),
                },
                // It left something of ours unread, which is said before what it had to say itself.
                Err(error) if is(&error, Errno::CONNRESET) => (),
                Err(error) if error.kind() == ErrorKind::Protocol => {
                    return Err(format!("it is no template of this version of tine ({error})"));
                }
                _ => return Ok(()),
            }
        }
    }

    /// Notes the id that the process behind the link gives itself, and a pidfd, which is surely its own if
    /// the link is open still: the process holds the far end.
    fn meet(&mut self, pid: u32) {
        self.pid = Some(pid);
        if self.process.is_none()
            && let Some(pid) =
                i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)
            && let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        {
            let mut link = [PollFd::new(&self.root, PollFlags::empty())];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            if rustix::event::poll(&mut link, Some(&at_once)) == Ok(0) {
                self.process = Some(Known::of_pidfd(pidfd));
            }
        }
    }

    /// A body that another process is the parent of.
    pub fn foreign(root: OwnedFd) -> Body {
        Body { root, pid: None, process: None, own: false, serves: false, birth: None }
    }

    /// One that another template was asked for.
    pub fn to_be(root: OwnedFd, birth: Arc<Birth>) -> Body {
        Body { birth: Some(birth), own: true, ..Body::foreign(root) }
    }

    /// Takes along what is heard of it through the other template.
    pub fn birth(&self) -> Option<Arc<Birth>> {
        self.birth.clone()
    }

    /// Why it could not be made, if the other template has said so.
    pub fn refusal(&self) -> Option<String> {
        self.birth.as_ref().and_then(|birth| birth.refusal.get().cloned())
    }

    /// Kills it; one that does not exist yet is killed when it does. Tells whether that can be done.
    pub fn give_up(&mut self) -> bool {
        if let Some(birth) = &self.birth {
            birth.given_up.store(true, Ordering::SeqCst);
        }
        // What it has said of itself, and perhaps its pidfd, may lie in the link still.
        let _ = self.listen();
        let born = self.birth.as_ref().map_or(0, |birth| birth.pid.load(Ordering::SeqCst));
        if self.process.is_none() && born > 0 {
            self.meet(born);
        }
        match &self.process {
            Some(process) => process.kill(),
            None => self.birth.is_some() && born == 0,
        }
    }
}
