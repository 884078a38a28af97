//! What there is to show, without showing it: the names in some places, their thumbnails, and one
//! picture as a whole. It asks the workers for what is in view first, and tells by signals what has
//! come. Another folder has another gallery.

mod imp;
mod jobs;
mod names;
mod signals;
mod under_way;

use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, prelude::*};
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use tine::Template;
use tine::pool::ncpu;
use tine_viewer::decoders::{Decoders, LOAD, Urgency};
use tine_viewer::layout::Size;
use tine_viewer::worker::DECODE;

use crate::arrange::Arrangement;
use crate::cache::{Cache, Saver};
use crate::catalog::{Catalog, Kind};
use crate::files::Files;
use crate::id_set::IdSet;
use crate::index::Index;
use crate::level::Level;
use crate::listing::Source;
use crate::measures::Measures;
use crate::thumbnails::Thumbnail;
use crate::wholes::{Detail, Key};

pub use signals::Signals;
use under_way::Target;

glib::wrapper! {
    /// The pictures, their thumbnails, and the workers that make them.
    ///
    /// Signals: `thumbnail` (id) when there is one, or never will be; `changed` (id) when a picture's
    /// file has; `unreadable` (path, reason) for a folder; without a reason it can be read again.
    pub struct Gallery(ObjectSubclass<imp::Gallery>);
}

/// A picture as a whole.
#[derive(Clone, Debug)]
pub struct Whole {
    /// All of it, or as much as was wanted.
    pub level: Level,
    /// The picture's own size, right side up.
    pub original: Size,
    /// It is the first of several frames.
    pub animated: bool,
}

/// What to do with a picture as a whole, or with the reason why there is none.
pub type OnWhole = Box<dyn FnOnce(Result<Whole, String>)>;

/// What a gallery is made for.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of the square that thumbnails fit into, in pixels.
    pub side: u32,
    /// What no window is larger than, in pixels: all that can be seen of a picture at once.
    pub screen: Size,
}

