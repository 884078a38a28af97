//! What the window does with files: trash, with undo, and copy. None of it holds the window: it is done in threads of
//! GIO's.

use super::*;
use gtk4::gdk;

use crate::carried;
use crate::catalog::{Catalog, Kind};
use crate::chosen::Chosen;
use crate::id_set::IdSet;

/// To move more than so many files to the trash takes a while.
const SOME: u32 = 1000;

impl Window {
    /// What an action is about: the picture in view, or what is selected.
    pub(super) fn chosen(&self) -> Chosen {
        let imp = self.imp();
        match self.in_picture() {
            true => Chosen::one(imp.picture.id()),
            false => imp.grid.selected(),
        }
    }

    /// The first of them, at most so many.
    pub(super) fn chosen_files(&self, most: usize) -> Vec<gio::File> {
        let Some(gallery) = self.gallery() else { return Vec::new() };
        let ids = self.chosen();
        ids.iter().take(most).map(|id| gio::File::for_path(gallery.path(id))).collect()
    }

    /// Puts the files into the clipboard, for file managers, and their names for text editors. The one in
    /// view goes there as a picture, too, unless the screen shows a reduced one.
    pub(super) fn copy(&self) {
        let (Some(gallery), chosen) = (self.gallery(), self.chosen()) else { return };
        let count = chosen.len();
        if count == 0 {
            return;
        }
        let mut providers = vec![carried::provider(gallery.catalog(), chosen)];
        if let Some(pixels) = self.imp().picture.pixels().filter(|_| self.in_picture()) {
            providers.push(gdk::ContentProvider::for_value(&pixels.to_value()));
        }
        let provider = gdk::ContentProvider::new_union(&providers);
        let message = match WidgetExt::display(self).clipboard().set_content(Some(&provider)) {
            Ok(()) if count == 1 => "Copied".to_owned(),
            Ok(()) => format!("{count} files copied"),
            Err(error) => format!("Not copied: {error}"),
        };
        self.say(&message);
    }

    /// Moves the pictures that are chosen to the trash. A button of the message undoes it, as long as that is there; a
    /// key undoes one after the other, as long as the window is there.
    ///
    /// A folder may have anything in it, also what is not shown here: it stays, whatever is chosen with it.
    pub(super) fn trash(&self) {
        let (Some(gallery), chosen) = (self.gallery(), self.chosen()) else { return };
        if chosen.len() == 0 {
            return;
        }
        let left = self.in_picture().then(|| self.leave_picture());
        if chosen.len() > SOME {
            self.say(&format!("Moving {} files to the trash…", chosen.len()));
        }
        let (this, catalog) = (self.clone(), gallery.catalog());
        glib::spawn_future_local(async move {
            let moving = gio::spawn_blocking(move || Trashed::of(catalog, &chosen));
            // A panic in there has said so.
            let Ok((trashed, trouble)) = moving.await else { return };
            gallery.remove(trashed.ids.clone());
            this.explain_emptiness();
            match trouble {
                Some(Trouble::Folders) if trashed.ids.len() == 0 => {
                    this.say("Folders stay where they are");
                }
                Some(Trouble::Error(error)) => {
                    // Behind the file's name, which says nothing new and leaves no room for the reason.
                    let why = error.message().rsplit(": ").next().unwrap_or_default();
                    this.say(&format!("Not moved to the trash: {why}"));
                    left.inspect(|left| this.return_to(&gallery, *left));
                }
                Some(Trouble::Folders) | None => (),
            }
            if trashed.ids.len() > 0 {
                this.offer_undo(&gallery, trashed);
            }
        });
    }

    /// Shows the next picture instead of the one that goes; gives both.
    fn leave_picture(&self) -> (u32, Option<u32>) {
        let picture = &self.imp().picture;
        let (id, next) = (picture.id(), picture.successor());
        match next {
            Some(next) => picture.show(next),
            None => self.back(),
        }
        (id, next)
    }

    /// Shows the picture that has not gone, unless somebody has gone on meanwhile.
    fn return_to(&self, gallery: &Gallery, (id, next): (u32, Option<u32>)) {
        let picture = &self.imp().picture;
        let is_next = self.in_picture() && Some(picture.id()) == next;
        if is_next && self.gallery().as_ref() == Some(gallery) {
            picture.show(id);
        }
    }

    fn offer_undo(&self, gallery: &Gallery, trashed: Trashed) {
        let message = match (trashed.ids.len(), trashed.ids.iter().next()) {
            (1, Some(id)) => format!("“{}” moved to the trash", gallery.name(id)),
            (count, _) => format!("{count} files moved to the trash"),
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
    fn undo(&self, gallery: Option<Gallery>, trashed: &Trashed) {
        let (this, Trashed { catalog, ids }) = (self.clone(), trashed.clone());
        let count = ids.len();
        glib::spawn_future_local(async move {
            let back = crate::trash::restore(catalog, ids).await;
            let lost = count - back.len();
            gallery.inspect(|gallery| gallery.restore(back));
            this.explain_emptiness();
            if lost > 0 {
                this.say(&format!("{lost} not put back from the trash"));
            }
        });
    }
}

/// Files that were moved to the trash: by their names, as there may be a million of them.
#[derive(Clone)]
struct Trashed {
    catalog: Catalog,
    ids: IdSet,
}

/// Why some were not.
enum Trouble {
    /// These are none that are moved there.
    Folders,
    /// The last thing that went wrong.
    Error(glib::Error),
}

impl Trashed {
    /// Moves these there. It can take long.
    fn of(catalog: Catalog, chosen: &Chosen) -> (Self, Option<Trouble>) {
        let (mut ids, mut trouble) = (IdSet::default(), None);
        for id in chosen.iter() {
            if catalog.kind(id) != Kind::Picture {
                trouble = trouble.or(Some(Trouble::Folders));
                continue;
            }
            match trash_picture(&gio::File::for_path(catalog.path(id))) {
                Ok(()) => ids.extend([id]),
                Err(error) => trouble = Some(Trouble::Error(error)),
            }
        }
        (Self { catalog, ids }, trouble)
    }
}

/// Moves a file to the trash, unless a folder has its name by now.
fn trash_picture(file: &gio::File) -> Result<(), glib::Error> {
    let (flags, never) = (gio::FileQueryInfoFlags::NOFOLLOW_SYMLINKS, gio::Cancellable::NONE);
    let about = file.query_info(gio::FILE_ATTRIBUTE_STANDARD_TYPE, flags, never)?;
    if about.file_type() == gio::FileType::Directory {
        return Err(glib::Error::new(gio::IOErrorEnum::IsDirectory, "it is a folder by now"));
    }
    file.trash(never)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_folder_by_now_stays() {
        let folder = tempfile::tempdir().unwrap();
        let error = trash_picture(&gio::File::for_path(folder.path())).unwrap_err();
        assert_eq!(error.message(), "it is a folder by now");
        assert!(folder.path().exists());
    }
}
