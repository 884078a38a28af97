//! From names to pictures: each goes by way of an open file and a worker to a texture.

use super::imp::Gallery;
use super::under_way::{Entry, Target};
use super::*;
use std::collections::HashSet;
use tine::Shared;
use tine_viewer::message::{Drawing, Failure, Request, Want};

use crate::cache::{Class, Errand};
use crate::files::open_picture;
use crate::texture::{level, texture};

/// Files that are being opened at a time: each may keep a thread waiting, and those that are wanted more
/// wait behind.
const OPENING: usize = 8;
/// Thumbnails in view, and as many near, that are under way at a time: each has a file open.
const LINE: usize = 64;
/// Of those that are wanted some time: no more than keeps the workers busy, for others come first.
const REST: usize = 16;
/// More than a window shows. While a huge list is laid out anew, all of it can be in view for a moment, and to
/// look at that would take longer than a frame.
const SEEN: usize = 1024;

// From names to jobs.
impl Gallery {
    /// Asks for as many pictures as may be under way.
    pub(super) fn pump(&self) {
        while self.opening.get() < OPENING {
            match self.next_target() {
                Some((target, urgency)) => self.open_file(target, urgency, false),
                None => break,
            }
        }
        self.tell_progress();
    }

    /// What to do next: the whole picture that somebody waits for and its neighbours, then what is in
    /// view, then what is near, then the rest.
    fn next_target(&self) -> Option<(Target, Urgency)> {
        let whole = self.wholes.borrow_mut().next();
        if let Some(key) = whole {
            let urgency = self.wholes.borrow().urgency(key).unwrap_or(Urgency::Ahead);
            return Some((Target::Whole(key), urgency));
        }
        let under_way = self.under_way.borrow();
        let has_room = |urgency, most| under_way.count(urgency) < most;
        let list = self.list.borrow();
        let (in_view, near) = self.view.borrow().clone();
        let ids = |places: Range<u32>| places.map_while(|place| list.id(place));
        let mut thumbnails = self.thumbnails.borrow_mut();
        if has_room(Urgency::InView, LINE)
            && let Some(id) = thumbnails.next(ids(in_view), [])
        {
            return Some((Target::Thumbnail(id), Urgency::InView));
        }
        if has_room(Urgency::Near, LINE)
            && let Some(id) = thumbnails.next([], ids(near))
        {
            return Some((Target::Thumbnail(id), Urgency::Near));
        }
        let sweep = self.sweep.get() && !self.listing.get();
        if sweep
            && has_room(Urgency::Rest, REST)
            && let Some(id) = thumbnails.next_untried(|place| list.id(place))
        {
            return Some((Target::Thumbnail(id), Urgency::Rest));
        }
        let in_view = self.view.borrow().0.clone();
        // What comes into view finds a worker that is not held up.
        let workers = self.tools().workers;
        let most = if sweep { workers } else { workers - 1 };
        if !under_way.is_free_but_for(Urgency::Last) || !has_room(Urgency::Last, most) {
            return None;
        }
        let id = thumbnails.next_put_off(ids(in_view), sweep)?;
        Some((Target::Thumbnail(id), Urgency::Last))
    }

    /// With `anew` a thumbnail is made of the picture, whatever the cache has.
    fn open_file(&self, target: Target, urgency: Urgency, anew: bool) {
        self.opening.set(self.opening.get() + 1);
        let number = self.under_way.borrow_mut().begin(target, urgency);
        let path = self.catalog.borrow().path(target.id());
        let cache = self.tools().cache.clone();
        let class = match target {
            Target::Thumbnail(_) => Class::covering(self.sizes.get().side),
            Target::Whole(_) => None,
        };
        let reply = self.reply();
        self.tools().files.run(move || {
            let errand = open_picture(&path).and_then(|file| match class {
                Some(class) => cache.errand(&path, file, class, anew),
                None => Ok(Errand::plain(file)),
            });
            // Nobody is left who wants it: as good.
            let _gone = reply(Box::new(move |gallery| gallery.opened(target, number, errand)));
        });
    }

