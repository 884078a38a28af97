//! Which thumbnails there are, and which one to make next.
//!
//! ```text
//!              next                 keep
//!   Untried ────────▶ Asked ───────────────▶ Made ──▶ Asked again, if it is in view
//!      ▲                │ fail                        and was given up meanwhile
//!      └────────────────┤
//!         hand_back     ├──▶ Failed: not tried again
//!                       │ put_off
//!                       └──▶ PutOff ──▶ Asked again, when nothing else is
//!
//!   any of them, but Asked ── forget ──▶ Untried          (the file has changed)
//!   any of them ── exclude ──▶ Excluded                   (a folder, or a file that is gone)
//! ```

use std::collections::{BTreeSet, HashMap};

use lru::LruCache;

/// Octets of pixels that are kept for tiles out of view.
const LIMIT: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untried,
    Asked,
    Made,
    Failed,
    PutOff,
    Excluded,
}

/// What is known of one picture's thumbnail.
#[derive(Debug, PartialEq, Eq)]
pub enum Thumbnail<'a, T> {
    /// It will come, or come again, when it is in view.
    Pending,
    /// It is at hand.
    Kept(&'a T),
    /// There is none, and why.
    Failed(&'a str),
}

impl<T> Thumbnail<'_, T> {
    /// Whether there is one at hand.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

/// All thumbnails by the ids of their pictures. `T` is a texture.
pub struct Thumbnails<T> {
    states: Vec<State>,
    /// Those at hand with their octets, the least recently used last.
    kept: LruCache<u32, (T, usize)>,
    /// The sum of the octets in `kept`.
    octets: usize,
    limit: usize,
    failures: HashMap<u32, String>,
    /// All before this place in the order of display have been asked for at least once.
    swept: u32,
    /// Those of them that were handed back, and some that have been asked for since.
    returned: BTreeSet<u32>,
    /// Those that are `PutOff`.
    put_off: BTreeSet<u32>,
    /// How many are in state `Asked`.
    asked: u32,
    /// How many have been `Made` or `Failed` at least once.
    tried: u32,
}

impl<T> Default for Thumbnails<T> {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            kept: LruCache::unbounded(),
            octets: 0,
            limit: LIMIT,
            failures: HashMap::new(),
            swept: 0,
            returned: BTreeSet::new(),
            put_off: BTreeSet::new(),
            asked: 0,
            tried: 0,
        }
    }
}

impl<T> Thumbnails<T> {
    /// Makes room for pictures with ids below `len`.
    pub fn grow(&mut self, len: u32) {
        self.states.resize(len as usize, State::Untried);
    }

    /// How many pictures have a thumbnail, or never will.
    pub fn tried(&self) -> u32 {
        self.tried
    }

    /// How many are being made.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// None is made of this one any more: it is no picture, or gone.
    pub fn exclude(&mut self, id: u32) {
        self.set(id, State::Excluded);
    }

    /// What was made is out of date: the file has changed, or is back.
    pub fn forget(&mut self, id: u32) {
        self.set(id, State::Untried);
        self.swept = 0;
    }

    /// All that was made is out of date: another size is wanted.
    pub fn forget_all(&mut self) {
        for id in 0..self.states.len() as u32 {
            if self.states[id as usize] == State::Made {
                self.set(id, State::Untried);
            }
        }
        self.swept = 0;
    }

    /// Forgets what is known of one, and leaves it in this state.
    fn set(&mut self, id: u32, state: State) {
        let before = std::mem::replace(&mut self.states[id as usize], state);
        self.asked -= u32::from(before == State::Asked);
        self.tried -= u32::from(matches!(before, State::Made | State::Failed));
        self.failures.remove(&id);
        self.put_off.remove(&id);
        if let Some((_, octets)) = self.kept.pop(&id) {
            self.octets -= octets;
        }
    }

