//! One picture of the grid: its thumbnail, or why it has none, above its name. It draws itself, so
//! that a grid of hundreds has hundreds of widgets and not thousands, and its size never changes.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, graphene, gsk, pango};
use std::cell::{Cell, RefCell};

use crate::accessible::set_label;

/// Width and height of the square that a thumbnail is fitted into, in logical pixels.
pub const SIDE: i32 = 160;
/// Between the square and the tile's edge, and between the square and the name.
const MARGIN: i32 = 8;
/// Width of a tile.
pub const WIDTH: i32 = SIDE + 2 * MARGIN;
/// Of the corners of what stands for a missing thumbnail.
const RADIUS: f32 = 8.0;
/// Of the icon of a tile without thumbnail.
const ICON: i32 = 32;
/// Lines that a reason may take.
const REASON_LINES: i32 = 4;

/// What a tile shows above the name.
#[derive(Debug, Clone, Default)]
pub enum Face {
    /// Nothing yet.
    #[default]
    Pending,
    /// The thumbnail.
    Texture(gdk::Texture),
    /// An icon and this reason why there is none.
    Failed(String),
}

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub struct Tile {
        pub id: Cell<Option<u32>>,
        pub face: RefCell<Face>,
        pub name: RefCell<Option<pango::Layout>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Tile {
        const NAME: &'static str = "TineTile";
        type Type = super::Tile;
        type ParentType = gtk4::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("tile");
            class.set_accessible_role(gtk4::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for Tile {}

    impl WidgetImpl for Tile {
        fn measure(&self, orientation: gtk4::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            let size = match orientation {
                gtk4::Orientation::Horizontal => WIDTH,
                _ => MARGIN + SIDE + MARGIN + self.obj().line_height() + MARGIN,
            };
            (size, size, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk4::Snapshot) {
            let tile = self.obj();
            // The grid may give more room than was asked for.
            let left = (tile.width() - SIDE) / 2;
            let square = graphene::Rect::new(left as f32, MARGIN as f32, SIDE as f32, SIDE as f32);
            match &*self.face.borrow() {
                Face::Pending => tile.draw_plate(snapshot, &square, 0.04),
                Face::Texture(texture) => tile.draw_texture(snapshot, &square, texture),
                Face::Failed(reason) => tile.draw_failure(snapshot, &square, reason),
            }
            if let Some(name) = &*self.name.borrow() {
                tile.draw_text(snapshot, name, left, MARGIN + SIDE + MARGIN, 0.8);
            }
        }
    }
}

glib::wrapper! {
    /// One picture of the grid.
    pub struct Tile(ObjectSubclass<imp::Tile>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl Default for Tile {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Tile {
    /// The picture that is shown.
    pub fn id(&self) -> Option<u32> {
        self.imp().id.get()
    }

    /// Shows this picture from now on.
    pub fn bind(&self, id: u32, name: &str) {
        self.imp().id.set(Some(id));
        self.imp().name.replace(Some(self.text(name, 1)));
        self.set_tooltip_text(Some(name));
        self.set_face(Face::Pending);
    }

    /// Shows nothing, and keeps nothing alive.
    pub fn unbind(&self) {
        self.imp().id.set(None);
        self.imp().name.replace(None);
        self.imp().face.replace(Face::Pending);
    }

    /// Shows this above the name.
    pub fn set_face(&self, face: Face) {
        let name = self.tooltip_text().unwrap_or_default();
        let label = match &face {
            Face::Failed(reason) => format!("{name}: {reason}"),
            _ => name.into(),
        };
        set_label(self, &label);
        self.imp().face.replace(face);
        self.queue_draw();
    }

    /// Whether there is nothing more to come.
    pub fn is_settled(&self) -> bool {
        !matches!(*self.imp().face.borrow(), Face::Pending)
    }

    /// Text in the middle of `SIDE`, of at most so many lines.
    fn text(&self, text: &str, lines: i32) -> pango::Layout {
        let layout = self.create_pango_layout(Some(text));
        layout.set_width(SIDE * pango::SCALE);
        layout.set_alignment(pango::Alignment::Center);
        layout.set_wrap(pango::WrapMode::WordChar);
        layout.set_ellipsize(if lines == 1 {
            pango::EllipsizeMode::Middle
        } else {
            pango::EllipsizeMode::End
        });
        // Negative: lines, not a height.
        layout.set_height(-lines);
        layout.set_single_paragraph_mode(true);
        layout
    }

    fn line_height(&self) -> i32 {
        let metrics = self.pango_context().metrics(None, None);
        (metrics.ascent() + metrics.descent() + pango::SCALE - 1) / pango::SCALE
    }

    /// The theme's text colour, made fainter.
    fn ink(&self, strength: f32) -> gdk::RGBA {
        let color = self.style_context().color();
        color.with_alpha(color.alpha() * strength)
    }

    /// What stands where a thumbnail is missing.
    fn draw_plate(&self, snapshot: &gtk4::Snapshot, square: &graphene::Rect, strength: f32) {
        snapshot.push_rounded_clip(&gsk::RoundedRect::from_rect(*square, RADIUS));
        snapshot.append_color(&self.ink(strength), square);
        snapshot.pop();
    }

    /// In the middle of the square, pixel for pixel.
    fn draw_texture(
        &self,
        snapshot: &gtk4::Snapshot,
        square: &graphene::Rect,
        texture: &gdk::Texture,
    ) {
        let scale = self.scale_factor() as f32;
        let (width, height) = (texture.width() as f32 / scale, texture.height() as f32 / scale);
        let on_pixel = |position: f32| (position * scale).floor() / scale;
        let x = on_pixel(square.x() + (square.width() - width) / 2.0);
        let y = on_pixel(square.y() + (square.height() - height) / 2.0);
        snapshot.append_texture(texture, &graphene::Rect::new(x, y, width, height));
    }

    fn draw_failure(&self, snapshot: &gtk4::Snapshot, square: &graphene::Rect, reason: &str) {
        self.draw_plate(snapshot, square, 0.06);
        let text = self.text(reason, REASON_LINES);
        let height = ICON + MARGIN + text.pixel_size().1;
        let (left, top) = (square.x() as i32, square.y() as i32 + (SIDE - height) / 2);
        self.draw_icon(snapshot, left + (SIDE - ICON) / 2, top);
        self.draw_text(snapshot, &text, left, top + ICON + MARGIN, 0.55);
    }

    fn draw_icon(&self, snapshot: &gtk4::Snapshot, x: i32, y: i32) {
        let icon = gtk4::IconTheme::for_display(&self.display()).lookup_icon(
            "image-missing-symbolic",
            &[],
            ICON,
            self.scale_factor(),
            self.direction(),
            gtk4::IconLookupFlags::FORCE_SYMBOLIC,
        );
        snapshot.save();
        snapshot.translate(&graphene::Point::new(x as f32, y as f32));
        icon.snapshot_symbolic(snapshot, ICON.into(), ICON.into(), &[self.ink(0.55)]);
        snapshot.restore();
    }

    fn draw_text(
        &self,
        snapshot: &gtk4::Snapshot,
        text: &pango::Layout,
        x: i32,
        y: i32,
        strength: f32,
    ) {
        snapshot.save();
        snapshot.translate(&graphene::Point::new(x as f32, y as f32));
        snapshot.append_layout(text, &self.ink(strength));
        snapshot.restore();
    }
}
