//! The generator of all cases: of those in C too, so that all do the same.

use std::cell::Cell;

/// The generator that all cases share (xorshift64).
pub struct Random(Cell<u64>);

impl Random {
    /// The same numbers each time.
    pub fn new() -> Self {
        Random(Cell::new(88_172_645_463_325_252))
    }

    /// A number below `limit`.
    pub fn below(&self, limit: usize) -> usize {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        (state >> 33) as usize % limit
    }
}
