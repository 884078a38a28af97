//! What there is to know about a file: what its folder says, and what a worker finds in it.

use adw::prelude::*;
use gtk4::{gio, glib};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tine::{Template, rpc};
use tine_viewer::worker::{DESCRIBE, Facts, sandbox};

use crate::beside::beside;
use crate::catalog::{Catalog, Kind};
use crate::chosen::Chosen;
use crate::files::open_picture;
use crate::window::Window;

/// How long a worker may take to look into a file: as long as one that decodes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows it. The worker that looks into the file comes from `template`.
pub fn show(window: &Window, template: &Template, path: &Path, kind: Kind) {
    let file = adw::PreferencesGroup::builder().title("File").build();
    let page = adw::PreferencesPage::new();
    page.add(&file);
    beside(window, "Properties", (480, 560), &page).present();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    add(&file, "Name", &name);
    let folder = path.parent().unwrap_or(path).to_string_lossy();
    add(&file, "Folder", &folder);
    add_inode(&file, path);
    if kind == Kind::Picture {
        add_facts(&page, template, path);
    }
}

/// What there is to know about several files together.
#[derive(Default)]
struct Sum {
    folders: BTreeSet<PathBuf>,
    octets: u64,
    unreadable: usize,
}

impl Sum {
    fn add(mut self, path: &Path) -> Self {
        match path.metadata() {
            Ok(inode) if inode.is_file() => self.octets += inode.len(),
            Ok(_) => (),
            Err(_) => self.unreadable += 1,
        }
        let folder = path.parent().unwrap_or(path);
        if !self.folders.contains(folder) {
            self.folders.insert(folder.into());
        }
        self
    }
}

/// Shows it of these. There may be a million of them, or a slow disk: neither holds the window up.
pub fn show_several(window: &Window, catalog: Catalog, chosen: Chosen) {
    let files = adw::PreferencesGroup::builder().title("Files").build();
    let page = adw::PreferencesPage::new();
    page.add(&files);
    beside(window, "Properties", (480, 320), &page).present();
    add(&files, "Number", &chosen.len().to_string());
    glib::spawn_future_local(async move {
        let summing = gio::spawn_blocking(move || {
            chosen.iter().fold(Sum::default(), |sum, id| sum.add(&catalog.path(id)))
        });
        // A panic in there has said so.
        let Ok(Sum { folders, octets, unreadable }) = summing.await else { return };
        match (folders.len(), folders.first()) {
            (1, Some(folder)) => add(&files, "Folder", &folder.to_string_lossy()),
            (folders, _) => add(&files, "Folders", &folders.to_string()),
        }
        add(&files, "Size", &glib::format_size(octets));
        if unreadable > 0 {
            add(&files, "Not Readable", &format!("{unreadable} of them"));
        }
    });
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

/// What the file itself says.
fn add_facts(page: &adw::PreferencesPage, template: &Template, path: &Path) {
    let (page, template, path) = (page.clone(), template.clone(), path.to_owned());
    glib::spawn_future_local(async move {
        let picture = adw::PreferencesGroup::builder().title("Picture").build();
        page.add(&picture);
        match look_into(&template, &path).await {
            Ok(facts) => {
                let (width, height) = facts.size;
                let pixels = f64::from(width) * f64::from(height) / 1e6;
                add(&picture, "Width and Height", &format!("{width} × {height}"));
                add(&picture, "Million Pixels", &format!("{pixels:.1}"));
                let film = if facts.animated { ", with several frames" } else { "" };
                add(&picture, "Format", &format!("{}{film}", facts.format));
                if !facts.exif.is_empty() {
                    let taken = adw::PreferencesGroup::builder().title("Photograph").build();
                    page.add(&taken);
                    facts.exif.iter().for_each(|(title, value)| add(&taken, title, value));
                }
            }
            Err(why) => add(&picture, "Not Readable", &why),
        }
    });
}

async fn look_into(template: &Template, path: &Path) -> Result<Facts, String> {
    let path = path.to_owned();
    let opened = gio::spawn_blocking(move || open_picture(&path)).await;
    let file = opened.unwrap_or_else(|_| Err("it cannot be opened".into()))?;
    let worker = rpc::Client::<rpc::Fd, Facts>::run(template.fork().sandbox(&sandbox()), DESCRIBE);
    match glib::future_with_timeout(PATIENCE, worker.ask(&file.into())).await {
        Ok(facts) => facts.map_err(|error| error.to_string()),
        Err(_) => {
            // It does not hear that nobody waits any more. It may have ended by now.
            let _ended = worker.kill(rustix::process::Signal::KILL.as_raw());
            Err(format!("took longer than {} s", PATIENCE.as_secs()))
        }
    }
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
