//! One picture, fitted into the window or closer, and the way to the next.
//!
//! ```text
//! PictureView (GtkWidget)
//! ├ GtkOverlay
//! │ ├ GtkStack
//! │ │ ├ Canvas: first the thumbnail as a stand-in, then the whole, then every pixel if need be, or
//! │ │ │ frame after frame
//! │ │ └ failed: why there is none
//! │ ├ busy: when it takes a while
//! │ └ previous, next, controls: while the pointer moves
//! └ menu, while it is open
//! ```

mod hand;
mod moves;
mod slideshow;

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, gio, glib};
use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;
use tine::Template;
use tine_viewer::layout::Size;

use crate::accessible::set_label;
use crate::animation::Animation;
use crate::canvas::Canvas;
use crate::catalog::Kind;
use crate::files::open_picture;
use crate::gallery::{Gallery, Signals, Whole};
use crate::level::Level;
use crate::menu::Menu;
use crate::texture::is_by_processor;
use crate::thumbnails::Thumbnail;
use crate::wholes::{Detail, Key};

/// What comes sooner comes at once.
const PATIENCE: Duration = Duration::from_millis(400);

mod imp {
    use super::*;

    #[derive(Default, gtk4::CompositeTemplate, glib::Properties)]
    #[template(file = "picture_view.ui")]
    #[properties(wrapper_type = super::PictureView)]
    pub struct PictureView {
        #[template_child]
        pub overlay: TemplateChild<gtk4::Overlay>,
        #[template_child]
        pub stack: TemplateChild<gtk4::Stack>,
        #[template_child]
        pub canvas: TemplateChild<Canvas>,
        #[template_child]
        pub failed: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub previous: TemplateChild<gtk4::Revealer>,
        #[template_child]
        pub next: TemplateChild<gtk4::Revealer>,
        #[template_child]
        pub controls: TemplateChild<gtk4::Revealer>,
        #[template_child]
        pub percent: TemplateChild<gtk4::Button>,
        #[template_child]
        pub busy: TemplateChild<gtk4::Spinner>,
        #[template_child]
        pub context: TemplateChild<gio::MenuModel>,
        pub menu: Menu,
        pub gallery: RefCell<Option<Gallery>>,
        /// What is heard of the gallery.
        pub signals: RefCell<Option<Signals>>,
        /// The id of the picture that is shown.
        pub id: Cell<u32>,
        /// Its place in the list, also when it is not there any more.
        pub place: Cell<u32>,
        /// The name of the picture that is shown.
        #[property(get, set)]
        title: RefCell<String>,
        /// The whole picture has come, or never will.
        pub settled: Cell<bool>,
        /// Where the pointer is. Events of wheels do not tell.
        pub pointer: Cell<Option<(f64, f64)>>,
        /// Steps of wheel or touchpad that make no picture yet.
        pub scrolled: Cell<f64>,
        /// Where the worker of a film comes from.
        pub template: OnceCell<Template>,
        /// The film that is shown.
        pub animation: RefCell<Option<Animation>>,
        /// Says that it takes a while.
        pub impatience: RefCell<Option<glib::SourceId>>,
        /// Hides the controls.
        pub rest: RefCell<Option<glib::SourceId>>,
        pub show: RefCell<Option<slideshow::Slideshow>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PictureView {
        const NAME: &'static str = "TinePictureView";
        type Type = super::PictureView;
        type ParentType = gtk4::Widget;

        fn class_init(class: &mut Self::Class) {
            Canvas::ensure_type();
            class.bind_template();
            class.set_css_name("pictureview");
            class.set_accessible_role(gtk4::AccessibleRole::Group);
            class.set_layout_manager_type::<gtk4::BinLayout>();
            super::moves::install(class);
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for PictureView {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().follow_pointer();
            self.obj().follow_scale();
        }

        fn dispose(&self) {
            self.overlay.unparent();
            self.menu.remove();
        }
    }

    impl WidgetImpl for PictureView {}
}

glib::wrapper! {
    /// One picture.
    pub struct PictureView(ObjectSubclass<imp::PictureView>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl PictureView {
    /// Films are decoded by workers from this template; it is told once.
    pub fn set_template(&self, template: &Template) {
        let _told = self.imp().template.set(template.clone());
    }

    /// Shows pictures of `gallery`, instead of what was shown before.
    pub fn set_gallery(&self, gallery: &Gallery) {
        self.imp().gallery.replace(Some(gallery.clone()));
        let mut signals = Signals::of(gallery);
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_changed(move |_, id| {
                let this = this.upgrade().filter(|this| this.id() == id && this.is_mapped());
                this.inspect(|this| this.show(id));
            })
        });
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_listing_notify(move |_| {
                if let Some(this) = this.upgrade() {
                    // Noted, if it is there; nobody asks.
                    let _place = this.note_place();
                }
            })
        });
        self.imp().signals.replace(Some(signals));
    }

