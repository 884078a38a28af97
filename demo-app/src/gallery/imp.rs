//! The gallery's inside: one picture after another goes from its name by way of an open file and a
//! worker to a texture.

use super::*;
use gtk4::glib::subclass::Signal;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tine_viewer::protocol::{Drawing, Failure, Request};

use crate::cache::{Cache, Class, Errand, Original, Saver};
use crate::catalog::{Catalog, Chunk};
use crate::crew::News;
use crate::files::open_picture;
use crate::listing::{Found, split};
use crate::picture_list::PictureList;
use crate::texture::texture;
use crate::thumbnails::Thumbnails;

#[derive(Default, glib::Properties)]
#[properties(wrapper_type = super::Gallery)]
pub struct Gallery {
    /// The pictures in the order to show them. It grows while listing; sorting brings another.
    #[property(get)]
    list: RefCell<PictureList>,
    /// How many pictures there are.
    #[property(get)]
    total: Cell<u32>,
    /// How many of them have a thumbnail, or never will.
    #[property(get)]
    tried: Cell<u32>,
    /// How many of them have none.
    #[property(get)]
    failed: Cell<u32>,
    /// Names are still being read.
    #[property(get)]
    listing: Cell<bool>,
    /// All that is wanted has been tried.
    #[property(get)]
    idle: Cell<bool>,
    pub(super) catalog: RefCell<Catalog>,
    pub(super) thumbnails: RefCell<Thumbnails<gdk::Texture>>,
    /// The places in view and those near.
    pub(super) view: RefCell<(Range<u32>, Range<u32>)>,
    pub(super) whole: RefCell<Option<Whole>>,
    pub(super) tools: OnceCell<Tools>,
    /// Files that are being opened.
    opening: Cell<usize>,
    /// What is to become of the thumbnails that are being made, by id.
    errands: RefCell<HashMap<u32, Answering>>,
    /// How many thumbnails came from the cache.
    pub(super) cached: Cell<u32>,
}

/// Something to be done with the gallery in its own thread.
type Act = Box<dyn FnOnce(&Gallery) + Send>;

/// What the gallery works with.
pub struct Tools {
    pub(super) crew: Crew,
    pub(super) files: Files,
    pub(super) cache: Cache,
    pub(super) saver: Saver,
    /// Of the square that thumbnails fit into, in pixels.
    pub(super) side: u32,
    pub(super) sweep: bool,
    pub(super) measures: Rc<Measures>,
}

/// A picture that is wanted as a whole.
pub struct Whole {
    id: u32,
    want: Size,
    done: OnWhole,
    /// It is on its way.
    asked: bool,
}

impl Whole {
    pub(super) fn new(id: u32, want: Size, done: OnWhole) -> Self {
        Self { id, want, done, asked: false }
    }
}

/// What is to become of an [`Errand`]'s answer.
struct Answering {
    is_cached: bool,
    keep: Option<(Original, Class)>,
}

/// What is asked of the workers. Their requests carry it as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Thumbnail(u32),
    Whole(u32),
}

impl Job {
    /// Set in the number of a picture as a whole.
    const WHOLE: u64 = 1 << 32;

    fn id(self) -> u32 {
        match self {
            Self::Thumbnail(id) | Self::Whole(id) => id,
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Thumbnail(id) => id.into(),
            Self::Whole(id) => u64::from(id) | Self::WHOLE,
        }
    }

    fn from_number(number: u64) -> Self {
        let id = number as u32;
        if number & Self::WHOLE == 0 { Self::Thumbnail(id) } else { Self::Whole(id) }
    }
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
                Signal::builder("unreadable").param_types([text, text]).build(),
            ]
        })
    }
}

// From names to jobs.
impl Gallery {
    pub(super) fn tools(&self) -> &Tools {
        self.tools.get().expect("a gallery is made by `new`")
    }

    /// Gives the file at once the id 0.
    pub(super) fn begin(&self, at_once: Option<PathBuf>) -> Catalog {
        self.listing.set(true);
        self.obj().notify_listing();
        if let Some(file) = at_once {
            let (folder, name) = split(&file);
            self.add(Arc::new(Chunk::new(0, folder.into(), [name])));
        }
        self.catalog.borrow().clone()
    }

