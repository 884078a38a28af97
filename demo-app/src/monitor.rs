//! Tells what happens in a folder while it is shown, and that the folder itself has gone or come back. However much
//! happens at once, it is told in portions: the next one when the last one has been looked at.
//!
//! ```text
//! the folder  ── names in it ───────────────────▶ pending ──▶ tell
//!    ▲ watched anew: another may have its name       ▲
//! the folder above ── its own name ── all of it ─────┘
//! ```

use gtk4::gio;
use gtk4::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Watches a folder until it is dropped.
pub struct Monitor {
    pending: Rc<Pending>,
    /// Tells of the folder's own name.
    _itself: Option<Watch>,
}

/// What may have changed.
#[derive(Debug)]
pub enum News {
    /// These names.
    Names(HashSet<OsString>),
    /// The folder itself: everything.
    All,
}

struct Pending {
    folder: PathBuf,
    /// Tells of what is in the folder; `None` if it cannot be watched.
    inside: RefCell<Option<Watch>>,
    /// To which something has happened since they were last told of.
    names: RefCell<HashSet<OsString>>,
    /// The folder has come or gone since then.
    all: Cell<bool>,
    /// The last portion has not been looked at.
    busy: Cell<bool>,
    tell: Tell,
}

type Tell = Box<dyn Fn(&Path, News)>;

impl Monitor {
    /// Has `tell` called with the folder and what has happened in it: files were made, changed, or are gone. It is
    /// called again after [`looked_at`](Self::looked_at).
    ///
    /// A folder that cannot be watched is as it was when it was listed.
    pub fn new(folder: &Path, tell: impl Fn(&Path, News) + 'static) -> Self {
        let pending = Rc::new(Pending {
            folder: folder.into(),
            inside: RefCell::default(),
            names: RefCell::default(),
            all: Cell::default(),
            busy: Cell::default(),
            tell: Box::new(tell),
        });
        pending.watch();
        let noting = Rc::downgrade(&pending);
        let itself = Watch::new(WatchOf::Itself, folder, move |paths, event| {
            noting.upgrade().inspect(|noting| noting.note_itself(&paths, event));
        });
        Self { pending, _itself: itself }
    }

    /// What was told of this folder has been looked at.
    pub fn looked_at(&self, folder: &Path) {
        if self.pending.folder == folder {
            self.pending.busy.set(false);
            self.pending.flush();
        }
    }
}

impl Pending {
    /// Watches what is in the folder, which may be another one than before.
    fn watch(self: &Rc<Self>) {
        // First the old one goes: GIO would go on with it, as it has the same name.
        self.inside.take();
        let noting = Rc::downgrade(self);
        let inside = Watch::new(WatchOf::Inside, &self.folder, move |paths, event| {
            if let Some(noting) = noting.upgrade() {
                noting.note(&paths);
                // Told a moment later than above it: what was watched since then is not watched any more.
                noting.note_itself(&paths, event);
            }
        });
        self.inside.replace(inside);
    }

    fn note(&self, paths: &[PathBuf]) {
        for path in paths.iter().filter(|path| path.parent() == Some(&*self.folder)) {
            self.names.borrow_mut().extend(path.file_name().map(OsString::from));
        }
        self.flush();
    }

    /// Looks at all of it if it is not the folder that it was.
    fn note_itself(self: &Rc<Self>, paths: &[PathBuf], event: gio::FileMonitorEvent) {
        if is_other_file(event) && paths.contains(&self.folder) {
            self.watch();
            self.all.set(true);
            self.flush();
        }
    }

    fn flush(&self) {
        if self.busy.get() {
            return;
        }
        let names = self.names.take();
        if self.all.take() {
            self.busy.set(true);
            (self.tell)(&self.folder, News::All);
        } else if !names.is_empty() {
            self.busy.set(true);
            (self.tell)(&self.folder, News::Names(names));
        }
    }
}

#[derive(Clone, Copy)]
enum WatchOf {
    Inside,
    Itself,
}

/// GIO's monitor, until this is dropped.
struct Watch(gio::FileMonitor);

impl Watch {
    fn new(
        of: WatchOf,
        folder: &Path,
        tell: impl Fn(Vec<PathBuf>, gio::FileMonitorEvent) + 'static,
    ) -> Option<Self> {
        let (file, flags) = (gio::File::for_path(folder), gio::FileMonitorFlags::WATCH_MOVES);
        let monitor = match of {
            WatchOf::Inside => file.monitor_directory(flags, gio::Cancellable::NONE),
            WatchOf::Itself => file.monitor_file(flags, gio::Cancellable::NONE),
        };
        let monitor = monitor.ok()?;
        monitor.connect_changed(move |_, file, other, event| {
            if is_news(event) {
                let files = [Some(file), other].into_iter().flatten();
                tell(files.filter_map(FileExt::path).collect(), event);
            }
        });
        Some(Self(monitor))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// While a file is being written it is left alone: the end of it is told, too. Who sets its time, or lets others read
/// it, does not write.
fn is_news(event: gio::FileMonitorEvent) -> bool {
    use gio::FileMonitorEvent as Event;
    is_other_file(event) || matches!(event, Event::AttributeChanged | Event::ChangesDoneHint)
}

/// A name stands for another file now, or for none.
fn is_other_file(event: gio::FileMonitorEvent) -> bool {
    use gio::FileMonitorEvent as Event;
    matches!(
        event,
        Event::Created | Event::Deleted | Event::MovedIn | Event::MovedOut | Event::Renamed
    )
}
