//! What is selected, as it was when it was asked for: as quickly taken as it is in few stretches, however long these
//! are, and gone through in any thread.

use std::sync::Arc;

use crate::id_set::IdSet;
use crate::stretches::Stretches;

/// Some of the pictures of a list.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    places: Stretches,
    /// The ids by place; without it they are the places.
    order: Option<Arc<Vec<u32>>>,
}

impl Chosen {
    /// One alone.
    pub fn one(id: u32) -> Self {
        Self { places: Stretches::one(id..id + 1), order: None }
    }

    /// Those in these places of such a list.
    pub fn new(places: Stretches, order: Option<Arc<Vec<u32>>>) -> Self {
        Self { places, order }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.places.len()
    }

    /// The ids, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let order = self.order.as_deref();
        self.places.iter().map(move |place| order.map_or(place, |order| order[place as usize]))
    }

    /// The ids, for who looks for some among them.
    pub fn ids(&self) -> IdSet {
        self.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_ids() {
        let order = Some(Arc::new(vec![5, 9, 7]));
        let chosen = Chosen::new(Stretches::one(1..3), order);
        assert_eq!(chosen.iter().collect::<Vec<_>>(), [9, 7]);
        assert!(chosen.ids().contains(7) && !chosen.ids().contains(5));
        assert_eq!(Chosen::one(3).iter().collect::<Vec<_>>(), [3]);
    }
}
