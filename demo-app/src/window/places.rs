//! Where the window is: folders and files are opened, entered, left and dropped.

use super::*;
use gtk4::gdk;
use std::path::{Path, PathBuf};
use tine_viewer::layout::Size;

use crate::ahead::arrangement;
use crate::gallery::Sizes;
use crate::listing::{Source, split};

/// What to show: found out beforehand, as a slow disk can take long to tell files from folders.
struct Place {
    /// The one file, which is shown before its folder is listed.
    at_once: Option<PathBuf>,
    sources: Vec<Source>,
    /// The folder, if it is one, by its own name.
    folder: Option<PathBuf>,
    /// What it is called if it is none.
    others: String,
}

impl Place {
    fn of(paths: &[PathBuf]) -> Self {
        let full = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.into());
        match paths {
            [file] if !file.is_dir() => {
                let (folder, name) = split(file);
                let (at_once, full) = (Some(file.clone()), Some(full(&folder)));
                let sources = vec![Source::Folder(folder, Some(name))];
                Self { at_once, sources, folder: full, others: String::new() }
            }
            _ => {
                let source = |path: &PathBuf| match path.is_dir() {
                    true => Source::Folder(path.clone(), None),
                    false => Source::File(path.clone()),
                };
                let folder = match paths {
                    [folder] => Some(full(folder)),
                    _ => None,
                };
                let sources: Vec<_> = paths.iter().map(source).collect();
                let are_files = sources.iter().all(|source| matches!(source, Source::File(_)));
                let what = if are_files { "files" } else { "places" };
                let others = format!("{} {what}", paths.len());
                Self { at_once: None, sources, folder, others }
            }
        }
    }

    /// In a word or two.
    fn name(&self) -> String {
        match &self.folder {
            Some(full) => full.file_name().unwrap_or(full.as_os_str()).to_string_lossy().into(),
            None => self.others.clone(),
        }
    }
}

