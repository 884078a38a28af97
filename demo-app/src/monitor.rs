//! Tells what happens in a folder while it is shown, and that the folder itself has gone or come back. However much
//! happens at once, it is told in portions: the next one when the last one has been looked at.
//!
//! ```text
//! the folder  ── names in it ────────────────────▶ pending ──▶ tell
//!    ▲ all watched anew: others may have their names  ▲
//! itself, and each folder above ── its name ── all ───┘
//! ```

use gtk4::gio;
use gtk4::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Watches a folder until it is dropped.
pub struct Monitor(Rc<Pending>);

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
    /// The folder, and those that it is in, by all of which it may come or go.
    path: Vec<PathBuf>,
    /// Tell of the names of these.
    names_of_path: RefCell<Vec<Watch>>,
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
        // One without a working folder is watched as far as can be.
        let full = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
        let above = full.ancestors().skip(1).filter(|above| above.parent().is_some());
        let pending = Rc::new(Pending {
            folder: folder.into(),
            inside: RefCell::default(),
            path: [folder].into_iter().chain(above).map(Path::to_owned).collect(),
            names_of_path: RefCell::default(),
            names: RefCell::default(),
            all: Cell::default(),
            busy: Cell::default(),
            tell: Box::new(tell),
        });
        pending.watch();
        Self(pending)
    }

    /// What was told of this folder has been looked at.
    pub fn looked_at(&self, folder: &Path) {
        if self.0.folder == folder {
            self.0.busy.set(false);
            self.0.flush();
        }
    }
}

impl Pending {
    /// Watches what is in the folder, which may be another one than before, and the names on its path.
    fn watch(self: &Rc<Self>) {
        // First the old ones go: GIO would go on with them, as they have the same names.
        self.inside.take();
        self.names_of_path.take();
        let watches = self.path.iter().filter_map(|path| {
            let noting = Rc::downgrade(self);
            Watch::new(WatchOf::Itself, path, move |paths, event| {
                noting.upgrade().inspect(|noting| noting.note_itself(&paths, event));
            })
        });
        self.names_of_path.replace(watches.collect());
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
        if is_other_file(event) && paths.iter().any(|path| self.path.contains(path)) {
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
