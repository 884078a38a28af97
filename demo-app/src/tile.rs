//! One picture of the grid: its thumbnail, or why it has none, above its name. It draws itself, so
//! that a grid of hundreds has hundreds of widgets and not thousands, and its size never changes.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, graphene, gsk, pango};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use crate::accessible::set_label;

/// Between the square and the tile's edge, and between the square and the name.
const MARGIN: i32 = 8;
/// Of the corners of what stands for a missing thumbnail.
const RADIUS: f32 = 8.0;
/// Of the icon of a tile without thumbnail.
const ICON: i32 = 32;
/// Of the icon of a folder, as a part of the square.
const FOLDER: f32 = 0.6;
/// Lines that a reason may take.
const REASON_LINES: i32 = 4;

/// The measures of all tiles of a grid.
#[derive(Debug, Default)]
pub struct Shape {
    /// Width and height of the square that a thumbnail is fitted into, in logical pixels.
    side: Cell<i32>,
    /// Height of the name; 0 until it is known.
    line: Cell<i32>,
}

impl Shape {
    /// Tiles for thumbnails of this size.
    pub fn new(side: i32) -> Rc<Self> {
        Rc::new(Self { side: Cell::new(side), line: Cell::new(0) })
    }

    /// Width and height of the square that a thumbnail is fitted into, in logical pixels.
    pub fn side(&self) -> i32 {
        self.side.get()
    }

    /// Sets what [`side`](Self::side) gives; the tiles have to be told to measure anew.
    pub fn set_side(&self, side: i32) {
        self.side.set(side);
    }

    /// Width of a tile.
    pub fn width(&self) -> i32 {
        self.side() + 2 * MARGIN
    }

    /// The font may have changed.
    pub fn forget_font(&self) {
        self.line.set(0);
    }

    /// Height of a tile. All have the same font: one of them is asked.
    fn height(&self, tile: &gtk4::Widget) -> i32 {
        if self.line.get() == 0 {
            let metrics = tile.pango_context().metrics(None, None);
            let height = metrics.ascent() + metrics.descent();
            self.line.set((height + pango::SCALE - 1) / pango::SCALE);
        }
        MARGIN + self.side() + MARGIN + self.line.get() + MARGIN
    }
}

/// What a tile shows above the name.
#[derive(Debug, Clone, Default)]
pub enum Face {
    /// Nothing yet.
    #[default]
    Pending,
    /// An icon.
    Folder,
    /// The thumbnail.
    Texture(gdk::Texture),
    /// An icon and this reason why there is none.
    Failed(String),
}

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub struct Tile {
        pub shape: OnceCell<Rc<Shape>>,
        pub id: Cell<Option<u32>>,
        pub face: RefCell<Face>,
        pub name: RefCell<String>,
        /// The name as it is drawn; made when it is. Most tiles of a grid are never in view.
        pub text: RefCell<Option<pango::Layout>>,
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

    impl ObjectImpl for Tile {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_has_tooltip(true);
        }
    }

    impl WidgetImpl for Tile {
        fn measure(&self, orientation: gtk4::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            let shape = self.obj().shape();
            let size = match orientation {
                gtk4::Orientation::Horizontal => shape.width(),
                _ => shape.height(self.obj().upcast_ref()),
            };
            (size, size, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk4::Snapshot) {
            let tile = self.obj();
            let side = tile.shape().side();
            // The grid may give more room than was asked for.
            let left = (tile.width() - side) / 2;
            let square = graphene::Rect::new(left as f32, MARGIN as f32, side as f32, side as f32);
            match &*self.face.borrow() {
                Face::Pending => tile.draw_plate(snapshot, &square, 0.04),
                Face::Folder => tile.draw_folder(snapshot, &square),
                Face::Texture(texture) => tile.draw_texture(snapshot, &square, texture),
                Face::Failed(reason) => tile.draw_failure(snapshot, &square, reason),
            }
            let mut text = self.text.borrow_mut();
            let text = text.get_or_insert_with(|| tile.text(&self.name.borrow(), 1));
            tile.draw_text(snapshot, text, left, MARGIN + side + MARGIN, 0.8);
        }

        fn root(&self) {
            self.parent_root();
            if self.id.get().is_some() {
                self.obj().tell_label();
            }
        }

        fn query_tooltip(&self, _x: i32, _y: i32, _keys: bool, tooltip: &gtk4::Tooltip) -> bool {
            tooltip.set_text(Some(&self.obj().label()));
            true
        }
    }
}