impl Window {
    /// Shows these folders and files, which the program was started with; the one file alone at once, before
    /// its folder is listed. The gallery may have been made and opened before.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn open_ahead(&self, paths: &[PathBuf], ahead: Option<Gallery>) -> std::io::Result<()> {
        self.show_place(Place::of(paths), ahead)
    }

    fn show_place(&self, place: Place, ahead: Option<Gallery>) -> std::io::Result<()> {
        let imp = self.imp();
        imp.picture.clear();
        imp.trouble.take();
        let is_open = ahead.is_some();
        let gallery = match ahead {
            Some(gallery) => self.adopt(gallery),
            None => self.new_gallery()?,
        };
        imp.place.replace(place.name());
        imp.folder.replace(place.folder);
        let in_picture = place.at_once.is_some();
        if !is_open {
            gallery.open(place.at_once, place.sources)?;
        }
        self.set_gallery(&gallery);
        if in_picture {
            self.show_picture(0);
            return Ok(());
        }
        imp.stack.set_visible_child(&*imp.grid);
        imp.grid.grab_focus();
        if is_open {
            self.explain_emptiness();
        }
        Ok(())
    }

    fn new_gallery(&self) -> std::io::Result<Gallery> {
        let shared = self.shared();
        let sweep = shared.options.exit_when_idle;
        let measures = Rc::clone(self.measures());
        let gallery = Gallery::new(&shared.template, self.sizes(), sweep, measures)?;
        gallery.arrange(arrangement(&shared.settings.borrow()));
        Ok(gallery)
    }

    /// Takes over one that was made before there was a screen.
    fn adopt(&self, gallery: Gallery) -> Gallery {
        gallery.set_sizes(self.sizes());
        if gallery.tried() > gallery.failed() {
            self.measures().thumbnail_shown();
        }
        gallery
    }

    fn sizes(&self) -> Sizes {
        let (scale, screen) = monitors();
        Sizes { side: self.imp().grid.side() as u32 * scale, screen }
    }

    fn set_gallery(&self, gallery: &Gallery) {
        let imp = self.imp();
        imp.filter_bar.set_search_mode(false);
        imp.gallery.replace(Some(gallery.clone()));
        imp.grid.set_gallery(gallery);
        imp.picture.set_gallery(gallery);
        imp.signals.replace(Some(self.listen(gallery)));
        self.update_title();
        self.update_actions();
    }

    /// Shows a folder instead of this one.
    pub(super) fn enter(&self, folder: &Path) {
        self.go_to(vec![folder.into()], None);
    }

    /// Shows the folder that this one is in.
    pub(super) fn up(&self) {
        let folder = self.imp().folder.borrow().clone();
        if let Some(folder) = folder
            && let Some(parent) = folder.parent()
        {
            self.go_to(vec![parent.into()], Some(folder.clone()));
        }
    }

    /// Shows these instead, when it is known what they are; says so if it cannot. `came_from` is selected.
    fn go_to(&self, paths: Vec<PathBuf>, came_from: Option<PathBuf>) {
        let imp = self.imp();
        let number = imp.asked.get().wrapping_add(1);
        imp.asked.set(number);
        let this = self.downgrade();
        glib::spawn_future_local(async move {
            // A panic in there has said so.
            let place = gio::spawn_blocking(move || Place::of(&paths)).await;
            let (Ok(place), Some(this)) = (place, this.upgrade()) else { return };
            // Meanwhile another may have been asked for.
            if this.imp().asked.get() != number {
                return;
            }
            this.imp().came_from.replace(came_from);
            if let Err(error) = this.show_place(place, None) {
                this.say(&format!("Nothing can be opened: {error}"));
            }
        });
    }

    /// Asks for a folder, or for a picture.
    pub(super) fn ask_for(&self, what: gtk4::FileChooserAction) {
        let title = match what {
            gtk4::FileChooserAction::Open => "Open Picture",
            _ => "Open Folder",
        };
        let dialog = gtk4::FileChooserNative::new(Some(title), Some(self), what, None, None);
        dialog.set_modal(true);
        if what == gtk4::FileChooserAction::Open {
            offer_pictures(&dialog);
        }
        if let Some(folder) = &*self.imp().folder.borrow() {
            // Without it the dialog begins elsewhere.
            let _elsewhere = dialog.set_current_folder(Some(&gio::File::for_path(folder)));
        }
        let this = self.downgrade();
        // The dialog lives until it is answered: it is held by this closure, which is dropped then.
        let held = RefCell::new(Some(dialog.clone()));
        dialog.connect_response(move |dialog, response| {
            let path = dialog.file().and_then(|file| file.path());
            if let (gtk4::ResponseType::Accept, Some(path), Some(this)) =
                (response, path, this.upgrade())
            {
                this.go_to(vec![path], None);
            }
            held.take();
        });
        dialog.show();
    }

    pub(super) fn follow_drops(&self) {
        let drop = gtk4::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
        // A frame says that it would be taken.
        drop.connect_current_drop_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |drop| {
                let stack = &this.imp().stack;
                match drop.current_drop().is_some_and(|drop| drop.drag().is_none()) {
                    true => stack.add_css_class("dropping"),
                    false => stack.remove_css_class("dropping"),
                }
            }
        ));
        drop.connect_drop(glib::clone!(
            #[weak(rename_to = this)]
            self,
            #[upgrade_or]
            false,
            move |drop, files, _, _| {
                // What was dragged from here is here.
                let is_own = drop.current_drop().is_some_and(|drop| drop.drag().is_some());
                let files = files.get::<gdk::FileList>().map(|list| list.files());
                let paths: Vec<_> =
                    files.into_iter().flatten().filter_map(|file| file.path()).collect();
                if is_own || paths.is_empty() {
                    return false;
                }
                this.go_to(paths, None);
                true
            }
        ));
        self.add_controller(drop);
    }
}

/// Has a dialog list pictures only, unless all files are asked for.
fn offer_pictures(dialog: &gtk4::FileChooserNative) {
    let (pictures, all) = (gtk4::FileFilter::new(), gtk4::FileFilter::new());
    pictures.set_name(Some("Pictures"));
    pictures.add_mime_type("image/*");
    all.set_name(Some("All Files"));
    all.add_pattern("*");
    dialog.add_filter(&pictures);
    dialog.add_filter(&all);
}

/// The scale of the sharpest monitor, and what no window is larger than, in pixels.
fn monitors() -> (u32, Size) {
    let monitors = gdk::Display::default().map(|display| display.monitors());
    let monitors = monitors.iter().flat_map(|monitors| monitors.iter::<gdk::Monitor>().flatten());
    monitors.fold((1, Size::new(1, 1)), |(most, screen), monitor| {
        let (area, scale) = (monitor.geometry(), monitor.scale_factor());
        let (width, height) = (area.width() * scale, area.height() * scale);
        let screen = Size::new(screen.width.max(width as u32), screen.height.max(height as u32));
        (most.max(scale as u32), screen)
    })
}
