//! Where the window is: folders and files are opened, entered, left and dropped.

use super::*;
use gtk4::gdk;
use std::path::{Path, PathBuf};
use tine_viewer::layout::Size;

use crate::ahead::arrangement;
use crate::gallery::Sizes;
use crate::listing::{Source, split};

impl Window {
    /// Shows these folders and files; the one file alone at once, before its folder is listed.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn open(&self, paths: &[PathBuf]) -> std::io::Result<()> {
        self.open_ahead(paths, None)
    }

    /// The same; the gallery may have been made and opened before.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open).
    pub fn open_ahead(&self, paths: &[PathBuf], ahead: Option<Gallery>) -> std::io::Result<()> {
        let imp = self.imp();
        imp.picture.clear();
        imp.trouble.take();
        let is_open = ahead.is_some();
        let gallery = match ahead {
            Some(gallery) => self.adopt(gallery),
            None => self.new_gallery()?,
        };
        match paths {
            [file] if !file.is_dir() => {
                let (folder, name) = split(file);
                self.set_place(Some(&folder), paths.len());
                gallery.open(Some(file.clone()), vec![Source::Folder(folder, Some(name))])?;
                self.set_gallery(&gallery);
                self.show_picture(0);
            }
            _ => {
                let source = |path: &PathBuf| match path.is_dir() {
                    true => Source::Folder(path.clone(), None),
                    false => Source::File(path.clone()),
                };
                let folder = match paths {
                    [folder] => Some(&**folder),
                    _ => None,
                };
                self.set_place(folder, paths.len());
                if !is_open {
                    gallery.open(None, paths.iter().map(source).collect())?;
                }
                self.set_gallery(&gallery);
                imp.stack.set_visible_child(&*imp.grid);
                imp.grid.grab_focus();
                if is_open {
                    self.explain_emptiness();
                }
            }
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

    fn set_place(&self, folder: Option<&Path>, count: usize) {
        let full = folder.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.into()));
        let name = match &full {
            Some(full) => full.file_name().unwrap_or(full.as_os_str()).to_string_lossy().into(),
            None => format!("{count} places"),
        };
        self.imp().place.replace(name);
        self.imp().folder.replace(full);
    }

    /// Shows a folder instead of this one.
    pub(super) fn enter(&self, folder: &Path) {
        self.open_or_say(&[folder.into()]);
    }

    /// Shows the folder that this one is in.
    pub(super) fn up(&self) {
        let folder = self.imp().folder.borrow().clone();
        if let Some(folder) = folder
            && let Some(parent) = folder.parent()
        {
            self.imp().came_from.replace(Some(folder.clone()));
            self.open_or_say(&[parent.into()]);
        }
    }

    pub(super) fn open_or_say(&self, paths: &[PathBuf]) {
        if let Err(error) = self.open(paths) {
            self.say(&format!("Nothing can be opened: {error}"));
        }
    }

    /// Asks for a folder, or for a picture.
    pub(super) fn ask_for(&self, what: gtk4::FileChooserAction) {
        let title = match what {
            gtk4::FileChooserAction::Open => "Open Picture",
            _ => "Open Folder",
        };
        let dialog = gtk4::FileChooserNative::new(Some(title), Some(self), what, None, None);
        dialog.set_modal(true);
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
                this.open_or_say(&[path]);
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
                this.open_or_say(&paths);
                true
            }
        ));
        self.add_controller(drop);
    }
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
