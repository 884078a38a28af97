//! A picture that moves: a worker of its own gives its frames, each is shown when its time has come.
//!
//! ```text
//!   worker ──frame──▶ ready ──its time──▶ shown
//!     ▲─────────────── next ────────────────┘
//! ```
//! The next frames are asked for while the last one is shown, and no more than [`AHEAD`] of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use gtk4::gdk;
use tine::{Template, Timer, rpc};
use tine_viewer::layout::{Layout, PixelFormat, Size};
use tine_viewer::worker::{ANIMATE, Play, Shown, sandbox};

use crate::texture::texture;

/// Frames that are decoded, or being so, while one is shown.
const AHEAD: usize = 2;

/// A film that runs. When it is dropped it stops, and its worker leaves.
pub struct Animation(Rc<Inside>);

struct Inside {
    worker: rpc::Client<Play, Option<Shown>>,
    show: Box<dyn Fn(gdk::Texture)>,
    /// Not shown yet.
    ready: RefCell<VecDeque<(gdk::Texture, Duration)>>,
    /// How many are being made.
    asked: Cell<usize>,
    /// When the next one is to be shown.
    due: Cell<Instant>,
    timer: RefCell<Option<Timer>>,
    /// The last frame was there, or there is no next one for another reason.
    over: Cell<bool>,
}

impl Animation {
    /// Runs the film in `file`; `show` is called with each frame at its time.
    pub fn start(
        template: &Template,
        file: OwnedFd,
        show: impl Fn(gdk::Texture) + 'static,
    ) -> Self {
        let inside = Rc::new(Inside {
            worker: rpc::Client::run(template.fork().sandbox(&sandbox()), ANIMATE),
            show: Box::new(show),
            ready: RefCell::default(),
            asked: Cell::new(0),
            due: Cell::new(Instant::now()),
            timer: RefCell::default(),
            over: Cell::new(false),
        });
        inside.ask(&Play::Begin(file.into()));
        Self(inside)
    }
}

impl Drop for Animation {
    fn drop(&mut self) {
        // It may be in the middle of a frame, for which nobody waits any more. It may have ended, too.
        let _ended = self.0.worker.kill(rustix::process::Signal::KILL.as_raw());
    }
}

impl Inside {
    fn ask(self: &Rc<Self>, request: &Play) {
        self.asked.set(self.asked.get() + 1);
        let inside = Rc::downgrade(self);
        self.worker.call(request, move |answer| {
            if let Some(inside) = Weak::upgrade(&inside) {
                inside.answered(answer);
            }
        });
    }

    fn answered(self: &Rc<Self>, answer: Result<Option<Shown>, rpc::Error>) {
        self.asked.set(self.asked.get() - 1);
        // Of a film that breaks off the last frame stays.
        match answer.ok().flatten().and_then(frame) {
            Some(frame) => self.ready.borrow_mut().push_back(frame),
            None => self.over.set(true),
        }
        self.go_on();
    }

    /// Shows a frame if one is ready and due, and sees to it that more come.
    fn go_on(self: &Rc<Self>) {
        while !self.over.get() && self.asked.get() + self.ready.borrow().len() < AHEAD {
            self.ask(&Play::Next);
        }
        let wait = self.due.get().saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            let inside = Rc::downgrade(self);
            let timer = tine::queue().after(wait, move || {
                inside.upgrade().inspect(Self::go_on);
            });
            self.timer.replace(Some(timer));
            return;
        }
        let Some((texture, length)) = self.ready.borrow_mut().pop_front() else { return };
        // One that came late moves the others, too: none is left out.
        self.due.set(Instant::now() + length);
        (self.show)(texture);
        self.go_on();
    }
}

/// A frame and how long it is shown; `None` if the worker lies about it.
fn frame(shown: Shown) -> Option<(gdk::Texture, Duration)> {
    let Shown { pixels, width, height, millis } = shown;
    let (stride, format) = (width.checked_mul(4)?, PixelFormat::Rgba8Premultiplied);
    let layout = Layout { size: Size::new(width, height), stride, format };
    let texture = texture(pixels, layout).ok()?;
    Some((texture, Duration::from_millis(millis.into())))
}
