//! What there is to know about a file without looking into it.

use adw::prelude::*;
use gtk4::{gio, glib};
use std::path::Path;

use crate::window::Window;

/// Shows it.
pub fn show(window: &Window, path: &Path) {
    let file = adw::PreferencesGroup::builder().title("File").build();
    let page = adw::PreferencesPage::new();
    page.add(&file);
    let dialog = adw::PreferencesWindow::builder()
        .title("Properties")
        .transient_for(window)
        .search_enabled(false)
        .default_width(480)
        .default_height(560)
        .build();
    dialog.add(&page);
    dialog.present();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    add(&file, "Name", &name);
    let folder = path.parent().unwrap_or(path).to_string_lossy();
    add(&file, "Folder", &folder);
    add_inode(&file, path);
}

/// What the inode says; a slow disk holds nothing up.
fn add_inode(group: &adw::PreferencesGroup, path: &Path) {
    let (group, file) = (group.clone(), gio::File::for_path(path));
    glib::spawn_future_local(async move {
        let flags = gio::FileQueryInfoFlags::NONE;
        let asked =
            file.query_info_future("standard::*,time::modified", flags, glib::Priority::DEFAULT);
        match asked.await {
            Ok(info) => {
                if let Some(kind) = info.content_type() {
                    add(&group, "Type", &gio::content_type_get_description(&kind));
                }
                add(&group, "Size", &glib::format_size(info.size().unsigned_abs()));
                let changed = info.modification_date_time();
                let changed = changed.and_then(|time| time.to_local().ok()?.format("%c").ok());
                changed.inspect(|changed| add(&group, "Last Changed", changed));
            }
            Err(error) => add(&group, "Not Readable", error.message()),
        }
    });
}

fn add(group: &adw::PreferencesGroup, title: &str, value: &str) {
    let row = adw::ActionRow::builder().title(title).use_markup(false).build();
    let label = gtk4::Label::builder()
        .label(value)
        .selectable(true)
        .ellipsize(gtk4::pango::EllipsizeMode::Middle)
        .max_width_chars(36)
        .build();
    label.add_css_class("dim-label");
    row.add_suffix(&label);
    group.add(&row);
}