    fn gallery(&self) -> Option<Gallery> {
        self.imp().gallery.borrow().clone()
    }

    /// The id of the picture that is shown.
    pub fn id(&self) -> u32 {
        self.imp().id.get()
    }

    /// Whether the whole picture has come, or never will.
    pub fn is_settled(&self) -> bool {
        self.imp().settled.get()
    }

    /// All of the picture's pixels, if they are there.
    pub fn pixels(&self) -> Option<gdk::Texture> {
        self.imp().canvas.pixels()
    }

    /// Turns the picture to the right.
    pub fn turn(&self, quarters: u32) {
        self.imp().canvas.turn(quarters);
    }

    /// Shows the picture with this id: at once its thumbnail if there is one, then the whole.
    pub fn show(&self, id: u32) {
        let imp = self.imp();
        let Some(gallery) = self.gallery() else { return };
        imp.animation.take();
        imp.id.set(id);
        imp.settled.set(false);
        let name = gallery.name(id);
        set_label(&*imp.canvas, &name);
        // It is what has the keyboard.
        set_label(self, &name);
        self.set_title(name);
        imp.canvas.set_original(None);
        gallery.with_thumbnail(id, |thumbnail| {
            if let Thumbnail::Kept(texture) = thumbnail {
                self.set_stand_in(texture);
            }
        });
        imp.stack.set_visible_child(&*imp.canvas);
        self.await_picture();
        self.load(Detail::Screen);
    }

    /// Shows nothing, and lets the picture go.
    pub fn clear(&self) {
        self.stop_show();
        self.set_busy(false);
        self.imp().animation.take();
        if let Some(gallery) = self.gallery() {
            gallery.unload();
        }
        self.imp().canvas.set_original(None);
    }

