//! What the window does with files: trash, with undo, and copy. None of it holds the window: GIO does it
//! in threads of its own.

use super::*;
use gtk4::gdk;
use std::path::PathBuf;

use crate::catalog::Kind;
use crate::id_set::IdSet;

impl Window {
    /// What an action is about: the picture in view, or what is selected.
    pub(super) fn chosen(&self) -> IdSet {
        let imp = self.imp();
        match self.in_picture() {
            true => IdSet::from_iter([imp.picture.id()]),
            false => imp.grid.selected(),
        }
    }

    pub(super) fn chosen_files(&self) -> Vec<gio::File> {
        let Some(gallery) = self.gallery() else { return Vec::new() };
        self.chosen().iter().map(|id| gio::File::for_path(gallery.path(id))).collect()
    }

    /// Puts the files into the clipboard, for file managers, and their names for text editors. The one in
    /// view goes there as a picture, too, unless the screen shows a reduced one.
    pub(super) fn copy(&self) {
        let files = self.chosen_files();
        if files.is_empty() {
            return;
        }
        let list = gdk::FileList::from_array(&files);
        let mut providers = vec![gdk::ContentProvider::for_value(&list.to_value())];
        if let Some(pixels) = self.imp().picture.pixels().filter(|_| self.in_picture()) {
            providers.push(gdk::ContentProvider::for_value(&pixels.to_value()));
        }
        let provider = gdk::ContentProvider::new_union(&providers);
        let message = match WidgetExt::display(self).clipboard().set_content(Some(&provider)) {
            Ok(()) if files.len() == 1 => "Copied".to_owned(),
            Ok(()) => format!("{} files copied", files.len()),
            Err(error) => format!("Not copied: {error}"),
        };
        self.say(&message);
    }

    /// Moves the pictures that are chosen to the trash. A button of the message undoes it, as long as that is there; a
    /// key undoes one after the other, as long as the window is there.
    ///
    /// A folder may have anything in it, also what is not shown here: it stays, whatever is chosen with it.
    pub(super) fn trash(&self) {
        let Some(gallery) = self.gallery() else { return };
        let all = self.chosen();
        let is_picture = |id: &u32| gallery.kind(*id) == Kind::Picture;
        let chosen: IdSet = all.iter().filter(is_picture).collect();
        if chosen.len() == 0 {
            if all.len() > 0 {
                self.say("Folders stay where they are");
            }
            return;
        }
        if self.in_picture() {
            self.leave_picture();
        }
        let this = self.clone();
        glib::spawn_future_local(async move {
            let (mut trashed, mut trouble) = (Vec::new(), None);
            for id in chosen.iter() {
                let path = gallery.path(id);
                match trash_picture(&gio::File::for_path(&path)).await {
                    Ok(()) => trashed.push((id, path)),
                    Err(error) => trouble = Some(error),
                }
            }
            gallery.remove(&trashed.iter().map(|trashed| trashed.0).collect());
            this.explain_emptiness();
            if let Some(error) = trouble {
                this.say(&format!("Not moved to the trash: {error}"));
            }
            if !trashed.is_empty() {
                this.offer_undo(&gallery, trashed);
            }
        });
    }

    /// Shows the next picture instead of the one that goes.
    fn leave_picture(&self) {
        let picture = &self.imp().picture;
        match picture.successor() {
            Some(id) => picture.show(id),
            None => self.back(),
        }
    }

    fn offer_undo(&self, gallery: &Gallery, trashed: Vec<(u32, PathBuf)>) {
        let message = match &*trashed {
            [(id, _)] => format!("“{}” moved to the trash", gallery.name(*id)),
            _ => format!("{} files moved to the trash", trashed.len()),
        };
        let toast = adw::Toast::builder().title(glib::markup_escape_text(&message));
        let toast = toast.button_label("_Undo").timeout(10).build();
        // With another folder in view its workers have gone, and must not be kept.
        let (this, gallery) = (self.downgrade(), gallery.downgrade());
        toast.connect_button_clicked(move |toast| {
            // Once is enough.
            if let Some(this) = this.upgrade()
                && this.takes_back(toast)
            {
                this.undo(gallery.upgrade(), &trashed);
            }
        });
        self.imp().undoable.borrow_mut().push(toast.clone());
        self.offer(toast);
    }

    /// Whether what this message says is still to be undone; from now on it is not.
    fn takes_back(&self, toast: &adw::Toast) -> bool {
        let mut undoable = self.imp().undoable.borrow_mut();
        let place = undoable.iter().position(|other| other == toast);
        place.map(|place| undoable.remove(place)).is_some()
    }

    /// Does what the button of the last message would do.
    pub(super) fn undo_last(&self) {
        let toast = self.imp().undoable.borrow().last().cloned();
        if let Some(toast) = toast {
            toast.emit_by_name::<()>("button-clicked", &[]);
            self.withdraw(&toast);
        }
    }

    /// A folder that is not in view any more shows them when it is opened again.
    fn undo(&self, gallery: Option<Gallery>, trashed: &[(u32, PathBuf)]) {
        let (this, trashed) = (self.clone(), trashed.to_vec());
        glib::spawn_future_local(async move {
            let paths = trashed.iter().map(|trashed| trashed.1.clone()).collect();
            let restored = crate::trash::restore(paths).await;
            let back = trashed.iter().filter(|trashed| restored.contains(&trashed.1));
            let back: IdSet = back.map(|trashed| trashed.0).collect();
            let lost = trashed.len() - back.len() as usize;
            gallery.inspect(|gallery| gallery.restore(&back));
            this.explain_emptiness();
            if lost > 0 {
                this.say(&format!("{lost} not found in the trash"));
            }
        });
    }
}

/// Moves a file to the trash, unless a folder has its name by now.
async fn trash_picture(file: &gio::File) -> Result<(), glib::Error> {
    let (flags, now) = (gio::FileQueryInfoFlags::NOFOLLOW_SYMLINKS, glib::Priority::DEFAULT);
    let about = file.query_info_future(gio::FILE_ATTRIBUTE_STANDARD_TYPE, flags, now).await?;
    if about.file_type() == gio::FileType::Directory {
        return Err(glib::Error::new(gio::IOErrorEnum::IsDirectory, "it is a folder by now"));
    }
    file.trash_future(now).await
}