    pub(super) fn found(&self, found: Found) {
        match found {
            Found::Names(chunk) => self.add(chunk),
            Found::Unreadable(path, error) => {
                let (path, why) = (path.to_string_lossy(), error.to_string());
                self.obj().emit_by_name::<()>("unreadable", &[&path.as_ref(), &why]);
            }
            Found::Done(order) => {
                if let Some(order) = order {
                    self.list.replace(PictureList::ordered(order));
                    self.thumbnails.borrow_mut().reordered();
                    self.obj().notify_list();
                }
                self.listing.set(false);
                self.obj().notify_listing();
            }
        }
        self.pump();
    }

    fn add(&self, chunk: Arc<Chunk>) {
        let count = chunk.len();
        self.catalog.borrow_mut().push(chunk);
        let total = self.catalog.borrow().len();
        self.thumbnails.borrow_mut().grow(total);
        self.total.set(total);
        let list = self.obj().list();
        list.append(count);
        self.obj().notify_total();
    }

    /// Sends off as many jobs as the workers have room for.
    pub(super) fn pump(&self) {
        let crew = &self.tools().crew;
        while crew.room() > self.opening.get() {
            match self.next_job() {
                Some(job) => self.open_file(job, false),
                None => break,
            }
        }
        self.tell_progress();
    }

    /// What to do next: the whole picture that somebody waits for, then what is in view, then what is
    /// near, then the rest.
    fn next_job(&self) -> Option<Job> {
        if let Some(whole) = &mut *self.whole.borrow_mut()
            && !std::mem::replace(&mut whole.asked, true)
        {
            return Some(Job::Whole(whole.id));
        }
        let list = self.list.borrow();
        let (in_view, near) = self.view.borrow().clone();
        let ids = |places: Range<u32>| places.map_while(|place| list.id(place));
        let mut thumbnails = self.thumbnails.borrow_mut();
        let wanted = thumbnails.next(ids(in_view), ids(near));
        let id = match wanted {
            None if self.tools().sweep && !self.listing.get() => {
                thumbnails.next_untried(|place| list.id(place as u32).unwrap_or(place as u32))
            }
            wanted => wanted,
        };
        id.map(Job::Thumbnail)
    }

    /// With `anew` a thumbnail is made of the picture, whatever the cache has.
    fn open_file(&self, job: Job, anew: bool) {
        self.opening.set(self.opening.get() + 1);
        let path = self.catalog.borrow().path(job.id());
        let cache = self.tools().cache.clone();
        let class = match job {
            Job::Thumbnail(_) => Class::covering(self.tools().side),
            Job::Whole(_) => None,
        };
        let reply = self.reply();
        self.tools().files.run(move || {
            let errand = open_picture(&path).and_then(|file| match class {
                Some(class) => cache.errand(&path, file, class, anew),
                None => Ok(Errand::plain(file)),
            });
            reply(Box::new(move |gallery| gallery.opened(job, errand)));
        });
    }

    /// A way for another thread to have something done here.
    fn reply(&self) -> impl FnOnce(Act) + Send + 'static {
        let poster = tine::queue().poster();
        let gallery = glib::SendWeakRef::from(self.obj().downgrade());
        move |act| {
            let post = poster.post(move || {
                if let Some(gallery) = gallery.upgrade() {
                    act(gallery.imp());
                }
            });
            // Without the queue there is nobody to tell.
            drop(post);
        }
    }
}

// From jobs to pictures.
impl Gallery {
    fn opened(&self, job: Job, errand: Result<Errand, String>) {
        self.opening.set(self.opening.get() - 1);
        match (errand, self.want(job)) {
            (Ok(errand), Some(want)) => {
                let Errand { file, is_cached, keep } = errand;
                let thumbnail = keep.as_ref().map_or(0, |(_, class)| class.side());
                if let Job::Thumbnail(id) = job {
                    self.errands.borrow_mut().insert(id, Answering { is_cached, keep });
                }
                self.tools().crew.submit(Request { job: job.number(), want, thumbnail }, file);
            }
            (Err(reason), _) => self.answered(job, Err(Failure::passing(reason))),
            (Ok(_), None) => {}
        }
        self.pump();
    }