    fn load(&self, detail: Detail) {
        let (Some(gallery), id) = (self.gallery(), self.id()) else { return };
        let done = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |result| this.came((id, detail), result)
        );
        gallery.load((id, detail), self.neighbours(), Box::new(done));
    }

    /// The pictures that are most likely next.
    fn neighbours(&self) -> Vec<u32> {
        [1, -1].into_iter().filter_map(|step| self.beside(step)).collect()
    }

    fn came(&self, (id, detail): Key, result: Result<Whole, String>) {
        let imp = self.imp();
        if id != self.id() {
            return;
        }
        imp.settled.set(true);
        self.set_busy(false);
        match result {
            Ok(whole) => {
                imp.canvas.correct_original(whole.original);
                imp.canvas.add_level(whole.level.clone());
                self.add_halves(whole.level);
                if whole.animated && detail == Detail::Screen {
                    self.animate();
                }
                self.refine(Some(detail));
            }
            Err(reason) => {
                set_label(self, &format!("{}: {reason}", self.title()));
                imp.failed.set_description(Some(&glib::markup_escape_text(&reason)));
                imp.stack.set_visible_child(&*imp.failed);
            }
        }
    }

    /// Where the processor draws it must not be given more pixels than a frame has the time for.
    fn add_halves(&self, level: Level) {
        if !is_by_processor() {
            return;
        }
        let (this, id) = (self.downgrade(), self.id());
        glib::spawn_future_local(async move {
            // A panic in there has said so.
            let halves = gio::spawn_blocking(move || level.halves()).await.unwrap_or_default();
            // Meanwhile one may have gone on.
            if let Some(this) = this.upgrade().filter(|this| this.id() == id && this.is_settled()) {
                halves.into_iter().for_each(|level| this.imp().canvas.add_level(level));
            }
        });
    }

    /// Says that it takes a while, if it does.
    fn await_picture(&self) {
        self.set_busy(false);
        let this = self.downgrade();
        let impatience = glib::timeout_add_local_once(PATIENCE, move || {
            if let Some(this) = this.upgrade() {
                // It has just run, and is gone.
                this.imp().impatience.take();
                this.set_busy(true);
            }
        });
        self.imp().impatience.replace(Some(impatience));
    }

    fn set_busy(&self, busy: bool) {
        let imp = self.imp();
        if let Some(impatience) = imp.impatience.take() {
            impatience.remove();
        }
        imp.busy.set_spinning(busy);
        imp.busy.set_visible(busy);
    }

    /// Runs the film of which the first frame is shown.
    fn animate(&self) {
        let (Some(gallery), id) = (self.gallery(), self.id()) else { return };
        let path = gallery.path(id);
        let this = self.downgrade();
        glib::spawn_future_local(async move {
            // A panic in there has said so.
            let opened = gio::spawn_blocking(move || open_picture(&path)).await;
            let (Ok(Ok(file)), Some(this)) = (opened, this.upgrade()) else { return };
            let imp = this.imp();
            // Meanwhile one may have gone on.
            let Some(template) = imp.template.get().filter(|_| this.id() == id && this.is_mapped())
            else {
                return;
            };
            let canvas = imp.canvas.downgrade();
            let show = move |frame| {
                canvas.upgrade().inspect(|canvas| canvas.set_frame(frame));
            };
            imp.animation.replace(Some(Animation::start(template, file, show)));
        });
    }

    /// A reduced picture fills the window until the whole one is there; one that is small anyway
    /// stays as it is.
    fn set_stand_in(&self, thumbnail: &gdk::Texture) {
        const ENLARGED: u32 = 32;
        let (width, height) = (thumbnail.width() as u32, thumbnail.height() as u32);
        let reduced = width.max(height) >= 64;
        let by = if reduced { ENLARGED } else { 1 };
        self.imp().canvas.set_original(Some(Size::new(width * by, height * by)));
        self.imp().canvas.add_level(thumbnail.clone().into());
    }

    /// Loads more of the picture, if the screen could show more than there is.
    fn refine(&self, loaded: Option<Detail>) {
        let imp = self.imp();
        // Fitted, the screen's pixels are enough; a film has all of its own.
        if imp.canvas.zoom().is_fitted() || !self.is_settled() || imp.animation.borrow().is_some() {
            return;
        }
        // A worker that gives less than was asked for is not asked again.
        if let Some(detail) =
            imp.canvas.lacks().filter(|detail| loaded.is_none_or(|is| is < *detail))
        {
            self.load(detail);
        }
    }

    fn follow_scale(&self) {
        self.imp().canvas.connect_scale_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |canvas| {
                this.imp().percent.set_label(&format!("{:.0} %", canvas.scale() * 100.0));
                // Fitted, the screen's pixels are enough; sizes are being given out just now.
                this.refine(None);
            }
        ));
    }

    /// The picture so many steps from the one that is shown; folders are passed over.
    fn beside(&self, step: i32) -> Option<u32> {
        let gallery = self.gallery()?;
        let list = gallery.list();
        let mut place = match self.note_place() {
            Some(place) => place.checked_add_signed(step)?,
            // The next one has moved up to where it was.
            None if step > 0 => self.imp().place.get(),
            None => self.imp().place.get().min(list.n_items()).checked_sub(1)?,
        };
        loop {
            let id = list.id(place)?;
            if gallery.kind(id) == Kind::Picture {
                return Some(id);
            }
            place = place.checked_add_signed(step)?;
        }
    }

    /// Where the picture is in the list, unless it is gone.
    fn note_place(&self) -> Option<u32> {
        let place = self.gallery()?.list().position(self.id());
        place.inspect(|place| self.imp().place.set(*place))
    }
}
