//! What keys and buttons do with one picture: on to the next, closer, further away.

use super::*;
use crate::zoom::STEP;

/// Arrow keys move a picture that is larger than the window by this, in logical pixels.
const PAN: f64 = 80.0;

/// What an action does.
#[derive(Clone, Copy, Debug)]
enum Move {
    By(i32),
    First,
    Last,
    /// Moves a picture that is larger than the window, else goes by so many pictures.
    Pan((f64, f64), i32),
    Scale(f64),
    Natural,
    Fit,
}

/// Actions and their keys.
pub fn install(class: &mut <imp::PictureView as ObjectSubclass>::Class) {
    use gdk::Key;
    let moves: [(&str, Move, &[Key]); 12] = [
        (
            "picture.next",
            Move::By(1),
            &[Key::space, Key::KP_Space, Key::Page_Down, Key::KP_Page_Down, Key::n],
        ),
        (
            "picture.previous",
            Move::By(-1),
            &[Key::BackSpace, Key::Page_Up, Key::KP_Page_Up, Key::p],
        ),
        ("picture.first", Move::First, &[Key::Home, Key::KP_Home]),
        ("picture.last", Move::Last, &[Key::End, Key::KP_End]),
        ("picture.right", Move::Pan((-PAN, 0.0), 1), &[Key::Right, Key::KP_Right]),
        ("picture.left", Move::Pan((PAN, 0.0), -1), &[Key::Left, Key::KP_Left]),
        ("picture.down", Move::Pan((0.0, -PAN), 1), &[Key::Down, Key::KP_Down]),
        ("picture.up", Move::Pan((0.0, PAN), -1), &[Key::Up, Key::KP_Up]),
        ("picture.zoom-in", Move::Scale(STEP), &[Key::plus, Key::equal, Key::KP_Add]),
        ("picture.zoom-out", Move::Scale(1.0 / STEP), &[Key::minus, Key::KP_Subtract]),
        ("picture.zoom-natural", Move::Natural, &[Key::_1, Key::KP_1]),
        ("picture.zoom-fit", Move::Fit, &[Key::_0, Key::KP_0]),
    ];
    for (action, to, keys) in moves {
        class.install_action(action, None, move |view, _, _| view.go(to));
        for key in keys {
            class.add_binding_action(*key, gdk::ModifierType::empty(), action);
            if action.contains("zoom") {
                class.add_binding_action(*key, gdk::ModifierType::CONTROL_MASK, action);
            }
        }
    }
    let (none, shift) = (gdk::ModifierType::empty(), gdk::ModifierType::SHIFT_MASK);
    class.install_action("picture.menu", None, |view, _, _| {
        view.show_menu((f64::from(view.width()) / 2.0, f64::from(view.height()) / 2.0));
    });
    class.add_binding_action(Key::Menu, none, "picture.menu");
    class.add_binding_action(Key::F10, shift, "picture.menu");
    class.add_binding_action(Key::Escape, none, "win.escape");
    for key in [Key::Return, Key::KP_Enter] {
        class.add_binding_action(key, none, "win.back");
    }
}

/// How many pictures further a step is that leads so far across the screen. What is read from right to left has the next
/// one to the left, as in the grid.
fn further(step: i32, across: f64, direction: gtk4::TextDirection) -> i32 {
    let is_mirrored = across != 0.0 && direction == gtk4::TextDirection::Rtl;
    if is_mirrored { -step } else { step }
}

impl PictureView {
    fn go(&self, to: Move) {
        let canvas = &self.imp().canvas;
        match to {
            Move::By(step) => self.show_if(self.beside(step)),
            Move::Pan(by, _) if canvas.zoom().is_larger_than_area() => canvas.pan(by),
            Move::Pan((across, _), step) => {
                self.show_if(self.beside(further(step, across, self.direction())));
            }
            Move::First => self.show_if(self.outermost(1)),
            Move::Last => self.show_if(self.outermost(-1)),
            Move::Scale(factor) => canvas.zoom_by(factor, None),
            Move::Natural => canvas.set_natural(None),
            Move::Fit => canvas.fit(),
        }
    }

    pub(super) fn show_if(&self, id: Option<u32>) {
        if let Some(id) = id.filter(|id| *id != self.id()) {
            self.show(id);
            // Who goes on by hand looks at each as long as at the others.
            if self.stop_show() {
                self.start_show();
            }
        }
    }

    /// The first picture, or going backwards the last.
    pub(super) fn outermost(&self, step: i32) -> Option<u32> {
        let gallery = self.gallery()?;
        let list = gallery.list();
        let is_picture = |id: &u32| gallery.kind(*id) == Kind::Picture;
        let mut ids = (0..list.n_items()).filter_map(|place| list.id(place)).filter(is_picture);
        if step > 0 { ids.next() } else { ids.next_back() }
    }

    /// The picture to show when this one goes.
    pub fn successor(&self) -> Option<u32> {
        self.beside(1).or_else(|| self.beside(-1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_where_it_is_in_the_grid() {
        use gtk4::TextDirection::{Ltr, Rtl};
        assert_eq!([Ltr, Rtl].map(|direction| further(1, -PAN, direction)), [1, -1]);
        assert_eq!([Ltr, Rtl].map(|direction| further(1, 0.0, direction)), [1, 1]);
    }
}