    /// The size to ask for; `None` if the picture is not wanted any more.
    fn want(&self, job: Job) -> Option<Size> {
        match job {
            Job::Thumbnail(_) => Some(Size::new(self.tools().side, self.tools().side)),
            Job::Whole(id) => {
                self.whole.borrow().as_ref().filter(|whole| whole.id == id).map(|whole| whole.want)
            }
        }
    }

    pub(super) fn take(&self, news: News) {
        match news {
            News::Answered(number, pid, result) => {
                if let Some(pid) = pid {
                    self.tools().measures.worker_answered(pid);
                }
                self.answered(Job::from_number(number), result);
            }
            News::HandedBack(number) => match Job::from_number(number) {
                Job::Thumbnail(id) => {
                    self.errands.borrow_mut().remove(&id);
                    self.thumbnails.borrow_mut().hand_back(id);
                }
                Job::Whole(id) => self.ask_again(id),
            },
        }
        self.pump();
    }

    fn ask_again(&self, id: u32) {
        if let Some(whole) = &mut *self.whole.borrow_mut()
            && whole.id == id
        {
            whole.asked = false;
        }
    }

    fn answered(&self, job: Job, result: Result<Drawing, Failure>) {
        match job {
            Job::Thumbnail(id) => self.thumbnail_answered(id, result),
            Job::Whole(id) => {
                self.whole(id, result.map_err(|failure| failure.reason).and_then(texture));
            }
        }
    }

    fn thumbnail_answered(&self, id: u32, mut result: Result<Drawing, Failure>) {
        let saver = &self.tools().saver;
        let errand = self.errands.borrow_mut().remove(&id);
        match (&mut result, errand.map(|errand| (errand.is_cached, errand.keep))) {
            // The cache's fault.
            (Err(_), Some((true, _))) => return self.open_file(Job::Thumbnail(id), true),
            (Ok(_), Some((true, _))) => self.cached.set(self.cached.get() + 1),
            (Ok(drawing), Some((false, Some((original, class))))) => {
                if let Some(encoded) = drawing.thumbnail.take() {
                    saver.keep(original, class, drawing.original, encoded);
                }
            }
            (Err(failure), Some((false, Some((original, _))))) if failure.lasting => {
                saver.keep_failure(original, &failure.reason);
            }
            _ => {}
        }
        let made = result.map_err(|failure| failure.reason).and_then(|drawing| {
            let octets = drawing.layout.len() as usize;
            Ok((texture(drawing)?, octets))
        });
        self.thumbnail(id, made);
    }

    fn thumbnail(&self, id: u32, result: Result<(gdk::Texture, usize), String>) {
        let mut thumbnails = self.thumbnails.borrow_mut();
        match result {
            Ok((texture, octets)) => {
                thumbnails.keep(id, texture, octets);
            }
            Err(reason) => thumbnails.fail(id, reason),
        }
        drop(thumbnails);
        self.obj().emit_by_name::<()>("thumbnail", &[&id]);
    }

    fn whole(&self, id: u32, result: Result<gdk::Texture, String>) {
        let whole = self.whole.borrow_mut().take_if(|whole| whole.id == id);
        if let Some(whole) = whole {
            (whole.done)(result);
        }
        self.tell_progress();
    }

    fn tell_progress(&self) {
        let thumbnails = self.thumbnails.borrow();
        let tried = thumbnails.tried();
        let failed = thumbnails.failures().len() as u32;
        let busy = self.listing.get()
            || self.opening.get() > 0
            || thumbnails.asked() > 0
            || self.whole.borrow().is_some();
        drop(thumbnails);
        if self.failed.replace(failed) != failed {
            self.obj().notify_failed();
        }
        if self.tried.replace(tried) != tried {
            self.obj().notify_tried();
        }
        if self.idle.replace(!busy) == busy {
            self.obj().notify_idle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_numbers_and_back() {
        for job in
            [Job::Thumbnail(0), Job::Whole(0), Job::Thumbnail(u32::MAX), Job::Whole(u32::MAX)]
        {
            assert_eq!(Job::from_number(job.number()), job);
        }
    }
}
