//! What the pointer does with one picture.

use super::*;
use crate::zoom::STEP;

/// How long the controls stay when the pointer rests.
const REST: Duration = Duration::from_secs(2);

impl PictureView {
    pub(super) fn follow_pointer(&self) {
        self.follow_wheel();
        self.follow_drag();
        self.follow_pinch();
        self.follow_motion();
        let click = gtk4::GestureClick::new();
        click.connect_pressed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, presses, x, y| {
                this.grab_focus();
                if presses == 2 {
                    this.double_clicked(x, y);
                }
            }
        ));
        self.imp().canvas.add_controller(click);
        self.follow_menu();
    }

    fn follow_menu(&self) {
        let click = gtk4::GestureClick::builder().button(gdk::BUTTON_SECONDARY).build();
        click.connect_pressed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, _, x, y| this.show_menu((x, y))
        ));
        self.add_controller(click);
    }

    pub(super) fn show_menu(&self, at: (f64, f64)) {
        self.imp().menu.open(self, &self.imp().context, at);
    }

    fn double_clicked(&self, x: f64, y: f64) {
        let canvas = &self.imp().canvas;
        match canvas.zoom().is_fitted() {
            true => canvas.set_natural(Some((x, y))),
            false => canvas.fit(),
        }
    }

    fn follow_wheel(&self) {
        let scroll = gtk4::EventControllerScroll::new(gtk4::EventControllerScrollFlags::BOTH_AXES);
        scroll.connect_scroll(glib::clone!(
            #[weak(rename_to = this)]
            self,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |scroll, dx, dy| {
                this.scrolled(scroll, dx, dy);
                glib::Propagation::Stop
            }
        ));
        self.imp().canvas.add_controller(scroll);
    }

    /// With Ctrl the picture grows at the pointer; else it is moved, or makes way for the next.
    fn scrolled(&self, scroll: &gtk4::EventControllerScroll, dx: f64, dy: f64) {
        let canvas = &self.imp().canvas;
        if scroll.current_event_state().contains(gdk::ModifierType::CONTROL_MASK) {
            let at = self.imp().pointer.get();
            let at = at.and_then(|(x, y)| self.translate_coordinates(&**canvas, x, y));
            canvas.zoom_by(STEP.powf(-dy), at);
        } else if canvas.zoom().is_larger_than_area() {
            canvas.pan((-dx * 40.0, -dy * 40.0));
        } else {
            let steps = self.imp().scrolled.get() + dx + dy;
            self.imp().scrolled.set(steps.fract());
            if steps.abs() >= 1.0 {
                self.show_if(self.beside(steps.signum() as i32));
            }
        }
    }

    fn follow_drag(&self) {
        let drag = gtk4::GestureDrag::new();
        let from = std::rc::Rc::new(Cell::new((0.0, 0.0)));
        let begun = std::rc::Rc::clone(&from);
        drag.connect_drag_begin(move |_, _, _| begun.set((0.0, 0.0)));
        drag.connect_drag_update(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, x, y| {
                let (before_x, before_y) = from.replace((x, y));
                this.imp().canvas.pan((x - before_x, y - before_y));
            }
        ));
        self.imp().canvas.add_controller(drag);
    }

    fn follow_pinch(&self) {
        let pinch = gtk4::GestureZoom::new();
        let last = std::rc::Rc::new(Cell::new(1.0));
        let begun = std::rc::Rc::clone(&last);
        pinch.connect_begin(move |_, _| begun.set(1.0));
        pinch.connect_scale_changed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |pinch, scale| {
                let factor = scale / last.replace(scale);
                this.imp().canvas.zoom_by(factor, pinch.bounding_box_center());
            }
        ));
        self.imp().canvas.add_controller(pinch);
    }

    /// The controls are there while the pointer moves, and while it is on them.
    fn follow_motion(&self) {
        let motion = gtk4::EventControllerMotion::new();
        let this = self.downgrade();
        motion.connect_enter(move |_, x, y| {
            this.upgrade().inspect(|this| this.imp().pointer.set(Some((x, y))));
        });
        let this = self.downgrade();
        motion.connect_leave(move |_| {
            this.upgrade().inspect(|this| this.imp().pointer.set(None));
        });
        motion.connect_motion(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, x, y| {
                // A picture that changes under a resting pointer is told as a motion, too.
                if this.imp().pointer.replace(Some((x, y))) != Some((x, y)) {
                    this.reveal(true);
                }
            }
        ));
        self.add_controller(motion);
    }

    fn reveal(&self, revealed: bool) {
        let imp = self.imp();
        for control in [&imp.previous, &imp.next, &imp.controls] {
            control.set_reveal_child(revealed);
        }
        self.set_cursor(None);
        let rest = revealed.then(|| {
            let this = self.downgrade();
            glib::timeout_add_local_once(REST, move || {
                if let Some(this) = this.upgrade() {
                    // It has just run, and is gone.
                    this.imp().rest.take();
                    this.reveal(false);
                    this.hide_pointer();
                }
            })
        });
        if let Some(replaced) = imp.rest.replace(rest) {
            replaced.remove();
        }
    }

    /// Fullscreen there is nothing but the picture.
    fn hide_pointer(&self) {
        let window = self.root().and_downcast::<gtk4::Window>();
        if window.is_some_and(|window| window.is_fullscreen()) {
            self.set_cursor_from_name(Some("none"));
        }
    }
}
