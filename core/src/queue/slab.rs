//! Flow 1: where watchers live. A key that outlived its watcher finds nothing, never another.

use std::num::NonZeroU32;

/// Names a value of a [`Slab`]; 8 bytes, and an option of one too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) index: u32,
    generation: Generation,
}

type Generation = NonZeroU32;

/// Values in one growing array, each place used again under a new generation.
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

struct Place<T> {
    /// Grows when the value leaves, so that keys of earlier values match no more.
    generation: Generation,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Key {
        let Some(index) = self.free.pop() else {
            let index = u32::try_from(self.places.len()).expect("fewer than 2^32 watchers");
            let generation = Generation::MIN;
            self.places.push(Place { generation, value: Some(value) });
            return Key { index, generation };
        };
        let place = &mut self.places[index as usize];
        place.value = Some(value);
        Key { index, generation: place.generation }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.place(key)?;
        let value = place.value.take()?;
        place.generation = place.generation.checked_add(1).unwrap_or(Generation::MIN);
        self.free.push(key.index);
        Some(value)
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.index as usize)?;
        if place.generation == key.generation { place.value.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.place(key)?.value.as_mut()
    }

    /// The value at a place that is known to be in use, and its key.
    pub(super) fn at(&mut self, index: u32) -> Option<(Key, &mut T)> {
        let place = self.places.get_mut(index as usize)?;
        let key = Key { index, generation: place.generation };
        place.value.as_mut().map(|value| (key, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_ref())
    }

    fn place(&mut self, key: Key) -> Option<&mut Place<T>> {
        self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)
    }
}
