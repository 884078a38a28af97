//! The picture itself: drawn at a scale, turned, and moved about.

use fast_image_resize::Resizer;
use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, graphene};
use std::cell::{Cell, RefCell};
use tine_viewer::layout::Size;

use crate::level::Level;
use crate::seen::View;
use crate::texture::is_by_processor;
use crate::wholes::Detail;
use crate::zoom::{NATURAL, Pair, Zoom};

/// What was drawn last, where the processor draws.
#[derive(Default)]
struct Seen {
    resizer: Resizer,
    /// The octets of its level, the part of it, and that as it is drawn.
    last: Option<(glib::Bytes, View, gdk::Texture)>,
}

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Canvas)]
    pub struct Canvas {
        /// As much of the picture as there is, the smallest first.
        pub levels: RefCell<Vec<Level>>,
        /// The picture's size, in its own pixels.
        pub original: Cell<(u32, u32)>,
        /// Quarter turns to the right.
        pub turns: Cell<u32>,
        pub zoom: Cell<Zoom>,
        pub(super) seen: RefCell<Seen>,
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
            if let Some(level) = self.obj().level() {
                self.obj().draw(snapshot, &level);
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
        self.imp().seen.borrow_mut().last = None;
        self.imp().turns.set(0);
        self.imp().original.set(size);
        self.fit_anew();
    }

    /// The picture turns out to be of this size, which may not be what it was thought to be.
    pub fn correct_original(&self, original: Size) {
        let size = (original.width, original.height);
        if self.imp().original.replace(size) != size {
            let turned = self.turned_size();
            self.with_zoom(|zoom| zoom.correct_picture(turned));
        }
    }

    /// Adds the picture as it is when reduced to the level's size.
    pub fn add_level(&self, level: Level) {
        let mut levels = self.imp().levels.borrow_mut();
        levels.retain(|other| other.width() != level.width());
        levels.push(level);
        levels.sort_by_key(Level::width);
        drop(levels);
        self.queue_draw();
    }

    /// Shows the next frame of a film instead of all there was.
    pub fn set_frame(&self, frame: gdk::Texture) {
        self.imp().levels.replace(vec![frame.into()]);
        self.queue_draw();
    }

    /// All of the picture's pixels, if they are there.
    pub fn pixels(&self) -> Option<gdk::Texture> {
        let levels = self.imp().levels.borrow();
        let original = self.imp().original.get();
        let largest = levels.last().filter(|level| (level.width(), level.height()) == original);
        largest.map(|level| level.whole().clone())
    }

    /// What to load, if there are less pixels than the screen could show at this scale.
    pub fn lacks(&self) -> Option<Detail> {
        let original = self.imp().original.get();
        let most = self.imp().levels.borrow().last().map_or(0, Level::width);
        lacking(original, most, self.scale())
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
        self.with_zoom(|zoom| zoom.set_scale(NATURAL, at));
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
        let turned = self.turned_size();
        self.with_zoom(|zoom| zoom.set_picture(turned));
    }

    /// The picture's size as it is turned, in logical pixels when each of its own is one of the screen.
    fn turned_size(&self) -> Pair {
        let (width, height) = self.imp().original.get();
        let (width, height) = match self.imp().turns.get() % 2 {
            0 => (width, height),
            _ => (height, width),
        };
        let logical = |pixels: u32| f64::from(pixels) / f64::from(self.scale_factor());
        (logical(width), logical(height))
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
    fn level(&self) -> Option<Level> {
        let shown = f64::from(self.imp().original.get().0) * self.scale();
        let levels = self.imp().levels.borrow();
        let enough = levels.iter().find(|level| f64::from(level.width()) >= shown.floor());
        enough.or(levels.last()).cloned()
    }

    fn draw(&self, snapshot: &gtk4::Snapshot, level: &Level) {
        let zoom = self.zoom();
        let ((x, y), (width, height)) = (zoom.corner(), zoom.size());
        let middle = (x + width / 2.0, y + height / 2.0);
        let turns = self.imp().turns.get();
        let (across, down) =
            if turns.is_multiple_of(2) { (width, height) } else { (height, width) };
        let [horizontal, vertical] = Axis::of(turns, middle, self.scale_factor());
        let place = |part: &graphene::Rect| {
            let (left, right) =
                horizontal.place(part.x(), part.width(), across / f64::from(level.width()), across);
            let (top, bottom) =
                vertical.place(part.y(), part.height(), down / f64::from(level.height()), down);
            graphene::Rect::new(left, top, right - left, bottom - top)
        };
        let size = (f64::from(self.width()), f64::from(self.height()));
        let ((left, right), (top, bottom)) = (horizontal.visible(size), vertical.visible(size));
        let visible = graphene::Rect::new(left, top, right - left, bottom - top);
        snapshot.save();
        snapshot.translate(&graphene::Point::new(middle.0 as f32, middle.1 as f32));
        snapshot.rotate(90.0 * turns as f32);
        match self.seen(level, &place(&level.area()), &visible) {
            Some((seen, at)) => snapshot.append_texture(&seen, &at),
            None => level.draw(snapshot, &visible, place),
        }
        snapshot.restore();
    }

    /// What is visible of a level that fills `area`, where the processor draws.
    fn seen(
        &self,
        level: &Level,
        area: &graphene::Rect,
        visible: &graphene::Rect,
    ) -> Option<(gdk::Texture, graphene::Rect)> {
        let (octets, layout) = level.pixels().filter(|_| is_by_processor())?;
        let (view, at) = View::of(layout.size, area, visible, self.scale_factor().into())?;
        let mut seen = self.imp().seen.borrow_mut();
        let Seen { resizer, last } = &mut *seen;
        // What moves above it does not change it.
        let last =
            match last.take().filter(|last| last.0.as_ptr() == octets.as_ptr() && last.1 == view) {
                Some(last) => last,
                None => (octets.clone(), view, view.draw(resizer, octets, layout)?),
            };
        let texture = last.2.clone();
        seen.last = Some(last);
        Some((texture, at))
    }
}

/// What to load of a picture of which there are `most` pixels in a row. Each detail is at least twice as fine
/// as the one before: of a large picture there is something to see soon, and it is never reduced so much
/// when it is drawn that it flickers.
fn lacking((width, height): (u32, u32), most: u32, scale: f64) -> Option<Detail> {
    let shown = f64::from(width) * scale;
    if shown.round() <= f64::from(most) || most >= width {
        return None;
    }
    let side = width.max(height);
    // The cast saturates.
    let needed = (f64::from(side) * scale).ceil() as u32;
    match needed.checked_next_power_of_two().filter(|power| *power < side) {
        Some(power) => Some(Detail::Within(power.ilog2() as u8)),
        None => Some(Detail::Full),
    }
}

/// Where one of the picture's own directions leads on the canvas when the picture is turned about its
/// middle.
#[derive(Clone, Copy, Debug)]
struct Axis {
    /// It leads across the canvas, not down.
    is_across: bool,
    /// With the canvas' direction, or against it.
    sign: f64,
    /// The picture's middle on the canvas.
    middle: f64,
    /// Pixels of the screen in a logical one.
    scale: f64,
}

impl Axis {
    /// The picture's right and its down, turned so many quarters to the right.
    fn of(turns: u32, middle: Pair, scale: i32) -> [Self; 2] {
        let axis = |quarters: u32| {
            let is_across = quarters.is_multiple_of(2);
            Self {
                is_across,
                sign: if (quarters % 4) < 2 { 1.0 } else { -1.0 },
                middle: if is_across { middle.0 } else { middle.1 },
                scale: scale.into(),
            }
        };
        [axis(turns), axis(turns + 1)]
    }

    /// Where a part of the picture begins and ends, from its middle on. On whole pixels of the screen, or
    /// what fits exactly is blurred, and there are seams between parts.
    fn place(&self, start: f32, length: f32, scale: f64, side: f64) -> (f32, f32) {
        let on_pixel = |at: f64| {
            let from_middle = at * scale - side / 2.0;
            let on_canvas = self.middle + self.sign * from_middle;
            let on_canvas = (on_canvas * self.scale).round() / self.scale;
            (self.sign * (on_canvas - self.middle)) as f32
        };
        (on_pixel(start.into()), on_pixel(f64::from(start) + f64::from(length)))
    }

    /// What the canvas shows, from the picture's middle on.
    fn visible(&self, canvas: Pair) -> (f32, f32) {
        let side = if self.is_across { canvas.0 } else { canvas.1 };
        let (one, other) = (self.sign * -self.middle, self.sign * (side - self.middle));
        (one.min(other) as f32, one.max(other) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_loaded_than_can_be_seen() {
        let size = (12_000, 8_000);
        assert_eq!(lacking(size, 1_440, 0.12), None);
        assert_eq!(lacking(size, 1_440, 0.15), Some(Detail::Within(11)));
        assert_eq!(lacking(size, 2_048, 0.3), Some(Detail::Within(12)));
        assert_eq!(lacking(size, 4_096, 0.7), Some(Detail::Full));
        assert_eq!(lacking(size, 4_096, 20.0), Some(Detail::Full));
        assert_eq!(lacking(size, 12_000, 20.0), None);
        assert_eq!(lacking((100, 4_000), 40, 0.5), Some(Detail::Within(11)));
    }

    #[test]
    fn a_turned_picture_lies_on_whole_pixels_and_within_what_is_seen() {
        let (canvas, middle) = ((300.0, 200.0), (150.3, 100.3));
        for turns in 0..4 {
            let [across, down] = Axis::of(turns, middle, 2);
            assert_eq!(across.is_across, turns % 2 == 0);
            assert_ne!(across.is_across, down.is_across);
            for axis in [across, down] {
                let (start, end) = axis.place(0.0, 10.0, 5.0, 100.0);
                let (next, _) = axis.place(10.0, 10.0, 5.0, 100.0);
                assert_eq!(end, next, "no seam");
                for at in [start, end] {
                    let on_canvas = 2.0 * (axis.middle + axis.sign * f64::from(at));
                    assert!((on_canvas - on_canvas.round()).abs() < 1e-4, "{on_canvas}");
                }
                let (from, to) = axis.visible(canvas);
                assert!(from < 0.0 && to > 0.0 && (to - from == 300.0 || to - from == 200.0));
            }
        }
    }
}