glib::wrapper! {
    /// One picture of the grid.
    pub struct Tile(ObjectSubclass<imp::Tile>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl Tile {
    /// A tile with nothing to show.
    pub fn new(shape: &Rc<Shape>) -> Self {
        let tile: Self = glib::Object::new();
        // It was made a line above: nothing is set yet.
        let _unset = tile.imp().shape.set(Rc::clone(shape));
        tile
    }

    fn shape(&self) -> Rc<Shape> {
        self.imp().shape.get().cloned().unwrap_or_default()
    }

    /// The picture that is shown.
    pub fn id(&self) -> Option<u32> {
        self.imp().id.get()
    }

    /// Shows this picture from now on.
    pub fn bind(&self, id: u32, name: String) {
        self.imp().id.set(Some(id));
        self.imp().name.replace(name);
        self.imp().text.replace(None);
        self.set_face(Face::Pending);
    }

    /// Shows nothing, and keeps nothing alive.
    pub fn unbind(&self) {
        self.imp().id.set(None);
        self.imp().text.replace(None);
        self.imp().face.replace(Face::Pending);
    }

    /// Shows this above the name.
    pub fn set_face(&self, face: Face) {
        let before = self.imp().face.replace(face);
        // Its name is told when it is bound, and when it turns out to be a failure.
        if !matches!(before, Face::Pending)
            || !matches!(*self.imp().face.borrow(), Face::Texture(_))
        {
            self.tell_label();
        }
        // The reason is in it.
        if matches!(*self.imp().face.borrow(), Face::Failed(_)) {
            self.trigger_tooltip_query();
        }
        self.queue_draw();
    }

    /// Tells assistive tools what it is called: itself, and the list's own cell around it, which has the
    /// keyboard and is what is read aloud.
    fn tell_label(&self) {
        let label = self.label();
        set_label(self, &label);
        // From GTK 4.12 on, a cell is filled before it is anybody's: the first reference to it is then the only
        // one, and it would go with ours. In a window it is the list's.
        if self.root().is_some()
            && let Some(cell) = self.parent()
        {
            set_label(&cell, &label);
        }
    }

    /// The name, and why there is no picture.
    fn label(&self) -> String {
        let name = self.imp().name.borrow();
        match &*self.imp().face.borrow() {
            Face::Failed(reason) => format!("{name}: {reason}"),
            Face::Folder => format!("{name}, folder"),
            Face::Pending | Face::Texture(_) => name.clone(),
        }
    }

    /// What is shown above the name.
    pub fn face(&self) -> Face {
        self.imp().face.borrow().clone()
    }

    /// Its measures are others now.
    pub fn shape_changed(&self) {
        self.imp().text.replace(None);
        self.queue_resize();
    }

    /// Whether there is nothing more to come.
    pub fn is_settled(&self) -> bool {
        !matches!(*self.imp().face.borrow(), Face::Pending)
    }

    /// Text in the middle of the square, of at most so many lines.
    fn text(&self, text: &str, lines: i32) -> pango::Layout {
        let layout = self.create_pango_layout(Some(text));
        layout.set_width(self.shape().side() * pango::SCALE);
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

    /// In the middle of the square, pixel for pixel; if it was made for another size, fitted into it.
    fn draw_texture(
        &self,
        snapshot: &gtk4::Snapshot,
        square: &graphene::Rect,
        texture: &gdk::Texture,
    ) {
        let scale = self.scale_factor() as f32;
        let (width, height) = (texture.width() as f32 / scale, texture.height() as f32 / scale);
        let fit = (square.width() / width.max(height)).min(1.0);
        let (width, height) = (width * fit, height * fit);
        let on_pixel = |position: f32| (position * scale).floor() / scale;
        let x = on_pixel(square.x() + (square.width() - width) / 2.0);
        let y = on_pixel(square.y() + (square.height() - height) / 2.0);
        snapshot.append_texture(texture, &graphene::Rect::new(x, y, width, height));
    }

    fn draw_folder(&self, snapshot: &gtk4::Snapshot, square: &graphene::Rect) {
        let side = square.width() * FOLDER;
        let (x, y) = (square.x() + (square.width() - side) / 2.0, square.y());
        self.draw_icon(snapshot, "folder", x, y + (square.height() - side) / 2.0, side);
    }

    fn draw_failure(&self, snapshot: &gtk4::Snapshot, square: &graphene::Rect, reason: &str) {
        self.draw_plate(snapshot, square, 0.06);
        let text = self.text(reason, REASON_LINES);
        let height = ICON + MARGIN + text.pixel_size().1;
        let side = square.width() as i32;
        let (left, top) = (square.x() as i32, square.y() as i32 + (side - height) / 2);
        let (x, y) = (left + (side - ICON) / 2, top);
        self.draw_icon(snapshot, "image-missing-symbolic", x as f32, y as f32, ICON as f32);
        self.draw_text(snapshot, &text, left, top + ICON + MARGIN, 0.75);
    }

    fn draw_icon(&self, snapshot: &gtk4::Snapshot, name: &str, x: f32, y: f32, side: f32) {
        let icon = gtk4::IconTheme::for_display(&self.display()).lookup_icon(
            name,
            &[],
            side as i32,
            self.scale_factor(),
            self.direction(),
            gtk4::IconLookupFlags::empty(),
        );
        snapshot.save();
        snapshot.translate(&graphene::Point::new(x, y));
        icon.snapshot_symbolic(snapshot, side.into(), side.into(), &[self.ink(0.55)]);
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
