//! The gallery's fields, properties and signals.

use super::*;
use gtk4::glib::subclass::Signal;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::sync::OnceLock;

use super::under_way::UnderWay;
use crate::cache::{Cache, Saver};
use crate::monitor::Monitor;
use crate::picture_list::PictureList;
use crate::thumbnails::Thumbnails;
use crate::wholes::Wholes;

#[derive(glib::Properties)]
#[properties(wrapper_type = super::Gallery)]
pub struct Gallery {
    /// What to show, in its order. It grows while listing; another order can bring another list.
    #[property(get)]
    pub(super) list: RefCell<PictureList>,
    /// How many pictures there are, shown or filtered out.
    #[property(get)]
    pub(super) total: Cell<u32>,
    /// How many of them have a thumbnail, or never will.
    #[property(get)]
    pub(super) tried: Cell<u32>,
    /// How many of them have none.
    #[property(get)]
    pub(super) failed: Cell<u32>,
    /// Names are still being read, or looked through.
    #[property(get)]
    pub(super) listing: Cell<bool>,
    /// All that is wanted has been tried.
    #[property(get)]
    pub(super) idle: Cell<bool>,
    pub(super) catalog: RefCell<Catalog>,
    /// Folders, and files that are gone.
    pub(super) gone: RefCell<IdSet>,
    /// Files that are to be gone, or back, in this order, and how many of the first ones that is done with.
    pub(super) fates: RefCell<VecDeque<(Rc<IdSet>, bool)>>,
    pub(super) seen_to: Cell<usize>,
    /// How many folders are there.
    pub(super) folders: Cell<u32>,
    pub(super) arrangement: RefCell<Arrangement>,
    pub(super) thumbnails: RefCell<Thumbnails<gdk::Texture>>,
    /// The places in view and those near.
    pub(super) view: RefCell<(Range<u32>, Range<u32>)>,
    pub(super) wholes: RefCell<Wholes<Result<Whole, String>, OnWhole>>,
    pub(super) sizes: Cell<Sizes>,
    pub(super) sweep: Cell<bool>,
    pub(super) monitors: RefCell<Vec<Monitor>>,
    pub(super) tools: OnceCell<Tools>,
    /// Folders are being read.
    pub(super) reading: Cell<bool>,
    /// Arrangements that have not come.
    pub(super) arranging: Cell<u32>,
    /// Files that are being opened.
    pub(super) opening: Cell<usize>,
    /// What is being made.
    pub(super) under_way: RefCell<UnderWay>,
    /// How many thumbnails came from the cache.
    pub(super) cached: Cell<u32>,
}

/// What the gallery works with.
pub struct Tools {
    pub(super) decoders: Decoders,
    /// How many there are at most; the kernel takes a while to tell.
    pub(super) workers: usize,
    pub(super) files: Files,
    pub(super) index: Index,
    pub(super) cache: Cache,
    pub(super) saver: Saver,
    pub(super) measures: Rc<Measures>,
}

#[glib::object_subclass]
impl ObjectSubclass for Gallery {
    const NAME: &'static str = "TineGallery";
    type Type = super::Gallery;
}

#[glib::derived_properties]
impl ObjectImpl for Gallery {
    fn signals() -> &'static [Signal] {
        static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
        SIGNALS.get_or_init(|| {
            let (id, text) = (u32::static_type(), String::static_type());
            vec![
                Signal::builder("thumbnail").param_types([id]).build(),
                Signal::builder("changed").param_types([id]).build(),
                Signal::builder("unreadable").param_types([text, text]).build(),
            ]
        })
    }
}

/// Something to be done with the gallery in its own thread.
pub type Act = Box<dyn FnOnce(&Gallery) + Send>;

impl Gallery {
    pub(super) fn tools(&self) -> &Tools {
        self.tools.get().expect("a gallery is made by `new`")
    }

    /// A way for another thread to have something done here. It gives false when nobody is left.
    pub(super) fn reply(&self) -> impl Fn(Act) -> bool + Send + 'static {
        let poster = tine::queue().poster();
        let gallery = glib::SendWeakRef::from(self.obj().downgrade());
        move |act| {
            let gallery = gallery.clone();
            let post = poster.post(move || {
                if let Some(gallery) = gallery.upgrade() {
                    act(gallery.imp());
                }
            });
            post.is_ok()
        }
    }
}

impl Default for Gallery {
    fn default() -> Self {
        let sizes = Sizes { side: 0, screen: Size::UNBOUNDED };
        Self {
            list: RefCell::default(),
            total: Cell::default(),
            tried: Cell::default(),
            failed: Cell::default(),
            listing: Cell::default(),
            idle: Cell::default(),
            catalog: RefCell::default(),
            gone: RefCell::default(),
            fates: RefCell::default(),
            seen_to: Cell::default(),
            folders: Cell::default(),
            arrangement: RefCell::default(),
            thumbnails: RefCell::default(),
            view: RefCell::default(),
            wholes: RefCell::default(),
            sizes: Cell::new(sizes),
            sweep: Cell::default(),
            monitors: RefCell::default(),
            tools: OnceCell::new(),
            reading: Cell::default(),
            arranging: Cell::default(),
            opening: Cell::default(),
            under_way: RefCell::default(),
            cached: Cell::default(),
        }
    }
}