    /// The view is another one: what is in it comes first, and what is not is called off, or comes last
    /// if it is to be made in the end. A thumbnail that a worker has begun will soon be there, and is kept.
    pub(super) fn weigh(&self) {
        let list = self.list.borrow();
        let (in_view, near) = self.view.borrow().clone();
        let ids = |places: Range<u32>| -> HashSet<u32> {
            places.map_while(|place| list.id(place)).take(SEEN).collect()
        };
        let (in_view, near) = (ids(in_view), ids(near));
        let mut rest = if self.sweep.get() { REST } else { 0 };
        let wholes = self.wholes.borrow();
        let weigh = |target, entry: &Entry| match target {
            Target::Whole(key) => wholes.urgency(key),
            Target::Thumbnail(id) if entry.urgency == Urgency::Last => {
                (self.sweep.get() || in_view.contains(&id)).then_some(Urgency::Last)
            }
            Target::Thumbnail(id) if in_view.contains(&id) => Some(Urgency::InView),
            Target::Thumbnail(id) if near.contains(&id) => Some(Urgency::Near),
            Target::Thumbnail(_) if entry.is_begun() => Some(Urgency::Rest),
            Target::Thumbnail(_) => {
                let is_kept = rest > 0;
                rest -= usize::from(is_kept);
                is_kept.then_some(Urgency::Rest)
            }
        };
        let (changed, unwanted) = self.under_way.borrow_mut().weigh(weigh);
        drop(wholes);
        self.tools().decoders.reorder(changed);
        unwanted.into_iter().for_each(|target| self.call_off(target));
    }

    /// Stops the making of something. It may be asked for again.
    pub(super) fn call_off(&self, target: Target) {
        let Some(entry) = self.under_way.borrow_mut().call_off(target) else { return };
        match target {
            Target::Thumbnail(id) if entry.urgency == Urgency::Last => {
                self.thumbnails.borrow_mut().put_off(id);
            }
            Target::Thumbnail(id) => self.thumbnails.borrow_mut().hand_back(id),
            Target::Whole(key) => self.wholes.borrow_mut().hand_back(key),
        }
    }

    /// Stops the making of all that these are about: it would be out of date.
    pub(super) fn call_off_where(&self, is_meant: impl Fn(Target) -> bool) {
        let targets = self.under_way.borrow().targets();
        targets.into_iter().filter(|target| is_meant(*target)).for_each(|t| self.call_off(t));
    }
}

// From jobs to pictures.
impl Gallery {
    fn opened(&self, target: Target, number: u64, errand: Result<Errand, String>) {
        self.opening.set(self.opening.get() - 1);
        match errand {
            Ok(errand) => {
                if let Some(entry) = self.under_way.borrow_mut().get(target, number) {
                    self.submit(target, entry, errand);
                }
            }
            Err(reason) => self.answered(target, number, Err(Failure::passing(reason))),
        }
        self.pump();
    }

    /// Puts it in the workers' line.
    fn submit(&self, target: Target, entry: &mut Entry, errand: Errand) {
        let Errand { file, is_cached, keep } = errand;
        let thumbnail = keep.as_ref().map_or(0, |(_, class)| class.side());
        (entry.is_cached, entry.keep) = (is_cached, keep);
        let want = Want { size: self.size(target), thumbnail };
        let (gallery, number) = (self.obj().downgrade(), entry.number);
        let done = move |pid: Option<u32>, result| {
            if let Some(gallery) = gallery.upgrade() {
                gallery.imp().worker_answered(pid);
                match result {
                    Some(result) => gallery.imp().answered(target, number, result),
                    None => gallery.imp().put_off(target, number),
                }
                gallery.imp().pump();
            }
        };
        let request = Request { file: file.into(), want };
        entry.job = Some(self.tools().decoders.submit(request, entry.urgency, done));
    }

