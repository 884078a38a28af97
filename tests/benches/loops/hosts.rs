//! The loops that tine is measured on: a queue is attached, and the loop runs until it is over.

use crate::loops::Program;
use std::ffi::OsStr;
use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::task::Poll;
use tine::Queue;
use tine_tests::servers::Server;
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::window::WindowId;

/// Runs the loop until what it asks after each turn says that it is over.
pub type Run = Box<dyn FnOnce(&mut dyn FnMut() -> bool)>;

/// Attaches `queue` to the loop that a case `tine-…` names; None: it names no loop.
pub fn attach(case: &str, queue: &Queue) -> Option<Run> {
    Some(match case {
        "tine-embedded" => embedded(queue.clone()),
        "tine-glib" => glib(queue),
        "tine-calloop" => calloop(queue),
        "tine-winit" => winit(queue),
        "tine-async-io" => async_io(queue.clone()),
        _ => return None,
    })
}

fn embedded(queue: Queue) -> Run {
    Box::new(move |over| queue.run_until(over).expect("a queue"))
}

/// A main context of GLib.
fn glib(queue: &Queue) -> Run {
    tine_glib::attach(queue);
    let context = glib::MainContext::default();
    Box::new(move |over| {
        while !over() {
            context.iteration(true);
        }
    })
}

/// An event loop of calloop.
fn calloop(queue: &Queue) -> Run {
    let mut event_loop = calloop::EventLoop::<()>::try_new().expect("an event loop");
    let source = tine_calloop::QueueSource::new(queue.clone());
    event_loop.handle().insert_source(source, |_, _, _| ()).expect("a source");
    Box::new(move |over| {
        while !over() {
            event_loop.dispatch(None, &mut ()).expect("a turn");
        }
    })
}

/// async-io's reactor, polled by this thread.
fn async_io(queue: Queue) -> Run {
    Box::new(move |over| {
        let mut run = pin!(tine_async_io::run(&queue));
        async_io::block_on(std::future::poll_fn(|context| {
            let ended = run.as_mut().poll(context).is_ready();
            if ended || over() { Poll::Ready(()) } else { Poll::Pending }
        }));
    })
}

/// A loop of winit's, with no window.
fn winit(queue: &Queue) -> Run {
    let event_loop = EventLoop::new().expect("a display");
    let queue = tine_winit::attach(queue, event_loop.create_proxy(), || ()).expect("a thread");
    Box::new(move |over| event_loop.run_app(&mut App { queue, over }).expect("a loop"))
}

struct App<'a> {
    queue: tine_winit::Attachment,
    over: &'a mut dyn FnMut() -> bool,
}

impl ApplicationHandler for App<'_> {
    fn resumed(&mut self, _: &ActiveEventLoop) {}

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, _: WindowEvent) {}

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        self.queue.dispatch().expect("a queue");
        if (self.over)() {
            event_loop.exit();
        }
    }
}

/// The X server of the cases that need a display, for as long as the bench runs.
pub fn display() -> Result<Server, String> {
    Server::xvfb().map_err(|error| format!("needs Xvfb: {error}"))
}

/// This program as a client of `server`.
pub fn on_display(server: &Result<Server, String>, program: Program) -> Program {
    let server = server.as_ref().map_err(String::clone)?;
    let mut client = Command::new("env");
    server.let_in(&mut client);
    let mut words = vec!["env".to_owned()];
    let text = |word: &OsStr| word.to_string_lossy().into_owned();
    for (name, value) in client.get_envs() {
        match value {
            Some(value) => words.push(format!("{}={}", text(name), text(value))),
            None => words.extend(["-u".into(), text(name)]),
        }
    }
    // `env` takes options before assignments.
    words.sort_by_key(|word| word.contains('='));
    words.extend(program?);
    Ok(words)
}
