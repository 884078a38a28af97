//! Typing the beginning of a name goes to it.

use super::*;
use gtk4::gdk;
use std::time::Duration;

/// A pause of this length ends what is typed.
const PAUSE: Duration = Duration::from_millis(1500);

/// The latest search for what is typed, which a thread makes.
#[derive(Clone, Copy, Default)]
pub(super) struct Search {
    number: u32,
    under_way: bool,
    /// Enter was pressed meanwhile: it is meant for what is found.
    enters: bool,
}

impl Grid {
    pub(super) fn follow_typing(&self) {
        let keys = gtk4::EventControllerKey::new();
        keys.connect_key_pressed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |_, key, _, state| this.key_pressed(key, state)
        ));
        // Before the tile that has the keyboard, which Enter would open.
        keys.set_propagation_phase(gtk4::PropagationPhase::Capture);
        self.add_controller(keys);
    }

    fn key_pressed(&self, key: gdk::Key, state: gdk::ModifierType) -> glib::Propagation {
        use gdk::ModifierType as Modifier;
        let with_others = Modifier::CONTROL_MASK | Modifier::ALT_MASK | Modifier::SUPER_MASK;
        let search = self.imp().search.get();
        if search.under_way && matches!(key, gdk::Key::Return | gdk::Key::KP_Enter) {
            self.imp().search.set(Search { enters: true, ..search });
            return glib::Propagation::Stop;
        }
        // GTK 4.8 goes by pages from the tile that has the keyboard. When the folder was opened there was none yet, and
        // the grid has it.
        let by_page =
            [gdk::Key::Page_Up, gdk::Key::Page_Down, gdk::Key::KP_Page_Up, gdk::Key::KP_Page_Down];
        if by_page.contains(&key) && self.imp().view.is_focus() {
            self.focus_place(self.in_view().start);
        }
        let typed = self.imp().typed.label();
        match key.to_unicode().filter(|character| !character.is_control()) {
            // Space selects, unless it is in the middle of a name.
            Some(character)
                if !state.intersects(with_others) && (character != ' ' || !typed.is_empty()) =>
            {
                self.type_on(&format!("{typed}{character}"));
                glib::Propagation::Stop
            }
            _ => glib::Propagation::Proceed,
        }
    }

    fn type_on(&self, word: &str) {
        self.set_word(word);
        let this = self.downgrade();
        let end = glib::timeout_add_local_once(PAUSE, move || {
            if let Some(this) = this.upgrade() {
                // It has just run, and is gone.
                this.imp().word_ends.take();
                this.set_word("");
            }
        });
        if let Some(replaced) = self.imp().word_ends.replace(Some(end)) {
            replaced.remove();
        }
        let Some(gallery) = self.gallery() else { return };
        // One more letter may leave it where it is, the first one goes on.
        let cursor = self.cursor().map_or(0, |place| place + u32::from(word.chars().count() == 1));
        self.forget_search();
        let search = Search { under_way: true, ..self.imp().search.get() };
        let number = search.number;
        self.imp().search.set(search);
        let this = glib::SendWeakRef::from(self.downgrade());
        gallery.find(cursor, word, move |place| {
            this.upgrade().inspect(|this| this.found(number, place));
        });
    }

    /// Nothing of another folder's is looked for any more.
    pub(super) fn forget_search(&self) {
        let number = self.imp().search.get().number.wrapping_add(1);
        self.imp().search.set(Search { number, ..Search::default() });
    }

    fn found(&self, number: u32, place: Option<u32>) {
        let search = self.imp().search.get();
        if search.number != number {
            // More was typed, or another folder is shown.
            return;
        }
        self.imp().search.set(Search { under_way: false, enters: false, ..search });
        let Some(place) = place else { return };
        self.select(place);
        if search.enters {
            self.imp().view.emit_by_name::<()>("activate", &[&place]);
        }
    }

    fn set_word(&self, word: &str) {
        self.imp().typed.set_label(word);
        self.imp().typed.set_visible(!word.is_empty());
    }
}
