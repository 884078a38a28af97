//! What the window shows of a folder, and in which order.

use super::*;
use crate::arrange::{Arrangement, Sort};

impl Window {
    pub(super) fn follow_filter(&self) {
        let imp = self.imp();
        imp.filter_bar.connect_entry(&*imp.filter);
        imp.filter.connect_search_changed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |entry| this.rearrange(|arrangement| arrangement.filter = entry.text().into())
        ));
        imp.filter.connect_activate(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_| {
                this.imp().grid.grab_focus();
            }
        ));
        imp.filter_bar.connect_search_mode_enabled_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |bar| {
                if !bar.is_search_mode() {
                    this.imp().filter.set_text("");
                    this.rearrange(|arrangement| arrangement.filter.clear());
                    this.imp().grid.grab_focus();
                }
            }
        ));
        self.type_ahead_of_filter();
    }

    /// The entry has the keyboard as soon as it is asked for, but GTK 4.8 gives keys to what is mapped only, which
    /// an entry that is being revealed is from the next frame on. What is typed before is passed on here.
    fn type_ahead_of_filter(&self) {
        let keys = gtk4::EventControllerKey::new();
        keys.set_propagation_phase(gtk4::PropagationPhase::Capture);
        keys.connect_key_pressed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |keys, _, _, _| {
                let text = this.imp().filter.delegate().and_upcast::<gtk4::Widget>();
                let focus = gtk4::prelude::GtkWindowExt::focus(&this);
                let waits = |text: &gtk4::Widget| focus.as_ref() == Some(text) && !text.is_mapped();
                match text.filter(waits).is_some_and(|text| keys.forward(&text)) {
                    true => glib::Propagation::Stop,
                    false => glib::Propagation::Proceed,
                }
            }
        ));
        self.add_controller(keys);
    }

    pub(super) fn set_sort(&self, sort: Sort) {
        self.shared().settings.borrow_mut().sort = sort;
        self.rearrange(|arrangement| arrangement.sort = sort);
    }

    pub(super) fn set_reversed(&self, reversed: bool) {
        self.shared().settings.borrow_mut().reversed = reversed;
        self.rearrange(|arrangement| arrangement.reversed = reversed);
    }

    fn rearrange(&self, change: impl FnOnce(&mut Arrangement)) {
        let Some(gallery) = self.gallery() else { return };
        let mut arrangement = gallery.arrangement();
        change(&mut arrangement);
        gallery.arrange(arrangement);
    }
}
