//! Flow 2: room in which a message is made.

/// What most messages fit.
pub(crate) const USUAL: usize = 128;

/// Octets that lie on the stack as long as they are few.
///
/// A template that made its messages on the heap would write to one more of the pages that it shares with its
/// processes.
pub(crate) struct Room {
    few: [u8; USUAL],
    len: usize,
    /// All of them, once they are too many.
    many: Vec<u8>,
}

impl Default for Room {
    fn default() -> Self {
        Room { few: [0; USUAL], len: 0, many: Vec::new() }
    }
}

impl Room {
    /// Appends octets.
    pub fn put(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        if end <= USUAL {
            self.few[self.len..end].copy_from_slice(octets);
        } else {
            if self.len <= USUAL {
                self.many.extend_from_slice(&self.few[..self.len]);
            }
            self.many.extend_from_slice(octets);
        }
        self.len = end;
    }

    pub fn octets(&self) -> &[u8] {
        if self.len > USUAL { &self.many } else { &self.few[..self.len] }
    }

    pub fn octets_mut(&mut self) -> &mut [u8] {
        if self.len > USUAL { &mut self.many } else { &mut self.few[..self.len] }
    }

    /// Leaves the first `at` octets, and gives the others.
    pub fn split_off(&mut self, at: usize) -> Vec<u8> {
        let mut octets = std::mem::take(self).into_vec();
        let rest = octets.split_off(at);
        self.put(&octets);
        rest
    }

    pub fn into_vec(self) -> Vec<u8> {
        if self.len > USUAL {
            return self.many;
        }
        // Of one size, which an allocator then has at hand from the one before.
        let mut octets = Vec::with_capacity(USUAL);
        octets.extend_from_slice(&self.few[..self.len]);
        octets
    }
}
