//! What all cases of ours share: socket pairs, the choice of the next one, and what is told.

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The deadline of each request.
pub const HOUR: Duration = Duration::from_secs(3600);

/// How much a case has to do.
#[derive(Clone, Copy)]
pub struct Load {
    pub pairs: usize,
    pub active: usize,
    pub window: Duration,
}

impl Load {
    /// Reads the arguments of a case: pairs, active ones, milliseconds.
    pub fn read(words: &[String]) -> Self {
        let number = |n: usize| words[n].parse::<u32>().expect("a number");
        let window = Duration::from_millis(number(2).into());
        Load { pairs: number(0) as usize, active: number(1) as usize, window }
    }

    /// Tells what it took to make the pairs and their watchers.
    pub fn created(self, begin: Instant) {
        println!("create {:.4}", micros(begin) / self.pairs as f64);
    }
}

/// The requests of a case.
pub struct Pairs {
    random: Cell<u64>,
    requests: Cell<u32>,
}

impl Pairs {
    pub fn new() -> Self {
        Pairs { random: Cell::new(88_172_645_463_325_252), requests: Cell::new(0) }
    }

    /// The pair that is written to next, by the generator of all cases (xorshift64): those in C have
    /// the same, so that all do the same.
    pub fn any(&self, pairs: usize) -> usize {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        (state >> 33) as usize % pairs
    }

    pub fn count(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// Tells what a request took.
    pub fn told(&self, begin: Instant) {
        println!("request {:.4}", micros(begin) / f64::from(self.requests.get()));
    }
}

/// A socket pair: one end to read, one to write.
pub fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a pair")
}

fn micros(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6
}
