//! What there is to show, without showing it: the pictures' names, their thumbnails, and one picture
//! as a whole. It asks the workers for what is in view first, and tells by signals what has come.

mod imp;

use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, prelude::*};
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use tine::Template;
use tine_viewer::protocol::Size;

use crate::cache::{Cache, Saver};
use crate::crew::Crew;
use crate::files::Files;
use crate::listing::{self, Source};
use crate::measures::Measures;
use crate::thumbnails::Thumbnail;

glib::wrapper! {
    /// The pictures, their thumbnails, and the workers that make them.
    ///
    /// Signals: `thumbnail` (id) when there is one, or never will be; `unreadable` (path, reason) for
    /// a folder.
    pub struct Gallery(ObjectSubclass<imp::Gallery>);
}

/// What to do with a picture as a whole, or with the reason why there is none.
pub type OnWhole = Box<dyn FnOnce(Result<gdk::Texture, String>)>;

impl Gallery {
    /// An empty gallery whose workers come from `template`. Thumbnails fit into a square with `side`
    /// pixels. With `sweep` all of them are made in the end, otherwise those that come into view.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn new(
        template: &Template,
        side: u32,
        sweep: bool,
        measures: Rc<Measures>,
    ) -> std::io::Result<Self> {
        let gallery: Self = glib::Object::new();
        let weak = gallery.downgrade();
        let crew = Crew::new(template, processors(), move |news| {
            if let Some(gallery) = weak.upgrade() {
                gallery.imp().take(news);
            }
        });
        let cache = Cache::of_user();
        let saver = Saver::start(cache.clone())?;
        let files = Files::start()?;
        let tools = imp::Tools { crew, files, cache, saver, side, sweep, measures };
        // It was made a few lines above: nothing is set yet.
        let _unset = gallery.imp().tools.set(tools);
        Ok(gallery)
    }

    /// Lists `sources`; once. `at_once` is a file that has a place before anything is listed: its id
    /// is 0.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn open(&self, at_once: Option<PathBuf>, sources: Vec<Source>) -> std::io::Result<()> {
        let known = self.imp().begin(at_once);
        let poster = tine::queue().poster();
        let gallery = glib::SendWeakRef::from(self.downgrade());
        listing::list(known, sources, move |found| {
            let gallery = gallery.clone();
            let post = poster.post(move || {
                if let Some(gallery) = gallery.upgrade() {
                    gallery.imp().found(found);
                }
            });
            post.is_ok()
        })
    }

    /// Says which places of the list are in view, and which are near.
    pub fn set_view(&self, in_view: Range<u32>, near: Range<u32>) {
        self.imp().view.replace((in_view, near));
        self.imp().pump();
    }

    /// Calls `show` with the thumbnail of a picture, as far as it is known.
    pub fn with_thumbnail<R>(
        &self,
        id: u32,
        show: impl FnOnce(Thumbnail<'_, gdk::Texture>) -> R,
    ) -> R {
        show(self.imp().thumbnails.borrow_mut().get(id))
    }

    /// Loads a picture as a whole, reduced to fit into `want`, before any thumbnail. It replaces what
    /// was asked for before.
    pub fn load(&self, id: u32, want: Size, done: OnWhole) {
        let replaced = self.imp().whole.replace(Some(imp::Whole::new(id, want, done)));
        drop(replaced);
        self.imp().pump();
    }

    /// Wants no picture as a whole any more.
    pub fn unload(&self) {
        let unwanted = self.imp().whole.take();
        drop(unwanted);
        self.imp().pump();
    }

    /// The name of a picture's file, for people.
    pub fn name(&self, id: u32) -> String {
        self.imp().catalog.borrow().name(id).to_string_lossy().into_owned()
    }

    /// A picture's file.
    pub fn path(&self, id: u32) -> PathBuf {
        self.imp().catalog.borrow().path(id)
    }

    /// The pictures without a thumbnail, and why they have none, in the order of their paths.
    pub fn failures(&self) -> Vec<(PathBuf, String)> {
        let (catalog, thumbnails) = (self.imp().catalog.borrow(), self.imp().thumbnails.borrow());
        let mut failures: Vec<_> = thumbnails
            .failures()
            .map(|(id, reason)| (catalog.path(id), reason.to_owned()))
            .collect();
        failures.sort();
        failures
    }

    /// How many thumbnails came from the cache that all programs share.
    pub fn cached(&self) -> u32 {
        self.imp().cached.get()
    }

    /// Whether all thumbnails are made in the end, not only those in view.
    pub fn sweep(&self) -> bool {
        self.imp().tools().sweep
    }

    /// The workers.
    pub fn crew(&self) -> &Crew {
        &self.imp().tools().crew
    }

    /// Calls `act` with the id of a picture whose thumbnail has come, or never will.
    pub fn connect_thumbnail(&self, act: impl Fn(&Self, u32) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            "thumbnail",
            false,
            glib::closure_local!(move |gallery: &Self, id: u32| act(gallery, id)),
        )
    }

    /// Calls `act` with a folder that cannot be read, and why.
    pub fn connect_unreadable(
        &self,
        act: impl Fn(&Self, &str, &str) + 'static,
    ) -> glib::SignalHandlerId {
        self.connect_closure(
            "unreadable",
            false,
            glib::closure_local!(move |gallery: &Self, path: &str, why: &str| act(
                gallery, path, why
            )),
        )
    }
}

/// How many processors this program may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
