//! tine: the same watchers, on whatever loop.

use super::hosts;
use super::pairs::{HOUR, Load, Pairs};
use rustix::io::{read, write};
use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;
use tine::{Interest, Io, Queue, Timer};

/// Runs a case `tine-…`.
pub fn run(case: &str, load: Load) {
    let queue = tine::queue();
    let run = hosts::attach(case, &queue).unwrap_or_else(|| panic!("no case {case}"));
    measure(&queue, load, run);
}

struct Conn {
    write: OwnedFd,
    timeout: Timer,
    _readable: Io,
}

struct Conns {
    all: OnceCell<Vec<Conn>>,
    pairs: Pairs,
}

/// Makes the pairs, sets some going, and lets `run` run the loop until it is over.
fn measure(queue: &Queue, load: Load, run: hosts::Run) {
    let conns = Rc::new(Conns { all: OnceCell::new(), pairs: Pairs::new() });
    let begin = Instant::now();
    let made: Vec<Conn> = (0..load.pairs).map(|own| conn(queue, &conns, own)).collect();
    load.created(begin);
    for _ in 0..load.active {
        write(&made[conns.pairs.any(load.pairs)].write, b"x").expect("room for an octet");
    }
    assert!(conns.all.set(made).is_ok(), "made once");
    let over = Rc::new(Cell::new(false));
    let stop = Rc::clone(&over);
    let _stop = queue.after(load.window, move || stop.set(true));
    let begin = Instant::now();
    run(&mut || over.get());
    conns.pairs.told(begin);
}

fn conn(queue: &Queue, conns: &Rc<Conns>, own: usize) -> Conn {
    let (read, write) = super::pairs::pair();
    let timeout = queue.after(HOUR, || panic!("a request took an hour"));
    let conns = Rc::clone(conns);
    let readable = queue.io(read, Interest::READABLE, move |read, _| conns.request(read, own));
    Conn { write, timeout, _readable: readable.expect("a watcher") }
}

impl Conns {
    fn request(&self, fd: &OwnedFd, own: usize) {
        let all = self.all.get().expect("all are made");
        let mut octet = [0];
        read(fd, &mut octet).expect("an octet to read");
        write(&all[self.pairs.any(all.len())].write, &octet).expect("room for an octet");
        all[own].timeout.reset(HOUR);
        self.pairs.count();
    }
}
