//! From folders to a list: names come, go and are arranged.

use super::imp::Gallery;
use super::*;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::{Chunk, Kind};
use crate::files::describe;
use crate::index::News;
use crate::listing::{Found, list, split};
use crate::monitor::{self, Monitor};
use crate::picture_list::PictureList;

/// So many files that are gone, or back, are seen to before anything else has its turn.
const PIECE: usize = 5000;

impl Gallery {
    /// Gives the file at once the id 0, and has the others listed.
    pub(super) fn list(
        &self,
        at_once: Option<PathBuf>,
        sources: Vec<Source>,
    ) -> std::io::Result<()> {
        self.reading.set(true);
        self.tell_listing();
        if let Some(file) = at_once {
            let (folder, name) = split(&file);
            self.add(Arc::new(Chunk::new(0, Kind::Picture, folder.into(), [name])));
        }
        self.watch(&sources);
        let reply = self.reply();
        list(&self.catalog.borrow(), sources, move |found| {
            reply(Box::new(move |gallery| gallery.found(found)))
        })
    }

    fn found(&self, found: Found) {
        match found {
            Found::Names(chunk) => self.add(chunk),
            Found::Unreadable(path, error) => {
                let (path, why) = (path.to_string_lossy(), describe(&error));
                self.obj().emit_by_name::<()>("unreadable", &[&path.as_ref(), &why]);
            }
            Found::Done => {
                self.reading.set(false);
                self.rearrange();
            }
        }
        self.pump();
    }

    fn add(&self, chunk: Arc<Chunk>) {
        let (ids, kind) = (chunk.ids(), chunk.kind());
        self.catalog.borrow_mut().push(chunk);
        let mut thumbnails = self.thumbnails.borrow_mut();
        thumbnails.grow(ids.end);
        if kind == Kind::Folder {
            self.folders.set(self.folders.get() + ids.len() as u32);
            ids.clone().for_each(|id| thumbnails.exclude(id));
        }
        drop(thumbnails);
        if self.reading.get() {
            self.obj().list().append(ids);
        }
        self.count();
    }

    /// Tells how many pictures there are.
    fn count(&self) {
        let all = self.catalog.borrow().len();
        let total = all - self.folders.get() - self.gone.borrow().len();
        if self.total.replace(total) != total {
            self.obj().notify_total();
        }
    }

    fn tell_listing(&self) {
        let listing =
            self.reading.get() || self.arranging.get() > 0 || !self.fates.borrow().is_empty();
        if self.listing.replace(listing) != listing {
            self.obj().notify_listing();
        }
    }

    /// Has all names looked through, unless they are still being read.
    pub(super) fn rearrange(&self) {
        if self.reading.get() {
            return;
        }
        self.arranging.set(self.arranging.get() + 1);
        self.tell_listing();
        let (reply, catalog) = (self.reply(), self.catalog.borrow());
        let (gone, arrangement) = (self.gone.borrow(), self.arrangement.borrow());
        self.tools().index.arrange(&catalog, &gone, &arrangement, move |order| {
            // Nobody is left to show it to: as good.
            let _gone = reply(Box::new(move |gallery| gallery.arranged(order)));
        });
    }

    /// Without an order another arrangement will come.
    fn arranged(&self, order: Option<Vec<u32>>) {
        self.arranging.set(self.arranging.get() - 1);
        if let Some(order) = order {
            let list = self.obj().list();
            if let Err(order) = list.rearrange(Arc::new(order)) {
                self.list.replace(PictureList::ordered(order));
                self.obj().notify_list();
            }
            self.thumbnails.borrow_mut().reordered();
        }
        self.tell_listing();
        self.pump();
    }

    /// Files are gone, or back. Few are seen to at once; of many a part, and the rest after what else there is to do.
    pub(super) fn set_gone(&self, ids: IdSet, are_gone: bool) {
        self.fates.borrow_mut().push_back((Rc::new(ids), are_gone));
        if self.fates.borrow().len() == 1 {
            self.see_to_fates();
        }
    }

