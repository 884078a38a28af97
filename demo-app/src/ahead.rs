//! A folder that is listed, and whose first pictures are with the workers, while the toolkit is still being
//! set up: that takes longer than most folders, and leaves all processors but one idle.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::Template;
use tine_viewer::layout::Size;

use crate::arrange::Arrangement;
use crate::gallery::{Gallery, Sizes};
use crate::grid;
use crate::listing::Source;
use crate::measures::Measures;
use crate::options::Options;
use crate::settings::Settings;

/// How long is waited for the workers to have something to do. What comes then takes ten times as long, and
/// nobody could give them anything meanwhile.
const HEAD_START: Duration = Duration::from_millis(10);

/// What the first window will show.
pub struct Ahead {
    /// The folder, as it will be asked for.
    pub folder: PathBuf,
    /// What is in it.
    pub gallery: Gallery,
    /// What was measured so far.
    pub measures: Rc<Measures>,
    /// It cannot be read. A window must hear of that.
    unreadable: Rc<Cell<bool>>,
}

impl Ahead {
    /// Begins with the one folder that was asked for; `None` if it was something else, or if it fails, which
    /// the window will say when it does the same.
    pub fn begin(
        template: &Template,
        options: &Options,
        settings: &Settings,
        start: Instant,
    ) -> Option<Self> {
        let [folder] = &options.paths[..] else { return None };
        if options.service || !folder.is_dir() {
            return None;
        }
        let measures = Rc::new(Measures::new(start, options.report.is_some()).ok()?);
        // The screen is not known yet. Where it is sharper than others thumbnails will have to be larger, and
        // no whole picture is asked for before there is a window.
        let sizes = Sizes { side: settings.side as u32, screen: Size::UNBOUNDED };
        let sweep = options.exit_when_idle;
        let gallery = Gallery::new(template, sizes, sweep, Rc::clone(&measures)).ok()?;
        gallery.arrange(arrangement(settings));
        if gallery.arrangement() == Arrangement::default() {
            let window = options.size.unwrap_or(settings.window);
            gallery.set_view(0..grid::fitting(settings.side, window), 0..0);
        }
        let unreadable = Rc::new(Cell::new(false));
        let note = Rc::clone(&unreadable);
        gallery.connect_unreadable(move |_, _, why| note.set(!why.is_empty()));
        gallery.open(None, vec![Source::Folder(folder.clone(), None)]).ok()?;
        give_head_start(&gallery);
        Some(Self { folder: folder.clone(), gallery, measures, unreadable })
    }

    /// Whether it is what a window is to show now.
    pub fn is_for(&self, paths: &[PathBuf]) -> bool {
        paths == [&*self.folder] && !self.unreadable.get()
    }
}

/// Waits until the workers have pictures in hand, or for [`HEAD_START`].
pub fn give_head_start(gallery: &Gallery) {
    let queue = tine::queue();
    let until = Instant::now() + HEAD_START;
    // A broken queue is for its attachment to tell.
    let mut turned = queue.dispatch();
    while turned.is_ok() && !gallery.is_begun() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        turned = queue.turn(Some(left));
    }
}

/// What was liked the last time.
pub fn arrangement(settings: &Settings) -> Arrangement {
    Arrangement { sort: settings.sort, reversed: settings.reversed, filter: String::new() }
}
