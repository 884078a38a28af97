//! From names to pictures: each goes by way of an open file and a worker to a texture.

use super::imp::Gallery;
use super::*;
use tine_viewer::protocol::{Drawing, Failure, Request};

use super::imp::Answering;
use crate::cache::{Class, Errand};
use crate::crew::News;
use crate::files::open_picture;
use crate::texture::{level, texture};

/// What is asked of the workers. Their requests carry it as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Thumbnail(u32),
    Whole(Key),
}

impl Job {
    /// Set in the number of a picture as a whole.
    const WHOLE: u64 = 1 << 32;
    /// Where its detail begins in it: 0 for the screen's, then powers of two, then all its pixels.
    const DETAIL: u32 = 33;
    const FULL: u64 = 63;

    fn id(self) -> u32 {
        match self {
            Self::Thumbnail(id) | Self::Whole((id, _)) => id,
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Thumbnail(id) => id.into(),
            Self::Whole((id, Detail::Screen)) => u64::from(id) | Self::WHOLE,
            Self::Whole((id, Detail::Within(power))) => {
                u64::from(id) | Self::WHOLE | u64::from(power) << Self::DETAIL
            }
            Self::Whole((id, Detail::Full)) => {
                u64::from(id) | Self::WHOLE | Self::FULL << Self::DETAIL
            }
        }
    }

    fn from_number(number: u64) -> Self {
        let id = number as u32;
        match (number & Self::WHOLE, number >> Self::DETAIL) {
            (0, _) => Self::Thumbnail(id),
            (_, 0) => Self::Whole((id, Detail::Screen)),
            (_, Self::FULL) => Self::Whole((id, Detail::Full)),
            (_, power) => Self::Whole((id, Detail::Within(power as u8))),
        }
    }
}

// From names to jobs.
impl Gallery {
    /// Sends off as many jobs as the workers have room for.
    pub(super) fn pump(&self) {
        let crew = &self.tools().crew;
        while crew.room() > self.opening.get() {
            match self.next_job() {
                Some(job) => self.open_file(job, false),
                None => break,
            }
        }
        self.tell_progress();
    }

    /// What to do next: the whole picture that somebody waits for and its neighbours, then what is in
    /// view, then what is near, then the rest.
    fn next_job(&self) -> Option<Job> {
        if let Some(key) = self.wholes.borrow_mut().next() {
            return Some(Job::Whole(key));
        }
        let list = self.list.borrow();
        let (in_view, near) = self.view.borrow().clone();
        let ids = |places: Range<u32>| places.map_while(|place| list.id(place));
        let mut thumbnails = self.thumbnails.borrow_mut();
        let wanted = thumbnails.next(ids(in_view), ids(near));
        let sweeps = self.sweep.get() && !self.listing.get();
        let id = match wanted {
            None if sweeps => thumbnails.next_untried(|place| list.id(place)),
            wanted => wanted,
        };
        id.map(Job::Thumbnail)
    }

    /// With `anew` a thumbnail is made of the picture, whatever the cache has.
    fn open_file(&self, job: Job, anew: bool) {
        self.opening.set(self.opening.get() + 1);
        let path = self.catalog.borrow().path(job.id());
        let cache = self.tools().cache.clone();
        let class = match job {
            Job::Thumbnail(_) => Class::covering(self.sizes.get().side),
            Job::Whole(_) => None,
        };
        let reply = self.reply();
        self.tools().files.run(move || {
            let errand = open_picture(&path).and_then(|file| match class {
                Some(class) => cache.errand(&path, file, class, anew),
                None => Ok(Errand::plain(file)),
            });
            // Nobody is left who wants it: as good.
            let _gone = reply(Box::new(move |gallery| gallery.opened(job, errand)));
        });
    }
}

// From jobs to pictures.
impl Gallery {
    fn opened(&self, job: Job, errand: Result<Errand, String>) {
        self.opening.set(self.opening.get() - 1);
        match (errand, self.want(job)) {
            (Ok(errand), Some(want)) => {
                let Errand { file, is_cached, keep } = errand;
                let thumbnail = keep.as_ref().map_or(0, |(_, class)| class.side());
                if let Job::Thumbnail(id) = job {
                    self.errands.borrow_mut().insert(id, Answering { is_cached, keep });
                }
                self.tools().crew.submit(Request { job: job.number(), want, thumbnail }, file);
            }
            (Err(reason), _) => self.answered(job, Err(Failure::passing(reason))),
            (Ok(_), None) => self.hand_back(job),
        }
        self.pump();
    }

    /// The size to ask for; `None` if the picture is not wanted any more.
    fn want(&self, job: Job) -> Option<Size> {
        let Sizes { side, screen } = self.sizes.get();
        match job {
            Job::Thumbnail(_) => Some(Size::new(side, side)),
            Job::Whole(key) => self.wholes.borrow().is_of_use(key).then_some(match key.1 {
                Detail::Screen => screen,
                Detail::Within(power) => Size::new(1 << power, 1 << power),
                Detail::Full => Size::UNBOUNDED,
            }),
        }
    }

    pub(super) fn take(&self, news: News) {
        match news {
            News::Answered(number, pid, result) => {
                if let Some(pid) = pid {
                    self.tools().measures.worker_answered(pid);
                }
                self.answered(Job::from_number(number), result);
            }
            News::HandedBack(number) => self.hand_back(Job::from_number(number)),
        }
        self.pump();
    }

    fn hand_back(&self, job: Job) {
        match job {
            Job::Thumbnail(id) => {
                self.errands.borrow_mut().remove(&id);
                self.thumbnails.borrow_mut().hand_back(id);
            }
            Job::Whole(key) => self.wholes.borrow_mut().hand_back(key),
        }
    }

    fn answered(&self, job: Job, result: Result<Drawing, Failure>) {
        match job {
            Job::Thumbnail(id) => self.thumbnail_answered(id, result),
            Job::Whole(key) => {
                let whole = result.map_err(|failure| failure.reason).and_then(|drawing| {
                    let (original, animated) = (drawing.original, drawing.animated);
                    Ok(Whole { level: level(drawing)?, original, animated })
                });
                self.whole(key, whole);
            }
        }
    }

    fn thumbnail_answered(&self, id: u32, mut result: Result<Drawing, Failure>) {
        let saver = &self.tools().saver;
        let errand = self.errands.borrow_mut().remove(&id);
        match (&mut result, errand.map(|errand| (errand.is_cached, errand.keep))) {
            // The cache's fault.
            (Err(_), Some((true, _))) => return self.open_file(Job::Thumbnail(id), true),
            (Ok(_), Some((true, _))) => self.cached.set(self.cached.get() + 1),
            (Ok(drawing), Some((false, Some((original, class))))) => {
                if let Some(encoded) = drawing.thumbnail.take() {
                    saver.keep(original, class, drawing.original, encoded);
                }
            }
            (Err(failure), Some((false, Some((original, _))))) if failure.lasting => {
                saver.keep_failure(original, &failure.reason);
            }
            _ => {}
        }
        let made = result.map_err(|failure| failure.reason).and_then(|drawing| {
            let octets = drawing.layout.len() as usize;
            Ok((texture(drawing)?, octets))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_numbers_and_back() {
        for id in [0, u32::MAX] {
            let keys = [(id, Detail::Screen), (id, Detail::Within(12)), (id, Detail::Full)];
            for job in [Job::Thumbnail(id)].into_iter().chain(keys.map(Job::Whole)) {
                assert_eq!(Job::from_number(job.number()), job);
            }
        }
    }
}
