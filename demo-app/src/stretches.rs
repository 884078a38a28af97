//! Places of a list, as the stretches that they are made of: as quickly copied and moved as these are few, however
//! long they are.

use gtk4::Bitset;
use std::ops::Range;

/// A set of places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stretches(Vec<Range<u32>>);

impl Stretches {
    /// These places alone.
    pub fn one(places: Range<u32>) -> Self {
        let mut one = Self::default();
        one.push(places);
        one
    }

    /// Adds places behind all others.
    pub fn push(&mut self, places: Range<u32>) {
        match self.0.last_mut() {
            Some(last) if last.end >= places.start => last.end = last.end.max(places.end),
            _ if places.is_empty() => {}
            _ => self.0.push(places),
        }
    }

    /// Whether a place is among them.
    pub fn contains(&self, place: u32) -> bool {
        let behind = self.0.partition_point(|stretch| stretch.end <= place);
        self.0.get(behind).is_some_and(|stretch| stretch.start <= place)
    }

    /// From the first place to the last one, with the gaps between.
    pub fn bounds(&self) -> Option<Range<u32>> {
        Some(self.0.first()?.start..self.0.last()?.end)
    }

    /// How many places there are.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|stretch| stretch.len() as u32).sum()
    }

    /// The places, in their order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }

    /// Follows a list in which some places give way to others, which are not in the set.
    pub fn splice(&mut self, from: u32, removed: u32, added: u32) {
        let behind = from + removed;
        let moved = |place: u32| place.max(behind) - removed + added;
        for Range { start, end } in std::mem::take(&mut self.0) {
            self.push(start..end.min(from));
            self.push(moved(start)..moved(end));
        }
    }

    /// Those of GTK's set.
    pub fn of(places: &Bitset) -> Self {
        let mut stretches = Self::default();
        if !places.is_empty() {
            let count = |range: &Range<u32>| places.size_in_range(range.start, range.end - 1);
            stretches.collect(&count, places.minimum()..places.maximum() + 1);
        }
        stretches
    }

    /// As a set of GTK's.
    pub fn bitset(&self) -> Bitset {
        let places = Bitset::new_empty();
        self.0.iter().for_each(|stretch| places.add_range(stretch.start, stretch.len() as u32));
        places
    }

    /// Adds the stretches that are `within` these places, of which `count` tells how many there are.
    fn collect(&mut self, count: &impl Fn(&Range<u32>) -> u64, within: Range<u32>) {
        let there = count(&within);
        if there == within.len() as u64 {
            self.push(within);
        } else if there > 0 {
            let middle = within.start + within.len() as u32 / 2;
            self.collect(count, within.start..middle);
            self.collect(count, middle..within.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: impl IntoIterator<Item = Range<u32>>) -> Stretches {
        let mut stretches = Stretches::default();
        ranges.into_iter().for_each(|range| stretches.push(range));
        stretches
    }

    #[test]
    fn they_are_found_by_counting() {
        for stretches in [
            of([]),
            Stretches::one(0..1),
            Stretches::one(7..8),
            Stretches::one(0..1_000_000),
            of([3..70_000, 70_001..70_002, 70_004..200_000]),
            of((0..500).map(|half| 2 * half..2 * half + 1)),
        ] {
            let inside = |range: &Range<u32>, within: &Range<u32>| {
                let (start, end) = (range.start.max(within.start), range.end.min(within.end));
                u64::from(end.saturating_sub(start))
            };
            let count =
                |within: &Range<u32>| stretches.0.iter().map(|range| inside(range, within)).sum();
            let mut found = Stretches::default();
            found.collect(&count, 0..1_000_000);
            assert_eq!(found, stretches);
            assert_eq!(found.len() as usize, found.iter().count());
        }
    }

    #[test]
    fn places_that_touch_are_one_stretch() {
        let stretches = of([0..2, 2..2, 2..5, 7..9, 12..12]);
        assert_eq!(stretches.0, [0..5, 7..9]);
        assert_eq!(stretches.bounds(), Some(0..9));
        assert_eq!((0..10).filter(|place| stretches.contains(*place)).count(), 7);
        assert!(!stretches.contains(5) && stretches.contains(8));
        assert_eq!(of([]).bounds(), None);
    }

    #[test]
    fn a_list_changes_around_them() {
        for (change, after) in [
            ((0, 0, 0), "[2..5, 7..9]"),
            ((0, 2, 0), "[0..3, 5..7]"),
            ((0, 3, 1), "[1..3, 5..7]"),
            ((3, 0, 2), "[2..3, 5..7, 9..11]"),
            ((4, 4, 0), "[2..5]"),
            ((5, 2, 0), "[2..7]"),
            ((9, 0, 5), "[2..5, 7..9]"),
            ((0, 9, 9), "[]"),
        ] {
            let mut stretches = of([2..5, 7..9]);
            let (from, removed, added) = change;
            stretches.splice(from, removed, added);
            assert_eq!(format!("{:?}", stretches.0), after, "{change:?}");
        }
    }
}