impl Gallery {
    /// An empty gallery whose workers come from `template`. With `sweep` all thumbnails are made in the
    /// end, otherwise those that come into view.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn new(
        template: &Template,
        sizes: Sizes,
        sweep: bool,
        measures: Rc<Measures>,
    ) -> std::io::Result<Self> {
        let gallery: Self = glib::Object::new();
        // One for each processor, and never one alone, which may be held up.
        let workers = ncpu().max(2);
        let decoders = Decoders::new(template, DECODE, workers).map_err(std::io::Error::other)?;
        let cache = Cache::of_user();
        let saver = Saver::start(cache.clone())?;
        let files = Files::start(workers)?;
        let index = Index::start()?;
        let tools = imp::Tools { decoders, workers, files, index, cache, saver, measures };
        // It was made a few lines above: nothing is set yet.
        let _unset = gallery.imp().tools.set(tools);
        gallery.imp().sizes.set(sizes);
        gallery.imp().sweep.set(sweep);
        Ok(gallery)
    }

    /// Lists `sources`; once. `at_once` is a file that has a place before anything is listed: its id
    /// is 0.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn open(&self, at_once: Option<PathBuf>, sources: Vec<Source>) -> std::io::Result<()> {
        self.imp().list(at_once, sources)
    }

    /// Shows other names, or in another order, when they have been looked through.
    pub fn arrange(&self, arrangement: Arrangement) {
        if self.imp().arrangement.replace(arrangement.clone()) != arrangement {
            self.imp().rearrange();
        }
    }

    /// What is shown, and in which order.
    pub fn arrangement(&self) -> Arrangement {
        self.imp().arrangement.borrow().clone()
    }

    /// Calls `act` with the first place from `from` on, and then from the start, whose name begins so.
    pub fn find(&self, from: u32, start: &str, act: impl FnOnce(Option<u32>) + Send + 'static) {
        let (imp, order) = (self.imp(), self.list().order());
        let reply = imp.reply();
        imp.tools().index.find(&imp.catalog.borrow(), order, from, start, move |place| {
            reply(Box::new(move |_| act(place)));
        });
    }

    /// Says which places of the list are in view, and which are near.
    pub fn set_view(&self, in_view: Range<u32>, near: Range<u32>) {
        self.imp().view.replace((in_view, near));
        self.imp().weigh();
        self.imp().pump();
    }

    /// Makes thumbnails for squares of this side from now on, in pixels.
    pub fn set_side(&self, side: u32) {
        self.set_sizes(Sizes { side, ..self.imp().sizes.get() });
    }

    /// The same; whole pictures fit into this screen from now on.
    pub fn set_sizes(&self, sizes: Sizes) {
        let imp = self.imp();
        if imp.sizes.replace(sizes).side != sizes.side {
            imp.call_off_where(|target| matches!(target, Target::Thumbnail(_)));
            imp.thumbnails.borrow_mut().forget_all();
            imp.pump();
        }
    }

    /// Makes all thumbnails in the end, or only those that come into view.
    pub fn set_sweep(&self, sweep: bool) {
        self.imp().sweep.set(sweep);
        self.imp().weigh();
        self.imp().pump();
    }

    /// Whether all thumbnails are made in the end.
    pub fn sweep(&self) -> bool {
        self.imp().sweep.get()
    }

    /// Calls `show` with the thumbnail of a picture, as far as it is known.
    pub fn with_thumbnail<R>(
        &self,
        id: u32,
        show: impl FnOnce(Thumbnail<'_, gdk::Texture>) -> R,
    ) -> R {
        show(self.imp().thumbnails.borrow_mut().get(id))
    }

    /// Loads a picture as a whole, before any thumbnail, instead of what was asked for before; then
    /// those `ahead`. `done` is called at once if it is at hand.
    pub fn load(&self, key: Key, ahead: Vec<u32>, done: OnWhole) {
        let imp = self.imp();
        let at_hand = imp.wholes.borrow_mut().get(key).cloned();
        let ahead = ahead.into_iter().map(|id| (id, Detail::Screen)).collect();
        imp.wholes.borrow_mut().set_ahead(ahead);
        match at_hand {
            Some(result) => done(result),
            None => {
                let replaced = imp.wholes.borrow_mut().want(key, done);
                drop(replaced);
            }
        }
        imp.weigh();
        imp.pump();
    }

    /// Wants no picture as a whole any more.
    pub fn unload(&self) {
        let unwanted = self.imp().wholes.borrow_mut().want_none();
        drop(unwanted);
        self.imp().weigh();
        self.imp().pump();
    }

    /// Shows these no more: their files are gone.
    pub fn remove(&self, ids: IdSet) {
        self.imp().set_gone(ids, true);
    }

    /// Shows these again: their files are back.
    pub fn restore(&self, ids: IdSet) {
        self.imp().set_gone(ids, false);
    }

    /// The name of a picture's file, for people.
    pub fn name(&self, id: u32) -> String {
        self.imp().catalog.borrow().name(id).to_string_lossy().into_owned()
    }

    /// A picture's file.
    pub fn path(&self, id: u32) -> PathBuf {
        self.imp().catalog.borrow().path(id)
    }

    /// The names of all, for who goes through many of them in another thread.
    pub fn catalog(&self) -> Catalog {
        self.imp().catalog.borrow().clone()
    }

    /// Whether it is a picture or a folder.
    pub fn kind(&self, id: u32) -> Kind {
        self.imp().catalog.borrow().kind(id)
    }

    /// How many pictures there are whose names contain what is asked for. None: nothing is.
    pub fn matches(&self) -> Option<u32> {
        if self.arrangement().filter.is_empty() {
            return None;
        }
        let (order, catalog) = (self.list().order()?, self.imp().catalog.borrow());
        let folders = order.partition_point(|id| catalog.kind(*id) == Kind::Folder);
        Some((order.len() - folders) as u32)
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

    /// Calls `act` with the id of a picture whose thumbnail has come, or never will.
    pub fn connect_thumbnail(&self, act: impl Fn(&Self, u32) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            "thumbnail",
            false,
            glib::closure_local!(move |this: &Self, id: u32| act(this, id)),
        )
    }

    /// Calls `act` with the id of a picture whose file has changed.
    pub fn connect_changed(&self, act: impl Fn(&Self, u32) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            "changed",
            false,
            glib::closure_local!(move |this: &Self, id: u32| act(this, id)),
        )
    }

    /// Calls `act` with a folder that cannot be read, and why.
    pub fn connect_unreadable(
        &self,
        act: impl Fn(&Self, &str, &str) + 'static,
    ) -> glib::SignalHandlerId {
        let closure =
            glib::closure_local!(move |this: &Self, path: &str, why: &str| act(this, path, why));
        self.connect_closure("unreadable", false, closure)
    }

    /// Whether the workers have as many pictures in hand as they take, or all that are wanted.
    pub fn is_begun(&self) -> bool {
        let imp = self.imp();
        let (begun, all) = imp.under_way.borrow().begun();
        let more_may_come = imp.listing.get() || imp.opening.get() > 0 || begun < all;
        begun >= imp.tools().workers * LOAD || all > 0 && !more_may_come
    }

    /// The workers.
    pub fn decoders(&self) -> &Decoders {
        &self.imp().tools().decoders
    }
}
