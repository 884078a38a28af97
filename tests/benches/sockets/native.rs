//! The loops without tine, each as its own programs would have it.

use super::pairs::{HOUR, Load, Pairs};
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Dispatcher, EventLoop, Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use glib::{ControlFlow, IOCondition, SourceId};
use rustix::io::{read, write};
use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Pairs whose readers and timeouts are of kind `C`.
struct Conns<C> {
    all: OnceCell<Vec<(OwnedFd, C)>>,
    pairs: Pairs,
    over: Cell<bool>,
}

impl<C> Conns<C> {
    /// Makes the pairs by `make`, which is given the end to read and the pair's number, and sets some
    /// going.
    fn create(load: Load, mut make: impl FnMut(&Rc<Self>, OwnedFd, usize) -> C) -> Rc<Self> {
        let (all, pairs, over) = (OnceCell::new(), Pairs::new(), Cell::new(false));
        let conns = Rc::new(Conns { all, pairs, over });
        let begin = Instant::now();
        let mut made = Vec::with_capacity(load.pairs);
        for own in 0..load.pairs {
            let (read, write) = super::pairs::pair();
            made.push((write, make(&conns, read, own)));
        }
        load.created(begin);
        for _ in 0..load.active {
            write(&made[conns.pairs.any(load.pairs)].0, b"x").expect("room for an octet");
        }
        assert!(conns.all.set(made).is_ok(), "made once");
        conns
    }

    /// Serves one request, and gives the watchers of the pair that it came from.
    fn request(&self, fd: BorrowedFd<'_>, own: usize) -> &C {
        let all = self.all.get().expect("all are made");
        let mut octet = [0];
        read(fd, &mut octet).expect("an octet to read");
        write(&all[self.pairs.any(all.len())].0, &octet).expect("room for an octet");
        self.pairs.count();
        &all[own].1
    }
}

fn late() -> ! {
    panic!("a request took an hour")
}

/// A source for each descriptor. GLib has no way to put a timeout off: it is removed and made anew.
pub fn glib(load: Load) {
    let timeout = || glib::timeout_add_local_once(HOUR, || late());
    let conns = Conns::create(load, |conns: &Rc<Conns<Cell<Option<SourceId>>>>, fd, own| {
        let conns = Rc::clone(conns);
        let number = fd.as_raw_fd();
        glib_unix::unix_fd_add_local(number, IOCondition::IN, move |_, _| {
            let slot = conns.request(fd.as_fd(), own);
            if let Some(former) = slot.replace(Some(timeout())) {
                former.remove();
            }
            ControlFlow::Continue
        });
        Cell::new(Some(timeout()))
    });
    let stop = Rc::clone(&conns);
    glib::timeout_add_local_once(load.window, move || stop.over.set(true));
    let (context, begin) = (glib::MainContext::default(), Instant::now());
    while !conns.over.get() {
        context.iteration(true);
    }
    conns.pairs.told(begin);
}

type Clock = (Dispatcher<'static, Timer, ()>, RegistrationToken);

/// A source for each descriptor, and one for each timer.
pub fn calloop(load: Load) {
    let mut event_loop = EventLoop::<()>::try_new().expect("an event loop");
    let handle = event_loop.handle();
    let conns = Conns::create(load, |conns: &Rc<Conns<Clock>>, fd, own| {
        let (conns, again) = (Rc::clone(conns), handle.clone());
        let source = Generic::new(fd, Interest::READ, Mode::Level);
        let readable = handle.insert_source(source, move |_, fd, ()| {
            let (timer, token) = conns.request(fd.as_fd(), own);
            timer.as_source_mut().set_duration(HOUR);
            again.update(token)?;
            Ok(PostAction::Continue)
        });
        readable.expect("a source");
        clock(&handle)
    });
    let (stop, window) = (Rc::clone(&conns), Timer::from_duration(load.window));
    let stopper = handle.insert_source(window, move |_, _, ()| {
        stop.over.set(true);
        TimeoutAction::Drop
    });
    stopper.expect("a timer");
    let begin = Instant::now();
    while !conns.over.get() {
        event_loop.dispatch(None, &mut ()).expect("a turn");
    }
    conns.pairs.told(begin);
}

fn clock(handle: &LoopHandle<'static, ()>) -> Clock {
    let timer = Dispatcher::new(Timer::from_duration(HOUR), |_, _, _: &mut ()| late());
    let token = handle.register_dispatcher(timer.clone()).expect("a timer");
    (timer, token)
}

/// A task for each pair, that waits for its descriptor or its timer.
pub fn async_io(load: Load) {
    let executor = async_executor::LocalExecutor::new();
    let conns = Conns::create(load, |conns: &Rc<Conns<()>>, fd, own| {
        let conns = Rc::clone(conns);
        let fd = async_io::Async::new_nonblocking(fd).expect("a descriptor");
        let timeout = RefCell::new(async_io::Timer::after(HOUR));
        let request = move |context: &mut Context<'_>| -> Poll<Infallible> {
            loop {
                if Pin::new(&mut *timeout.borrow_mut()).poll(context).is_ready() {
                    late();
                }
                ready!(fd.poll_readable(context)).expect("a reactor");
                conns.request(fd.as_fd(), own);
                timeout.borrow_mut().set_after(HOUR);
            }
        };
        executor.spawn(std::future::poll_fn(request)).detach();
    });
    let begin = Instant::now();
    let over = async_io::Timer::after(load.window);
    async_io::block_on(executor.run(pin!(over)));
    conns.pairs.told(begin);
    std::process::exit(0);
}
