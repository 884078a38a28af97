//! A paintable whose content comes from a worker, later.

use std::cell::RefCell;

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib, graphene, gsk};

glib::wrapper! {
    /// A paintable of a fixed size: empty, then a worker's result, or a sign that there is none.
    ///
    /// Its size never changes, so that nothing around it moves when the result comes; a result of another
    /// shape is centred in it.
    pub struct Promised(ObjectSubclass<imp::Promised>) @implements gdk::Paintable;
}

/// What there is to show.
#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Kept(gdk::Paintable),
    Failed(String),
}

impl Promised {
    /// Makes an empty one, of this size in pixels of the application.
    pub fn new(width: i32, height: i32) -> Self {
        let promised: Self = glib::Object::new();
        promised.imp().size.set((width, height));
        promised
    }

    /// Shows the result.
    pub fn keep(&self, result: &impl IsA<gdk::Paintable>) {
        self.become_(State::Kept(result.clone().upcast()));
    }

    /// Shows that there is none; [`Promised::error`] says why.
    pub fn fail(&self, why: impl std::fmt::Display) {
        self.become_(State::Failed(why.to_string()));
    }

    /// Why there is no result; None while it may come and when it has.
    pub fn error(&self) -> Option<String> {
        match &*self.imp().state.borrow() {
            State::Failed(why) => Some(why.clone()),
            _ => None,
        }
    }

    fn become_(&self, state: State) {
        // What was shown before is let go outside of the borrow.
        drop(self.imp().state.replace(state));
        self.invalidate_contents();
    }
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Promised {
        pub(super) size: std::cell::Cell<(i32, i32)>,
        pub(super) state: RefCell<State>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Promised {
        const NAME: &'static str = "TinePromised";
        type Type = super::Promised;
        type Interfaces = (gdk::Paintable,);
    }

    impl ObjectImpl for Promised {}

    impl PaintableImpl for Promised {
        fn flags(&self) -> gdk::PaintableFlags {
            gdk::PaintableFlags::STATIC_SIZE
        }

        fn intrinsic_width(&self) -> i32 {
            self.size.get().0
        }

        fn intrinsic_height(&self) -> i32 {
            self.size.get().1
        }

        fn snapshot(&self, snapshot: &gdk::Snapshot, width: f64, height: f64) {
            let Some(snapshot) = snapshot.downcast_ref::<gtk4::Snapshot>() else { return };
            match &*self.state.borrow() {
                State::Waiting => (),
                State::Kept(result) => centred(snapshot, result, width, height),
                State::Failed(_) => crossed_out(snapshot, width as f32, height as f32),
            }
        }
    }
}

fn centred(snapshot: &gtk4::Snapshot, result: &gdk::Paintable, width: f64, height: f64) {
    let (w, h) = result.compute_concrete_size(0.0, 0.0, width, height);
    let scale = (width / w).min(height / h);
    let (w, h) = (w * scale, h * scale);
    let at = graphene::Point::new(((width - w) / 2.0) as f32, ((height - h) / 2.0) as f32);
    snapshot.save();
    snapshot.translate(&at);
    result.snapshot(snapshot, w, h);
    snapshot.restore();
}

/// A faint box with a bar through it: a sign that depends on no icon theme.
fn crossed_out(snapshot: &gtk4::Snapshot, width: f32, height: f32) {
    let faint = gdk::RGBA::new(0.5, 0.5, 0.5, 0.25);
    let strong = gdk::RGBA::new(0.8, 0.2, 0.2, 0.9);
    snapshot.append_color(&faint, &graphene::Rect::new(0.0, 0.0, width, height));
    let side = width.min(height) / 3.0;
    let bar = graphene::Rect::new(-side / 2.0, -side / 12.0, side, side / 6.0);
    snapshot.save();
    snapshot.translate(&graphene::Point::new(width / 2.0, height / 2.0));
    for angle in [45.0, -45.0] {
        snapshot.save();
        snapshot.rotate(angle);
        let rounded = gsk::RoundedRect::from_rect(bar, side / 12.0);
        snapshot.push_rounded_clip(&rounded);
        snapshot.append_color(&strong, &bar);
        snapshot.pop();
        snapshot.restore();
    }
    snapshot.restore();
}
