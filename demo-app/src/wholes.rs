//! Pictures as a whole: the one that is looked at, and those that will be next.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use lru::LruCache;
use tine_viewer::decoders::Urgency;

/// Pictures that are kept: the one in view, each of its details counted, its neighbours, and where one came
/// from.
const KEPT: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// How much of a picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// As much as the screen can show of it at once.
    Screen,
    /// Reduced to fit into a square whose side is this power of two, in pixels.
    Within(u8),
    /// Every pixel.
    Full,
}

/// A picture and how much of it.
pub type Key = (u32, Detail);

/// What there is, and what to load next. `T` is a picture, or the reason why there is none; `F` is called
/// with the one that is looked at.
pub struct Wholes<T, F> {
    /// What somebody waits for.
    wanted: Option<(Key, F)>,
    /// What will be wanted next, most likely.
    ahead: Vec<Key>,
    /// What is on its way.
    asked: HashSet<Key>,
    kept: LruCache<Key, T>,
}

impl<T, F> Default for Wholes<T, F> {
    fn default() -> Self {
        let (ahead, asked) = (Vec::new(), HashSet::new());
        Self { wanted: None, ahead, asked, kept: LruCache::new(KEPT) }
    }
}

impl<T, F> Wholes<T, F> {
    /// Wants a picture, and instead of what was wanted before. Gives the latter's `F`.
    pub fn want(&mut self, key: Key, done: F) -> Option<F> {
        self.wanted.replace((key, done)).map(|wanted| wanted.1)
    }

    /// Wants none.
    pub fn want_none(&mut self) -> Option<F> {
        self.ahead.clear();
        self.wanted.take().map(|wanted| wanted.1)
    }

    /// What will be wanted next, in place of what was thought so before.
    pub fn set_ahead(&mut self, ahead: Vec<Key>) {
        self.ahead = ahead;
    }

    /// Whether somebody waits.
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// How soon this is wanted; `None` if it is not.
    pub fn urgency(&self, key: Key) -> Option<Urgency> {
        match &self.wanted {
            Some((wanted, _)) if *wanted == key => Some(Urgency::Wanted),
            _ => self.ahead.contains(&key).then_some(Urgency::Ahead),
        }
    }

    /// What is at hand.
    pub fn get(&mut self, key: Key) -> Option<&T> {
        self.kept.get(&key)
    }

    /// What to load next.
    pub fn next(&mut self) -> Option<Key> {
        let wanted = self.wanted.as_ref().map(|wanted| wanted.0);
        let mut all = wanted.into_iter().chain(self.ahead.iter().copied());
        let next = all.find(|key| !self.asked.contains(key) && !self.kept.contains(key))?;
        self.asked.insert(next);
        Some(next)
    }

    /// Takes what has come; gives the `F` of whoever waited for it.
    pub fn keep(&mut self, key: Key, whole: T) -> Option<F> {
        self.asked.remove(&key);
        // Of others than the one that is looked at as much as the screen shows is enough.
        let large = |kept: &Key| kept.1 != Detail::Screen && kept.0 != key.0;
        let large: Vec<Key> = self.kept.iter().map(|kept| *kept.0).filter(large).collect();
        large.iter().for_each(|kept| drop(self.kept.pop(kept)));
        self.kept.put(key, whole);
        self.wanted.take_if(|wanted| wanted.0 == key).map(|wanted| wanted.1)
    }

    /// What was asked for was not tried, or is of no use any more.
    pub fn hand_back(&mut self, key: Key) {
        self.asked.remove(&key);
    }

    /// A file has changed.
    pub fn forget(&mut self, id: u32) {
        let of_it: Vec<Key> =
            self.kept.iter().map(|kept| *kept.0).filter(|key| key.0 == id).collect();
        of_it.iter().for_each(|key| drop(self.kept.pop(key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_one_comes_first_then_those_ahead() {
        let (a, b, c) = ((1, Detail::Screen), (2, Detail::Screen), (1, Detail::Full));
        let mut wholes = Wholes::<&str, u8>::default();
        assert_eq!(wholes.want(a, 1), None);
        wholes.set_ahead(vec![b, a]);
        assert_eq!([wholes.next(), wholes.next(), wholes.next()], [Some(a), Some(b), None]);
        assert_eq!(wholes.keep(b, "b"), None);
        assert_eq!(wholes.keep(a, "a"), Some(1));
        assert_eq!(wholes.get(b), Some(&"b"));
        assert_eq!((wholes.is_wanted(), wholes.next()), (false, None));
        assert_eq!((wholes.want(c, 2), wholes.want(b, 3)), (None, Some(2)));
        let urgency = [b, a, c].map(|key| wholes.urgency(key));
        assert_eq!(urgency, [Some(Urgency::Wanted), Some(Urgency::Ahead), None]);
    }

    #[test]
    fn details_of_one_picture_alone_are_kept() {
        let mut wholes = Wholes::<&str, u8>::default();
        let [screen, part, full] = [Detail::Screen, Detail::Within(12), Detail::Full];
        assert!(screen < part && part < full);
        wholes.keep((1, screen), "a");
        wholes.keep((1, part), "b");
        wholes.keep((1, full), "c");
        assert_eq!(wholes.get((1, part)), Some(&"b"));
        wholes.keep((2, screen), "d");
        let kept = [(1, screen), (1, part), (1, full)].map(|key| wholes.get(key).copied());
        assert_eq!(kept, [Some("a"), None, None]);
        wholes.forget(1);
        assert_eq!(wholes.get((1, screen)), None);
        assert_eq!(wholes.get((2, screen)), Some(&"d"));
    }

    #[test]
    fn lost_and_changed_ones_are_loaded_again() {
        let key = (7, Detail::Screen);
        let mut wholes = Wholes::<&str, u8>::default();
        wholes.want(key, 1);
        assert_eq!(wholes.next(), Some(key));
        wholes.hand_back(key);
        assert_eq!(wholes.next(), Some(key));
        wholes.keep(key, "old");
        wholes.forget(7);
        assert_eq!(wholes.get(key), None);
        wholes.want(key, 2);
        assert_eq!(wholes.next(), Some(key));
        assert_eq!(wholes.want_none(), Some(2));
    }
}
