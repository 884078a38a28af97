//! tine: the same watchers, on whatever loop.

use super::random::Random;
use rustix::io::{read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::{Interest, Io, Queue, Timer};

const HOUR: Duration = Duration::from_secs(3600);

/// The embedded loop.
pub fn embedded(pairs: usize, active: usize, window: usize) {
    let queue = tine::queue();
    measure(&queue, pairs, active, window, |over| queue.run_until(over).expect("a queue"));
}

/// All pairs of a case.
struct Pairs {
    all: OnceCell<Vec<Pair>>,
    random: Random,
    requests: Cell<u32>,
}

struct Pair {
    write: OwnedFd,
    timeout: Timer,
    _readable: Io,
}

/// Makes the pairs, sets some going, and lets `run` run the loop until it is over.
fn measure(
    queue: &Queue,
    pairs: usize,
    active: usize,
    window: usize,
    run: impl FnOnce(&mut dyn FnMut() -> bool),
) {
    let all = OnceCell::new();
    let pairs_of_case = Rc::new(Pairs { all, random: Random::new(), requests: Cell::new(0) });
    let begin = Instant::now();
    let made = (0..pairs).map(|own| pair(queue, &pairs_of_case, own)).collect();
    println!("create {:.4}", micros(begin) / pairs as f64);
    let pairs = pairs_of_case;
    assert!(pairs.all.set(made).is_ok(), "made once");
    for _ in 0..active {
        write(&pairs.any().write, b"x").expect("room for an octet");
    }
    let over = Rc::new(Cell::new(false));
    let stop = Rc::clone(&over);
    let _stop = queue.after(Duration::from_millis(window as u64), move || stop.set(true));
    let begin = Instant::now();
    run(&mut || over.get());
    println!("request {:.4}", micros(begin) / f64::from(pairs.requests.get()));
}

fn pair(queue: &Queue, pairs: &Rc<Pairs>, own: usize) -> Pair {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (read, write) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a pair");
    let timeout = queue.after(HOUR, || panic!("a request took an hour"));
    let pairs = Rc::clone(pairs);
    let readable = queue.io(read, Interest::READABLE, move |read, _| pairs.request(read, own));
    Pair { write, timeout, _readable: readable.expect("a watcher") }
}

impl Pairs {
    fn request(&self, fd: &OwnedFd, own: usize) {
        let mut octet = [0];
        read(fd, &mut octet).expect("an octet to read");
        write(&self.any().write, &octet).expect("room for an octet");
        self.all()[own].timeout.reset(HOUR);
        self.requests.set(self.requests.get() + 1);
    }

    fn any(&self) -> &Pair {
        let all = self.all();
        &all[self.random.below(all.len())]
    }

    fn all(&self) -> &[Pair] {
        self.all.get().expect("all pairs are made")
    }
}

fn micros(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6
}