    fn see_to_fates(&self) {
        let first = || self.fates.borrow().front().cloned();
        while let Some((ids, are_gone)) = first() {
            let seen_to = self.seen_to.get();
            self.call_off_where(|target| ids.contains(target.id()));
            ids.iter().skip(seen_to).take(PIECE).for_each(|id| self.see_to(id, are_gone));
            if seen_to + PIECE < ids.len() as usize {
                self.seen_to.set(seen_to + PIECE);
                self.tell_listing();
                let gallery = self.obj().downgrade();
                glib::idle_add_local_once(move || {
                    gallery.upgrade().inspect(|gallery| gallery.imp().see_to_fates());
                });
                return;
            }
            self.seen_to.set(0);
            self.fates.borrow_mut().pop_front();
            self.count();
            self.rearrange();
        }
        self.tell_listing();
    }

    fn see_to(&self, id: u32, is_gone: bool) {
        let is_folder = self.catalog.borrow().kind(id) == Kind::Folder;
        let mut gone = self.gone.borrow_mut();
        let changed = if is_gone { gone.insert(id) } else { gone.remove(id) };
        if changed && is_folder {
            let folders = self.folders.get();
            self.folders.set(if is_gone { folders - 1 } else { folders + 1 });
        } else if changed {
            let mut thumbnails = self.thumbnails.borrow_mut();
            if is_gone {
                thumbnails.exclude(id)
            } else {
                thumbnails.forget(id)
            }
            self.wholes.borrow_mut().forget(id);
        }
    }
}

// What happens to the folders meanwhile.
impl Gallery {
    fn watch(&self, sources: &[Source]) {
        for source in sources {
            let Source::Folder(folder, _) = source else { continue };
            let gallery = self.obj().downgrade();
            let look = move |folder: &Path, what| {
                if let Some(gallery) = gallery.upgrade() {
                    gallery.imp().look_at(folder, what);
                }
            };
            self.monitors.borrow_mut().push(Monitor::new(folder, look));
        }
    }

    /// Finds out what has become of these names, or of all.
    fn look_at(&self, folder: &Path, what: monitor::News) {
        let (reply, whose) = (self.reply(), folder.to_owned());
        let catalog = self.catalog.borrow();
        self.tools().index.look_at(&catalog, folder, what, move |news| {
            // As above.
            let _gone = reply(Box::new(move |gallery| {
                gallery.take_news(&whose, news);
                for monitor in &*gallery.monitors.borrow() {
                    monitor.looked_at(&whose);
                }
            }));
        });
    }

    fn take_news(&self, folder: &Path, news: News) {
        // Also one that is yet to be seen to.
        let will_be_gone = |id: u32| {
            self.fates.borrow().iter().any(|(ids, are_gone)| *are_gone && ids.contains(id))
        };
        let was_gone = |id: &u32| self.gone.borrow().contains(*id) || will_be_gone(*id);
        let (back, changed): (Vec<u32>, Vec<u32>) = news.there.into_iter().partition(was_gone);
        for id in changed {
            self.changed(id);
        }
        if let Some(why) = news.trouble {
            let path = folder.to_string_lossy();
            self.obj().emit_by_name::<()>("unreadable", &[&path.as_ref(), &why]);
        }
        let folder: Arc<Path> = folder.into();
        for (kind, names) in [(Kind::Folder, news.folders), (Kind::Picture, news.pictures)] {
            if !names.is_empty() {
                let first = self.catalog.borrow().len();
                self.add(Arc::new(Chunk::new(first, kind, Arc::clone(&folder), names)));
            }
        }
        self.set_gone(news.gone.into_iter().collect(), true);
        self.set_gone(back.iter().copied().collect(), false);
        // One that is looked at may be another picture now.
        back.iter().for_each(|id| self.obj().emit_by_name::<()>("changed", &[&id]));
    }

    fn changed(&self, id: u32) {
        if self.catalog.borrow().kind(id) == Kind::Picture {
            self.call_off_where(|target| target.id() == id);
            self.thumbnails.borrow_mut().forget(id);
            self.wholes.borrow_mut().forget(id);
            self.obj().emit_by_name::<()>("changed", &[&id]);
        }
    }
}
