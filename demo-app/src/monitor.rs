//! Tells what happens in a folder while it is shown. However much happens at once, it is told in
//! portions: the next one when the last one has been looked at.

use gtk4::gio;
use gtk4::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Watches a folder until it is dropped.
pub struct Monitor {
    monitor: gio::FileMonitor,
    pending: Rc<Pending>,
}

struct Pending {
    folder: PathBuf,
    /// To which something has happened since they were last told of.
    names: RefCell<HashSet<OsString>>,
    /// The last portion has not been looked at.
    busy: Cell<bool>,
    tell: Tell,
}

type Tell = Box<dyn Fn(&Path, HashSet<OsString>)>;

impl Monitor {
    /// Has `tell` called with the folder and names in it to which something has happened: made, changed,
    /// or gone. It is called again after [`looked_at`](Self::looked_at).
    ///
    /// `None` if the folder cannot be watched.
    pub fn new(folder: &Path, tell: impl Fn(&Path, HashSet<OsString>) + 'static) -> Option<Self> {
        let flags = gio::FileMonitorFlags::WATCH_MOVES;
        let file = gio::File::for_path(folder);
        let monitor = file.monitor_directory(flags, gio::Cancellable::NONE).ok()?;
        let pending = Rc::new(Pending {
            folder: folder.into(),
            names: RefCell::default(),
            busy: Cell::default(),
            tell: Box::new(tell),
        });
        let noting = Rc::clone(&pending);
        monitor.connect_changed(move |_, file, other, event| {
            if is_news(event) {
                noting.note([Some(file), other]);
            }
        });
        Some(Self { monitor, pending })
    }

    /// What was told of this folder has been looked at.
    pub fn looked_at(&self, folder: &Path) {
        if self.pending.folder == folder {
            self.pending.busy.set(false);
            self.pending.flush();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.monitor.cancel();
    }
}

impl Pending {
    fn note(&self, files: [Option<&gio::File>; 2]) {
        for path in files.into_iter().flatten().filter_map(FileExt::path) {
            if path.parent() == Some(&*self.folder) {
                self.names.borrow_mut().extend(path.file_name().map(OsString::from));
            }
        }
        self.flush();
    }

    fn flush(&self) {
        if !self.busy.get() && !self.names.borrow().is_empty() {
            self.busy.set(true);
            let names = self.names.take();
            (self.tell)(&self.folder, names);
        }
    }
}

/// While a file is being written it is left alone: the end of it is told, too.
fn is_news(event: gio::FileMonitorEvent) -> bool {
    use gio::FileMonitorEvent as Event;
    matches!(
        event,
        Event::ChangesDoneHint
            | Event::Created
            | Event::Deleted
            | Event::MovedIn
            | Event::MovedOut
            | Event::Renamed
    )
}
