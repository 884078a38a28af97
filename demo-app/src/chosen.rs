//! What is selected, as it was when it was asked for: as quickly taken as it is in few stretches, however long these
//! are, and gone through in any thread.

use gtk4::Bitset;
use std::ops::Range;
use std::sync::Arc;

use crate::id_set::IdSet;

/// Some of the pictures of a list.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Places, in their order, with gaps between the stretches.
    stretches: Vec<Range<u32>>,
    /// The ids by place; without it they are the places.
    order: Option<Arc<Vec<u32>>>,
}

impl Chosen {
    /// One alone.
    pub fn one(id: u32) -> Self {
        Self { stretches: std::iter::once(id..id + 1).collect(), order: None }
    }

    /// Those in these places of such a list.
    pub fn new(places: &Bitset, order: Option<Arc<Vec<u32>>>) -> Self {
        let mut stretches = Vec::new();
        if !places.is_empty() {
            let count = |range: &Range<u32>| places.size_in_range(range.start, range.end - 1);
            collect(&count, places.minimum()..places.maximum() + 1, &mut stretches);
        }
        Self { stretches, order }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.stretches.iter().map(|stretch| stretch.len() as u32).sum()
    }

    /// The ids, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let order = self.order.as_deref();
        let id = move |place: u32| order.map_or(place, |order| order[place as usize]);
        self.stretches.iter().cloned().flatten().map(id)
    }

    /// The ids, for who looks for some among them.
    pub fn ids(&self) -> IdSet {
        self.iter().collect()
    }
}

/// Adds the stretches that are `within` these places, of which `count` tells how many are chosen.
fn collect(
    count: &impl Fn(&Range<u32>) -> u64,
    within: Range<u32>,
    stretches: &mut Vec<Range<u32>>,
) {
    let chosen = count(&within);
    if chosen == within.len() as u64 {
        match stretches.last_mut().filter(|last| last.end == within.start) {
            Some(last) => last.end = within.end,
            None => stretches.push(within),
        }
    } else if chosen > 0 {
        let middle = within.start + within.len() as u32 / 2;
        collect(count, within.start..middle, stretches);
        collect(count, middle..within.end, stretches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one stretch is a case, too")]
    fn stretches_of_any_length_are_found() {
        for ranges in [
            vec![],
            vec![0..1],
            vec![7..8],
            vec![0..1_000_000],
            vec![3..70_000, 70_001..70_002, 70_004..200_000],
            (0..500).map(|half| 2 * half..2 * half + 1).collect(),
        ] {
            let inside = |range: &Range<u32>, within: &Range<u32>| {
                let (start, end) = (range.start.max(within.start), range.end.min(within.end));
                u64::from(end.saturating_sub(start))
            };
            let count =
                |within: &Range<u32>| ranges.iter().map(|range| inside(range, within)).sum();
            let mut stretches = Vec::new();
            collect(&count, 0..1_000_000, &mut stretches);
            assert_eq!(stretches, ranges);
            let chosen = Chosen { stretches, order: None };
            assert_eq!(chosen.len() as usize, chosen.iter().count());
        }
        let order = Some(Arc::new(vec![5, 9, 7]));
        let chosen = Chosen { stretches: vec![1..3], order };
        assert_eq!(chosen.iter().collect::<Vec<_>>(), [9, 7]);
        assert!(chosen.ids().contains(7) && !chosen.ids().contains(5));
    }
}
