//! What all cases of ours share: watchers that are called once each, and what is told of them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// The watchers of a case.
pub struct Counted {
    count: u32,
    /// Calls that are still to come.
    left: Rc<Cell<u32>>,
}

impl Counted {
    /// `count` watchers, half of them of a descriptor and half timers.
    pub fn new(count: u32) -> Self {
        Counted { count, left: Rc::new(Cell::new(count)) }
    }

    pub fn half(&self) -> u32 {
        self.count / 2
    }

    /// A watcher's callback.
    pub fn call(&self) -> impl Fn() + 'static {
        let left = Rc::clone(&self.left);
        // A loop may call some watchers again before it has called all.
        move || left.set(left.get().saturating_sub(1))
    }

    /// Makes the watchers, and tells the time and the memory that each took.
    pub fn create<W>(&self, make: impl FnOnce() -> W) -> W {
        let (bytes, begin) = (resident(), Instant::now());
        let watchers = make();
        self.told("create", begin);
        println!("bytes {:.1}", (resident() - bytes) as f64 / f64::from(self.count));
        watchers
    }

    /// Lets `run` run the loop until all were called, and tells the time.
    pub fn invoke(&self, run: impl FnOnce(&mut dyn FnMut() -> bool)) {
        let begin = Instant::now();
        run(&mut || self.left.get() == 0);
        self.told("invoke", begin);
    }

    /// Drops the watchers, and tells the time.
    pub fn destroy<W>(&self, watchers: W) {
        let begin = Instant::now();
        drop(watchers);
        self.told("destroy", begin);
    }

    fn told(&self, metric: &str, begin: Instant) {
        println!("{metric} {:.4}", begin.elapsed().as_secs_f64() * 1e6 / f64::from(self.count));
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("statm") * rustix::param::page_size()
}
