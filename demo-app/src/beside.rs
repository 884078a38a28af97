//! Windows beside the one with the pictures, which can be used meanwhile: properties, workers.

use adw::prelude::*;

use crate::window::Window;

/// A window that goes with the one it belongs to, and closes by the same key.
pub fn beside(
    window: &Window,
    title: &str,
    (width, height): (i32, i32),
    page: &adw::PreferencesPage,
) -> adw::PreferencesWindow {
    let beside = adw::PreferencesWindow::builder()
        .title(title)
        .transient_for(window)
        .destroy_with_parent(true)
        .modal(false)
        .search_enabled(false)
        .default_width(width)
        .default_height(height)
        .build();
    beside.add(page);
    let keys = gtk4::ShortcutController::new();
    let trigger = gtk4::ShortcutTrigger::parse_string("<Control>w");
    let action = gtk4::NamedAction::new("window.close");
    keys.add_shortcut(gtk4::Shortcut::new(trigger, Some(action)));
    beside.add_controller(keys);
    beside
}
