//! Nothing but pictures: fullscreen, with the header bar where the pointer asks for it, and slideshows.

use super::*;
use crate::accessible::set_label;

/// The header comes when the pointer is so near the upper edge, in logical pixels.
const EDGE: f64 = 8.0;

impl Window {
    pub(super) fn follow_fullscreen(&self) {
        self.connect_fullscreened_notify(|this| {
            let (imp, is_fullscreen) = (this.imp(), this.is_fullscreen());
            imp.header.set_visible(!is_fullscreen);
            let (icon, name) = match is_fullscreen {
                true => ("view-restore-symbolic", "Leave Fullscreen"),
                false => ("view-fullscreen-symbolic", "Fullscreen"),
            };
            imp.fullscreen.set_icon_name(icon);
            imp.fullscreen.set_tooltip_text(Some(name));
            set_label(&*imp.fullscreen, name);
        });
        let motion = gtk4::EventControllerMotion::new();
        motion.set_propagation_phase(gtk4::PropagationPhase::Capture);
        motion.connect_motion(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, _, y| {
                let header = &this.imp().header;
                if this.is_fullscreen() {
                    let edge = if header.is_visible() { f64::from(header.height()) } else { EDGE };
                    header.set_visible(y <= edge);
                }
            }
        ));
        self.add_controller(motion);
    }

    pub(super) fn toggle_fullscreen(&self) {
        let fullscreen = !self.is_fullscreen();
        self.imp().fullscreen_for_picture.set(fullscreen && self.in_picture());
        self.set_fullscreened(fullscreen);
    }

    /// One step back: from the show to the picture, from fullscreen to the window, to the grid.
    pub(super) fn escape(&self) {
        let imp = self.imp();
        if imp.picture.stop_show() {
            return;
        }
        if self.is_fullscreen() {
            imp.fullscreen_for_picture.set(false);
            self.unfullscreen();
        } else if self.in_picture() {
            self.back();
        } else if imp.filter_bar.is_search_mode() {
            imp.filter_bar.set_search_mode(false);
        } else if let Some(selection) = imp.grid.selection() {
            selection.unselect_all();
        }
    }

    /// Shows one picture after the other, from the one that is selected on.
    pub(super) fn toggle_slideshow(&self) {
        let imp = self.imp();
        if imp.picture.stop_show() {
            return;
        }
        if !self.in_picture() {
            let Some(gallery) = self.gallery() else { return };
            let first = (imp.grid.cursor().unwrap_or(0)..gallery.list().n_items())
                .filter_map(|place| gallery.list().id(place))
                .find(|id| gallery.kind(*id) == crate::catalog::Kind::Picture);
            let Some(id) = first else { return };
            self.show_picture(id);
        }
        if !self.is_fullscreen() {
            self.toggle_fullscreen();
        }
        imp.picture.start_show();
    }
}
