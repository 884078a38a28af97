//! How long the main loop was busy at a stretch: what a click or a key would have had to wait.

use std::time::Duration;

/// The width of a bin, in µs.
const BIN: u128 = 20;
/// Bins; what is longer falls into the last one.
const BINS: usize = 10_000;

/// The lengths of busy stretches. It takes the same memory, however many there are.
#[derive(Debug)]
pub struct Stalls {
    bins: Vec<u32>,
    count: u64,
    longest: Duration,
}

impl Default for Stalls {
    fn default() -> Self {
        Self { bins: vec![0; BINS], count: 0, longest: Duration::ZERO }
    }
}

impl Stalls {
    /// Notes a stretch.
    pub fn note(&mut self, length: Duration) {
        let bin = (length.as_micros() / BIN).min(BINS as u128 - 1) as usize;
        self.bins[bin] += 1;
        self.count += 1;
        self.longest = self.longest.max(length);
    }

    /// The longest one.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// What so many of a thousand do not exceed, to within 20 µs. What is longer than 200 ms counts as
    /// being as long as the longest.
    pub fn per_mille(&self, share: u64) -> Duration {
        let mut left = (self.count * share).div_ceil(1000);
        for (bin, &count) in self.bins[..BINS - 1].iter().enumerate() {
            left = left.saturating_sub(u64::from(count));
            if left == 0 {
                let upper = Duration::from_micros((bin as u64 + 1) * BIN as u64);
                return upper.min(self.longest);
            }
        }
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_are_short_and_one_is_long() {
        let mut stalls = Stalls::default();
        assert_eq!((stalls.per_mille(990), stalls.longest()), (Duration::ZERO, Duration::ZERO));
        for _ in 0..98 {
            stalls.note(Duration::from_micros(100));
        }
        stalls.note(Duration::from_micros(5000));
        stalls.note(Duration::from_secs(2));
        assert_eq!(stalls.per_mille(500), Duration::from_micros(120));
        assert_eq!(stalls.per_mille(990), Duration::from_micros(5020));
        assert_eq!(stalls.per_mille(1000), Duration::from_secs(2));
        assert_eq!(stalls.longest(), Duration::from_secs(2));
    }
}
