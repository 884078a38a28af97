//! The loops without tine, each as its own programs would have it.

use super::Counted;
use async_executor::LocalExecutor;
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use glib::{ControlFlow, IOCondition, SourceId};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

/// Sources, which are removed when dropped.
struct Sources(Vec<SourceId>);

impl Drop for Sources {
    fn drop(&mut self) {
        self.0.drain(..).for_each(SourceId::remove);
    }
}

/// A source for each watcher.
pub fn glib(counted: &Counted) {
    let (_read, write) = rustix::pipe::pipe().expect("a pipe");
    let watchers = counted.create(|| {
        let mut sources = Sources(Vec::new());
        for _ in 0..counted.half() {
            let called = counted.call();
            let number = write.as_raw_fd();
            sources.0.push(glib_unix::unix_fd_add_local(number, IOCondition::OUT, move |_, _| {
                called();
                ControlFlow::Continue
            }));
            let called = counted.call();
            sources.0.push(glib::timeout_add_local(Duration::ZERO, move || {
                called();
                ControlFlow::Continue
            }));
        }
        sources
    });
    let context = glib::MainContext::default();
    counted.invoke(|over| {
        while !over() {
            context.iteration(true);
        }
    });
    counted.destroy(watchers);
}

/// A source for each watcher, each descriptor a copy.
pub fn calloop(counted: &Counted) {
    let (_read, write) = rustix::pipe::pipe().expect("a pipe");
    let mut event_loop = calloop::EventLoop::<()>::try_new().expect("an event loop");
    let copies: Vec<_> =
        (0..counted.half()).map(|_| write.try_clone().expect("a descriptor")).collect();
    let handle = event_loop.handle();
    let tokens = counted.create(|| {
        let mut tokens = Vec::new();
        for fd in copies {
            let called = counted.call();
            let io = Generic::new(fd, Interest::WRITE, Mode::Level);
            let source = handle.insert_source(io, move |_, _, ()| {
                called();
                Ok(PostAction::Continue)
            });
            tokens.push(source.expect("a source"));
            let called = counted.call();
            let source = handle.insert_source(Timer::immediate(), move |_, _, ()| {
                called();
                TimeoutAction::Drop
            });
            tokens.push(source.expect("a timer"));
        }
        tokens
    });
    counted.invoke(|over| {
        while !over() {
            event_loop.dispatch(None, &mut ()).expect("a turn");
        }
    });
    counted.destroy(Inserted(tokens, handle));
}

/// Sources of calloop, which are removed when dropped.
struct Inserted(Vec<RegistrationToken>, LoopHandle<'static, ()>);

impl Drop for Inserted {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|token| self.1.remove(token));
    }
}

/// A task for each watcher; those of the descriptor share it, as async-io takes one once.
pub fn async_io(counted: &Counted) {
    let (_read, write) = rustix::pipe::pipe().expect("a pipe");
    let fd = Rc::new(async_io::Async::new(write).expect("a descriptor"));
    let executor = counted.create(|| {
        let executor = LocalExecutor::new();
        for _ in 0..counted.half() {
            let (fd, called) = (Rc::clone(&fd), counted.call());
            let io = async move {
                fd.writable().await.expect("a reactor");
                called();
                std::future::pending::<()>().await;
            };
            executor.spawn(io).detach();
            let called = counted.call();
            let timer = async move {
                async_io::Timer::after(Duration::ZERO).await;
                called();
                std::future::pending::<()>().await;
            };
            executor.spawn(timer).detach();
        }
        executor
    });
    counted.invoke(|over| {
        async_io::block_on(async {
            while !over() {
                executor.tick().await;
            }
        });
    });
    counted.destroy(executor);
    std::process::exit(0);
}
