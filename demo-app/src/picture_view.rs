//! One picture, fitted into the window or closer, and the way to the next.
//!
//! ```text
//! PictureView (GtkWidget)
//! └ GtkOverlay
//!   ├ GtkStack
//!   │ ├ Canvas: first the thumbnail as a stand-in, then the whole, then every pixel if need be
//!   │ └ failed: why there is none
//!   └ previous, next, controls: while the pointer moves
//! ```

mod hand;
mod moves;

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib};
use std::cell::{Cell, RefCell};
use tine_viewer::protocol::Size;

use crate::accessible::set_label;
use crate::canvas::Canvas;
use crate::catalog::Kind;
use crate::gallery::{Gallery, Signals, Whole};
use crate::thumbnails::Thumbnail;
use crate::wholes::Detail;

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
        pub gallery: RefCell<Option<Gallery>>,
        /// What is heard of the gallery.
        pub signals: RefCell<Option<Signals>>,
        /// The id of the picture that is shown.
        pub id: Cell<u32>,
        /// The name of the picture that is shown.
        #[property(get, set)]
        title: RefCell<String>,
        /// The whole picture has come, or never will.
        pub settled: Cell<bool>,
        /// Steps of wheel or touchpad that make no picture yet.
        pub scrolled: Cell<f64>,
        /// Hides the controls.
        pub rest: RefCell<Option<glib::SourceId>>,
        /// Goes to the next picture.
        pub show: RefCell<Option<glib::SourceId>>,
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

    /// Turns the picture to the right.
    pub fn turn(&self, quarters: u32) {
        self.imp().canvas.turn(quarters);
    }

    /// Shows the picture with this id: at once its thumbnail if there is one, then the whole.
    pub fn show(&self, id: u32) {
        let imp = self.imp();
        let Some(gallery) = self.gallery() else { return };
        imp.id.set(id);
        imp.settled.set(false);
        let name = gallery.name(id);
        set_label(&*imp.canvas, &name);
        self.set_title(name);
        imp.canvas.set_original(None);
        gallery.with_thumbnail(id, |thumbnail| {
            if let Thumbnail::Kept(texture) = thumbnail {
                self.set_stand_in(texture);
            }
        });
        imp.stack.set_visible_child(&*imp.canvas);
        self.load(Detail::Screen);
    }

    /// Shows nothing, and lets the picture go.
    pub fn clear(&self) {
        self.stop_show();
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
            move |result| this.came(id, result)
        );
        gallery.load((id, detail), self.neighbours(), Box::new(done));
    }

    /// The pictures that are most likely next.
    fn neighbours(&self) -> Vec<u32> {
        [1, -1].into_iter().filter_map(|step| self.beside(step)).collect()
    }

    fn came(&self, id: u32, result: Result<Whole, String>) {
        let imp = self.imp();
        if id != self.id() {
            return;
        }
        imp.settled.set(true);
        match result {
            Ok(whole) => {
                imp.canvas.correct_original(whole.original);
                imp.canvas.add_level(whole.texture);
            }
            Err(reason) => {
                imp.failed.set_description(Some(&glib::markup_escape_text(&reason)));
                imp.stack.set_visible_child(&*imp.failed);
            }
        }
    }

    /// A reduced picture fills the window until the whole one is there; one that is small anyway
    /// stays as it is.
    fn set_stand_in(&self, thumbnail: &gdk::Texture) {
        const ENLARGED: u32 = 32;
        let (width, height) = (thumbnail.width() as u32, thumbnail.height() as u32);
        let reduced = width.max(height) >= 64;
        let by = if reduced { ENLARGED } else { 1 };
        self.imp().canvas.set_original(Some(Size::new(width * by, height * by)));
        self.imp().canvas.add_level(thumbnail.clone());
    }

    fn follow_scale(&self) {
        self.imp().canvas.connect_scale_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |canvas| {
                this.imp().percent.set_label(&format!("{:.0} %", canvas.scale() * 100.0));
                // Fitted, the screen's pixels are enough; sizes are being given out just now.
                if !canvas.zoom().is_fitted() && this.is_settled() && canvas.lacks_pixels() {
                    this.load(Detail::Full);
                }
            }
        ));
    }

    /// The picture so many steps from the one that is shown; folders are passed over.
    fn beside(&self, step: i32) -> Option<u32> {
        let gallery = self.gallery()?;
        let list = gallery.list();
        let mut place = list.position(self.id())?;
        loop {
            place = place.checked_add_signed(step)?;
            let id = list.id(place)?;
            if gallery.kind(id) == Kind::Picture {
                return Some(id);
            }
        }
    }
}
