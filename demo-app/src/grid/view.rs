//! What of the grid is in view, and how many columns it has.

use super::*;
use std::ops::Range;

/// Around a tile, in a cell of the grid, with its border: see `style.css`.
const PADDING: i32 = 4;

/// How many thumbnails of this size are in view in a window of that size, about.
pub fn fitting(side: i32, (width, height): (i32, i32)) -> u32 {
    let tile = Shape::new(side).width() + 2 * PADDING;
    let along = |length: i32| (length / tile).max(1) as u32;
    along(width) * along(height)
}

impl Grid {
    /// Keeps the gallery informed of what is in view.
    pub(super) fn follow_view(&self) {
        let adjustment = self.imp().scrolled.vadjustment();
        let tell = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_: &gtk4::Adjustment| this.tell_view()
        );
        adjustment.connect_value_changed(tell.clone());
        adjustment.connect_changed(tell);
        self.imp().scrolled.hadjustment().connect_changed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_| this.fit_columns()
        ));
    }

    /// Scrolls as far as it takes to see this place.
    pub(super) fn scroll_to(&self, place: u32) {
        let scroll =
            self.imp().view.activate_action("list.scroll-to-item", Some(&place.to_variant()));
        debug_assert!(scroll.is_ok(), "GtkGridView has the action since 4.0");
    }

    /// The grid makes widgets for so many columns, thirty rows of them: no more than fit.
    pub(super) fn fit_columns(&self) {
        let width = self.imp().scrolled.hadjustment().page_size() as i32;
        let columns = (width / (self.imp().shape.width() + 2 * PADDING)).max(1) as u32;
        let view = self.imp().view.get();
        if width > 0 && view.max_columns() != columns {
            // Not while sizes are being given out.
            let this = self.clone();
            glib::idle_add_local_once(move || {
                view.set_min_columns(1);
                view.set_max_columns(columns);
                view.set_min_columns(columns);
                this.tell_view();
            });
        }
    }

    pub(super) fn tell_view(&self) {
        let Some(gallery) = self.gallery() else { return };
        let in_view = self.in_view();
        let page = in_view.end - in_view.start;
        let near = in_view.start.saturating_sub(page)..in_view.end + page;
        gallery.set_view(in_view, near);
    }

    /// The places in view, all rows being equally high.
    pub(super) fn in_view(&self) -> Range<u32> {
        let adjustment = self.imp().scrolled.vadjustment();
        let count = self.gallery().map_or(0, |gallery| gallery.list().n_items());
        let columns = self.imp().view.max_columns();
        let rows = count.div_ceil(columns);
        let row = adjustment.upper() / f64::from(rows.max(1));
        if row <= 0.0 || adjustment.page_size() <= 0.0 {
            return 0..0;
        }
        let first = (adjustment.value() / row).floor() as u32;
        let last = ((adjustment.value() + adjustment.page_size()) / row).ceil() as u32;
        (first * columns).min(count)..last.saturating_mul(columns).min(count)
    }
}
