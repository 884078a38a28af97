//! What other programs do with a file: open it, or show where it lies. Inside of a sandbox they are out of sight,
//! and the desktop's portal asks for them.

use super::*;
use gtk4::gdk;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::environment;
use crate::files::open_picture;

/// So many files at most are shown at once: a message over D-Bus has no room for a million.
const SHOWN: usize = 1000;

impl Window {
    /// Asks with which program to open the file.
    pub(super) fn open_with(&self) {
        let Some(file) = self.chosen_files(1).pop() else { return };
        if is_sandboxed() {
            return self.ask_portal("OpenFile", file, "Not opened");
        }
        let flags = gtk4::DialogFlags::MODAL | gtk4::DialogFlags::DESTROY_WITH_PARENT;
        let dialog = gtk4::AppChooserDialog::new(Some(self), flags, &file);
        let this = self.downgrade();
        dialog.connect_response(move |dialog, response| {
            if let (gtk4::ResponseType::Ok, Some(app), Some(this)) =
                (response, dialog.app_info(), this.upgrade())
                && let Err(error) =
                    app.launch(std::slice::from_ref(&file), Some(&this.launch_context()))
            {
                this.say(&format!("Not opened: {error}"));
            }
            dialog.destroy();
        });
        dialog.show();
    }

    fn launch_context(&self) -> gdk::AppLaunchContext {
        let context = WidgetExt::display(self).app_launch_context();
        environment::keep_from(&context);
        context
    }

    /// Has the file manager show the files, over D-Bus as all of them understand it.
    pub(super) fn show_in_files(&self) {
        let files = self.chosen_files(SHOWN);
        let Some(first) = files.first() else { return };
        if is_sandboxed() {
            return self.ask_portal("OpenDirectory", first.clone(), "No file manager answers");
        }
        let uris: Vec<_> = files.iter().map(|file| file.uri().to_string()).collect();
        let this = self.clone();
        glib::spawn_future_local(async move {
            if let Err(error) = show_items(&uris).await {
                this.say(&format!("No file manager answers: {error}"));
            }
        });
    }

    fn ask_portal(&self, method: &'static str, file: gio::File, trouble: &'static str) {
        let this = self.clone();
        glib::spawn_future_local(async move {
            let Some(path) = file.path() else { return };
            let opened = gio::spawn_blocking(move || open_picture(&path)).await;
            let asked = match opened.unwrap_or_else(|_| Err("it cannot be opened".into())) {
                Ok(file) => open_uri(method, file).await.map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            if let Err(why) = asked {
                this.say(&format!("{trouble}: {why}"));
            }
        });
    }
}

/// Whether other programs can be reached by the portal only; said as GTK itself understands it.
fn is_sandboxed() -> bool {
    Path::new("/.flatpak-info").exists()
        || std::env::var_os("GTK_USE_PORTAL").is_some_and(|value| value == "1")
}

async fn show_items(uris: &[String]) -> Result<(), glib::Error> {
    const NAME: &str = "org.freedesktop.FileManager1";
    let bus = gio::bus_get_future(gio::BusType::Session).await?;
    let parameters = (uris, "").to_variant();
    let (path, flags) = ("/org/freedesktop/FileManager1", gio::DBusCallFlags::NONE);
    bus.call_future(Some(NAME), path, NAME, "ShowItems", Some(&parameters), None, flags, -1)
        .await
        .map(drop)
}

/// Calls a method of the portal `org.freedesktop.portal.OpenURI` that takes a file.
async fn open_uri(method: &str, file: OwnedFd) -> Result<(), glib::Error> {
    const NAME: &str = "org.freedesktop.portal.Desktop";
    const INTERFACE: &str = "org.freedesktop.portal.OpenURI";
    let bus = gio::bus_get_future(gio::BusType::Session).await?;
    let descriptors = gio::UnixFDList::new();
    let handle = glib::variant::Handle(descriptors.append(file)?);
    // Which program, is what the person is asked.
    let options = HashMap::from([("ask", true.to_variant())]);
    let parameters = ("", handle, options).to_variant();
    let (path, flags) = ("/org/freedesktop/portal/desktop", gio::DBusCallFlags::NONE);
    bus.call_with_unix_fd_list_future(
        Some(NAME),
        path,
        INTERFACE,
        method,
        Some(&parameters),
        None,
        flags,
        -1,
        Some(&descriptors),
    )
    .await
    .map(drop)
}