    /// What it is to fit into.
    fn size(&self, target: Target) -> Size {
        let Sizes { side, screen } = self.sizes.get();
        match target {
            Target::Thumbnail(_) => Size::new(side, side),
            Target::Whole((_, Detail::Screen)) => screen,
            Target::Whole((_, Detail::Within(power))) => Size::new(1 << power, 1 << power),
            Target::Whole((_, Detail::Full)) => Size::UNBOUNDED,
        }
    }

    fn worker_answered(&self, pid: Option<u32>) {
        // It is known from now on, whatever becomes of the workers.
        let _known = self.tools().decoders.posture();
        pid.into_iter().for_each(|pid| self.tools().measures.worker_answered(pid));
    }

    /// It takes so long that others come first.
    fn put_off(&self, target: Target, number: u64) {
        if self.under_way.borrow_mut().end(target, number).is_some() {
            self.thumbnails.borrow_mut().put_off(target.id());
        }
    }

    fn answered(&self, target: Target, number: u64, result: Result<Drawing<Shared>, Failure>) {
        let Some(entry) = self.under_way.borrow_mut().end(target, number) else { return };
        match target {
            Target::Thumbnail(id) => self.thumbnail_answered(id, entry, result),
            Target::Whole(key) => {
                let whole = result.map_err(|failure| failure.reason).and_then(|drawing| {
                    let (original, animated) = (drawing.original, drawing.animated);
                    let level = level(drawing.pixels, drawing.layout)?;
                    Ok(Whole { level, original, animated })
                });
                self.whole(key, whole);
            }
        }
    }

    fn thumbnail_answered(
        &self,
        id: u32,
        entry: Entry,
        mut result: Result<Drawing<Shared>, Failure>,
    ) {
        let saver = &self.tools().saver;
        match (&mut result, entry.is_cached, entry.keep) {
            // The cache's fault.
            (Err(_), true, _) => {
                return self.open_file(Target::Thumbnail(id), entry.urgency, true);
            }
            (Ok(_), true, _) => self.cached.set(self.cached.get() + 1),
            (Ok(drawing), false, Some((original, class))) => {
                if let Some(encoded) = drawing.thumbnail.take() {
                    saver.keep(original, class, drawing.original, encoded);
                }
            }
            (Err(failure), false, Some((original, _))) if failure.lasting => {
                saver.keep_failure(original, &failure.reason);
            }
            _ => {}
        }
        let made = result.map_err(|failure| failure.reason).and_then(|drawing| {
            let octets = drawing.layout.len() as usize;
            Ok((texture(drawing.pixels, drawing.layout)?, octets))
        });
        self.thumbnail(id, made);
    }

    fn thumbnail(&self, id: u32, result: Result<(gdk::Texture, usize), String>) {
        let mut thumbnails = self.thumbnails.borrow_mut();
        match result {
            Ok((texture, octets)) => thumbnails.keep(id, texture, octets),
            Err(reason) => thumbnails.fail(id, reason),
        }
        drop(thumbnails);
        self.obj().emit_by_name::<()>("thumbnail", &[&id]);
    }

    fn whole(&self, key: Key, result: Result<Whole, String>) {
        let done = self.wholes.borrow_mut().keep(key, result.clone());
        if let Some(done) = done {
            done(result);
        }
        self.tell_progress();
    }

    fn tell_progress(&self) {
        let thumbnails = self.thumbnails.borrow();
        let tried = thumbnails.tried();
        let failed = thumbnails.failures().len() as u32;
        let busy = self.listing.get()
            || self.opening.get() > 0
            || thumbnails.asked() > 0
            || self.wholes.borrow().is_wanted();
        drop(thumbnails);
        if self.failed.replace(failed) != failed {
            self.obj().notify_failed();
        }
        if self.tried.replace(tried) != tried {
            self.obj().notify_tried();
        }
        if self.idle.replace(!busy) == busy {
            self.obj().notify_idle();
        }
    }
}
