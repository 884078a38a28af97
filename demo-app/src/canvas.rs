//! The picture itself: drawn at a scale, turned, and moved about.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, graphene};
use std::cell::{Cell, RefCell};
use tine_viewer::protocol::Size;

use crate::zoom::{Pair, Zoom};

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Canvas)]
    pub struct Canvas {
        /// As much of the picture as there is, the smallest first.
        pub levels: RefCell<Vec<gdk::Texture>>,
        /// The picture's size, in its own pixels.
        pub original: Cell<(u32, u32)>,
        /// Quarter turns to the right.
        pub turns: Cell<u32>,
        pub zoom: Cell<Zoom>,
        /// Pixels of the screen for a pixel of the picture.
        #[property(get)]
        pub scale: Cell<f64>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Canvas {
        const NAME: &'static str = "TineCanvas";
        type Type = super::Canvas;
        type ParentType = gtk4::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_accessible_role(gtk4::AccessibleRole::Img);
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for Canvas {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_overflow(gtk4::Overflow::Hidden);
        }
    }

    impl WidgetImpl for Canvas {
        fn size_allocate(&self, width: i32, height: i32, baseline: i32) {
            self.parent_size_allocate(width, height, baseline);
            self.obj().with_zoom(|zoom| zoom.set_area((width.into(), height.into())));
        }

        fn snapshot(&self, snapshot: &gtk4::Snapshot) {
            if let Some(texture) = self.obj().level() {
                self.obj().draw(snapshot, &texture);
            }
        }
    }
}

glib::wrapper! {
    /// The picture itself.
    pub struct Canvas(ObjectSubclass<imp::Canvas>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl Canvas {
    /// Shows nothing, or a picture of this size, of which no pixels have come, fitted into the area.
    pub fn set_original(&self, original: Option<Size>) {
        let size = original.map_or((1, 1), |size| (size.width, size.height));
        self.imp().levels.take();
        self.imp().turns.set(0);
        self.imp().original.set(size);
        self.fit_anew();
    }

    /// The picture turns out to be of this size: fitted into the area, if it was thought to be another.
    pub fn correct_original(&self, original: Size) {
        let size = (original.width, original.height);
        if self.imp().original.replace(size) != size {
            self.fit_anew();
        }
    }

    /// Adds the picture as it is when reduced to the texture's size.
    pub fn add_level(&self, texture: gdk::Texture) {
        let mut levels = self.imp().levels.borrow_mut();
        levels.retain(|level| level.width() != texture.width());
        levels.push(texture);
        levels.sort_by_key(gdk::Texture::width);
        drop(levels);
        self.queue_draw();
    }

    /// Whether there are less pixels than the screen could show at this scale.
    pub fn lacks_pixels(&self) -> bool {
        let shown = f64::from(self.imp().original.get().0) * self.scale();
        let most = self.imp().levels.borrow().last().map_or(0, gdk::Texture::width);
        shown.round() > f64::from(most) && (most as u32) < self.imp().original.get().0
    }

    /// Turns the picture to the right.
    pub fn turn(&self, quarters: u32) {
        self.imp().turns.set((self.imp().turns.get() + quarters) % 4);
        self.fit_anew();
    }

    /// Fits the picture into the area.
    pub fn fit(&self) {
        self.with_zoom(Zoom::fit);
    }

    /// Shows each pixel of the picture as one of the screen.
    pub fn set_natural(&self, at: Option<Pair>) {
        self.with_zoom(|zoom| zoom.set_scale(1.0, at));
    }

    /// Scales by a factor; what lies at the point stays there.
    pub fn zoom_by(&self, factor: f64, at: Option<Pair>) {
        self.with_zoom(|zoom| zoom.set_scale(zoom.scale() * factor, at));
    }

    /// Moves the picture, by logical pixels.
    pub fn pan(&self, by: Pair) {
        self.with_zoom(|zoom| zoom.pan(by));
    }

    /// How the picture lies.
    pub fn zoom(&self) -> Zoom {
        self.imp().zoom.get()
    }

    fn fit_anew(&self) {
        let (width, height) = self.imp().original.get();
        let (width, height) = match self.imp().turns.get() % 2 {
            0 => (width, height),
            _ => (height, width),
        };
        let logical = |pixels: u32| f64::from(pixels) / f64::from(self.scale_factor());
        self.with_zoom(|zoom| zoom.set_picture((logical(width), logical(height))));
    }

    fn with_zoom(&self, change: impl FnOnce(&mut Zoom)) {
        let mut zoom = self.imp().zoom.get();
        change(&mut zoom);
        self.imp().zoom.set(zoom);
        self.queue_draw();
        if self.imp().scale.replace(zoom.scale()) != zoom.scale() {
            self.notify_scale();
        }
    }

    /// The smallest that has a pixel for each of the screen, or the largest there is.
    fn level(&self) -> Option<gdk::Texture> {
        let shown = f64::from(self.imp().original.get().0) * self.scale();
        let levels = self.imp().levels.borrow();
        let enough = levels.iter().find(|level| f64::from(level.width()) >= shown.floor());
        enough.or(levels.last()).cloned()
    }

    fn draw(&self, snapshot: &gtk4::Snapshot, texture: &gdk::Texture) {
        let zoom = self.zoom();
        let ((x, y), (width, height)) = (zoom.corner(), zoom.size());
        let scale = f64::from(self.scale_factor());
        // On whole pixels, or what fits exactly is blurred.
        let on_pixel = |position: f64| (position * scale).round() / scale;
        let (x, y) = (on_pixel(x), on_pixel(y));
        let turns = self.imp().turns.get();
        let (across, down) =
            if turns.is_multiple_of(2) { (width, height) } else { (height, width) };
        let middle = graphene::Point::new((x + width / 2.0) as f32, (y + height / 2.0) as f32);
        snapshot.save();
        snapshot.translate(&middle);
        snapshot.rotate(90.0 * turns as f32);
        let (left, top) = (-across / 2.0, -down / 2.0);
        let area = graphene::Rect::new(left as f32, top as f32, across as f32, down as f32);
        snapshot.append_texture(texture, &area);
        snapshot.restore();
    }
}
