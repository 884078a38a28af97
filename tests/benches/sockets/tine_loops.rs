//! tine: the same watchers, on whatever loop.

use super::pairs::{HOUR, Load, Pairs};
use rustix::io::{read, write};
use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;
use tine::{Interest, Io, Queue, Timer};

/// The embedded loop.
pub fn embedded(load: Load) {
    let queue = tine::queue();
    measure(&queue, load, |over| queue.run_until(over).expect("a queue"));
}

/// A main context of GLib.
pub fn glib(load: Load) {
    let queue = tine::queue();
    tine_glib::attach(&queue);
    let context = glib::MainContext::default();
    measure(&queue, load, |over| {
        while !over() {
            context.iteration(true);
        }
    });
}

/// An event loop of calloop.
pub fn calloop(load: Load) {
    let queue = tine::queue();
    let mut event_loop = calloop::EventLoop::<()>::try_new().expect("an event loop");
    let source = tine_calloop::QueueSource::new(queue.clone());
    event_loop.handle().insert_source(source, |_, _, _| ()).expect("a source");
    measure(&queue, load, |over| {
        while !over() {
            event_loop.dispatch(None, &mut ()).expect("a turn");
        }
    });
}

/// async-io's reactor, polled by this thread.
pub fn async_io(load: Load) {
    let queue = tine::queue();
    let run = tine_async_io::run(&queue);
    measure(&queue, load, |over| {
        let mut run = pin!(run);
        async_io::block_on(std::future::poll_fn(|context| {
            let ended = run.as_mut().poll(context).is_ready();
            if ended || over() { Poll::Ready(()) } else { Poll::Pending }
        }));
    });
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
fn measure(queue: &Queue, load: Load, run: impl FnOnce(&mut dyn FnMut() -> bool)) {
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
