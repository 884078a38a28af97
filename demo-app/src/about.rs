//! What the program is, and its keys.

use adw::prelude::*;

use crate::app::ID;
use crate::window::Window;

/// Shows who made it and what it is for.
pub fn show(window: &Window) {
    let about = adw::AboutWindow::builder()
        .transient_for(window)
        .application_name("Tine Viewer")
        .application_icon(ID)
        .developer_name("The tine developers")
        .version(env!("CARGO_PKG_VERSION"))
        .comments(
            "Looks through huge folders. Each picture is decoded by a worker that sees nothing but \
             that one file.",
        )
        .license_type(gtk4::License::MitX11)
        .build();
    about.present();
}

/// The window that lists the keys.
pub fn shortcuts() -> gtk4::ShortcutsWindow {
    let builder = gtk4::Builder::from_string(include_str!("shortcuts.ui"));
    builder.object("shortcuts").expect("shortcuts.ui has a window of this name")
}