    /// The pictures that have none, with the reason.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = (u32, &str)> {
        self.failures.iter().map(|(id, reason)| (*id, reason.as_str()))
    }

    /// What a tile is to show; it counts as used now.
    pub fn get(&mut self, id: u32) -> Thumbnail<'_, T> {
        match self.failures.get(&id) {
            Some(reason) => Thumbnail::Failed(reason),
            None => match self.kept.get(&id) {
                Some((texture, _)) => Thumbnail::Kept(texture),
                None => Thumbnail::Pending,
            },
        }
    }

    /// The first of the pictures in view, then near it, that lacks its thumbnail: it is to be made
    /// next. Nothing is made for those near when there is no room to keep it.
    pub fn next(
        &mut self,
        in_view: impl IntoIterator<Item = u32>,
        near: impl IntoIterator<Item = u32>,
    ) -> Option<u32> {
        let has_room = self.octets < self.limit;
        let mut all = in_view.into_iter().chain(near.into_iter().filter(|_| has_room));
        let id = all.find(|id| self.is_wanted(*id))?;
        self.ask(id);
        Some(id)
    }

    /// One that was handed back, or the first in `order`, the ids by their places, that was never tried: it
    /// is to be made next.
    pub fn next_untried(&mut self, order: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        while let Some(id) = self.returned.pop_first() {
            if self.states[id as usize] == State::Untried {
                self.ask(id);
                return Some(id);
            }
        }
        while let Some(id) = order(self.swept) {
            self.swept += 1;
            if self.states[id as usize] == State::Untried {
                self.ask(id);
                return Some(id);
            }
        }
        None
    }

    /// The order of display is another one: [`next_untried`](Self::next_untried) begins anew.
    pub fn reordered(&mut self) {
        self.swept = 0;
    }

    /// Takes what was asked for: it may be dropped when others are used more.
    pub fn keep(&mut self, id: u32, texture: T, octets: usize) {
        if self.settle(id, State::Made) {
            self.octets += octets;
            if let Some((_, (_, replaced))) = self.kept.push(id, (texture, octets)) {
                self.octets -= replaced;
            }
            self.give_up_to_limit();
        }
    }

    /// There will be no thumbnail.
    pub fn fail(&mut self, id: u32, reason: String) {
        if self.settle(id, State::Failed) {
            self.failures.insert(id, reason);
        }
    }

    /// What was asked for was not tried, through no fault of its own.
    pub fn hand_back(&mut self, id: u32) {
        if self.settle(id, State::Untried) {
            self.returned.insert(id);
        }
    }

    /// What was asked for takes long: others come first.
    pub fn put_off(&mut self, id: u32) {
        if self.settle(id, State::PutOff) {
            self.put_off.insert(id);
        }
    }

    /// One of those in view that were put off, or with `all` any of them: it is to be made next.
    pub fn next_put_off(
        &mut self,
        in_view: impl IntoIterator<Item = u32>,
        all: bool,
    ) -> Option<u32> {
        if self.put_off.is_empty() {
            return None;
        }
        let first = in_view.into_iter().find(|id| self.put_off.contains(id));
        let id = first.or_else(|| self.put_off.first().copied().filter(|_| all))?;
        self.put_off.remove(&id);
        self.ask(id);
        Some(id)
    }

    fn is_wanted(&self, id: u32) -> bool {
        match self.states[id as usize] {
            State::Untried => true,
            State::Made => !self.kept.contains(&id),
            State::Asked | State::Failed | State::PutOff | State::Excluded => false,
        }
    }

    fn ask(&mut self, id: u32) {
        // Made once and given up: it counts as tried only once.
        self.tried -= u32::from(self.states[id as usize] == State::Made);
        self.states[id as usize] = State::Asked;
        self.asked += 1;
    }

    /// Whether it had been asked for.
    fn settle(&mut self, id: u32, state: State) -> bool {
        let asked = self.states[id as usize] == State::Asked;
        if asked {
            self.states[id as usize] = state;
            self.asked -= 1;
            self.tried += u32::from(matches!(state, State::Made | State::Failed));
        }
        asked
    }

    fn give_up_to_limit(&mut self) {
        while self.octets > self.limit && self.kept.len() > 1 {
            if let Some((_, (_, octets))) = self.kept.pop_lru() {
                self.octets -= octets;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumbnails(len: u32) -> Thumbnails<&'static str> {
        let mut thumbnails = Thumbnails { limit: 100, ..Thumbnails::default() };
        thumbnails.grow(len);
        thumbnails
    }

    #[test]
    fn in_view_first_then_near_then_the_rest_in_order() {
        let mut all = thumbnails(10);
        let picked: Vec<_> = std::iter::from_fn(|| all.next(4..6, 3..8)).collect();
        assert_eq!(picked, [4, 5, 3, 6, 7]);
        let rest: Vec<_> =
            std::iter::from_fn(|| all.next_untried(|place| 9_u32.checked_sub(place))).collect();
        assert_eq!(rest, [9, 8, 2, 1, 0]);
        assert_eq!(all.asked(), 10);
    }

    #[test]
    fn given_up_ones_are_made_again_in_view_only_and_counted_once() {
        let mut all = thumbnails(3);
        for id in 0..3 {
            assert_eq!(all.next([id], []), Some(id));
            all.keep(id, "pixels", 60);
        }
        assert_eq!(all.get(0), Thumbnail::Pending);
        assert_eq!(all.get(2), Thumbnail::Kept(&"pixels"));
        assert_eq!(all.tried(), 3);
        assert_eq!(all.next_untried(|place| (place < 3).then_some(place)), None);
        assert_eq!(all.next([0], []), Some(0));
        all.keep(0, "again", 60);
        assert_eq!((all.tried(), all.asked()), (3, 0));
        assert_eq!(all.get(0), Thumbnail::Kept(&"again"));
    }

    #[test]
    fn nothing_near_is_made_without_room() {
        let mut all = thumbnails(3);
        assert_eq!(all.next([0], []), Some(0));
        all.keep(0, "large", 1000);
        assert_eq!(all.next([0], [1]), None);
        assert_eq!(all.next([0, 2], [1]), Some(2));
    }

    #[test]
    fn failures_stay_and_lost_ones_are_tried_again() {
        let mut all = thumbnails(2);
        assert_eq!((all.next([0], []), all.next([1], [])), (Some(0), Some(1)));
        all.fail(0, "garbage".into());
        all.hand_back(1);
        assert_eq!(all.get(0), Thumbnail::Failed("garbage"));
        assert_eq!((all.tried(), all.asked()), (1, 0));
        assert_eq!(all.next_untried(Some), Some(1));
        assert_eq!(all.failures().collect::<Vec<_>>(), [(0, "garbage")]);
    }

    #[test]
    fn those_that_take_long_come_last_and_when_they_are_in_view() {
        let mut all = thumbnails(3);
        for id in 0..3 {
            assert_eq!(all.next([id], []), Some(id));
        }
        all.put_off(0);
        all.put_off(1);
        assert_eq!((all.tried(), all.asked(), all.get(0)), (0, 1, Thumbnail::Pending));
        let places = |place| (place < 3).then_some(place);
        assert_eq!((all.next([0, 1], []), all.next_untried(places)), (None, None));
        assert_eq!(all.next_put_off([2], false), None);
        assert_eq!(
            (all.next_put_off([2, 1], false), all.next_put_off([2], true)),
            (Some(1), Some(0))
        );
        all.put_off(0);
        all.forget(0);
        assert_eq!((all.next_put_off([0], true), all.next([0], [])), (None, Some(0)));
    }

    #[test]
    fn changed_ones_are_made_anew_and_excluded_ones_never() {
        let mut all = thumbnails(3);
        for id in 0..2 {
            assert_eq!(all.next([id], []), Some(id));
        }
        all.keep(0, "pixels", 60);
        all.fail(1, "half copied".into());
        all.forget(0);
        all.forget(1);
        assert_eq!((all.tried(), all.asked(), all.get(0)), (0, 0, Thumbnail::Pending));
        all.exclude(1);
        assert_eq!((all.next([1, 0], []), all.next([1], [])), (Some(0), None));
        all.exclude(0);
        all.keep(0, "too late", 60);
        assert_eq!((all.tried(), all.asked(), all.octets), (0, 0, 0));
        assert_eq!(all.next_untried(|place| (place < 3).then_some(place)), Some(2));
        all.keep(2, "pixels", 60);
        all.forget_all();
        assert_eq!((all.tried(), all.next([2], [])), (0, Some(2)));
    }

    #[test]
    fn late_news_of_what_was_not_asked_changes_nothing() {
        let mut all = thumbnails(1);
        all.keep(0, "unasked", 1);
        all.fail(0, "unasked".into());
        assert_eq!((all.tried(), all.get(0)), (0, Thumbnail::Pending));
    }
}
