//! Typing the beginning of a name goes to it.

use super::*;
use gtk4::gdk;
use std::time::Duration;

/// A pause of this length ends what is typed.
const PAUSE: Duration = Duration::from_millis(1500);

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
        self.add_controller(keys);
    }

    fn key_pressed(&self, key: gdk::Key, state: gdk::ModifierType) -> glib::Propagation {
        use gdk::ModifierType as Modifier;
        let with_others = Modifier::CONTROL_MASK | Modifier::ALT_MASK | Modifier::SUPER_MASK;
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
        let this = glib::SendWeakRef::from(self.downgrade());
        gallery.find(cursor, word, move |place| {
            if let (Some(this), Some(place)) = (this.upgrade(), place) {
                this.select(place);
            }
        });
    }

    fn set_word(&self, word: &str) {
        self.imp().typed.set_label(word);
        self.imp().typed.set_visible(!word.is_empty());
    }
}
