//! A window of thumbnails, each drawn by a worker of its own and shown when it comes.
//! Run: `cargo run -p tine-winit --example thumbnails`, on X11 or Wayland. With `-- --once` it ends
//! when all are on the screen: `xvfb-run -a cargo run -p tine-winit --example thumbnails -- --once`
//!
//! ```text
//! main ─ fork the template ─ start the workers ─ event loop ◀─ woken up ─ tine-winit's thread
//!                               │ a memfd each                  ▲ worker has ended: its memfd is read
//!                               └──▶ worker draws into it ──────┘
//! ```

use rustix::fs::{MemfdFlags, memfd_create};
use softbuffer::{Context, Surface};
use std::error::Error;
use std::fs::File;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tine::{Template, Worker};
use tine_winit::Attachment;
use winit::application::ApplicationHandler;
use winit::dpi::LogicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop, OwnedDisplayHandle};
use winit::window::{Window, WindowId};

/// The edge of a thumbnail in pixels, and how many there are across and down.
const EDGE: usize = 128;
const ACROSS: usize = 4;
const DOWN: usize = 3;
/// What is shown where no thumbnail is yet, as all pixels here: 0x00RRGGBB.
const EMPTY: u32 = 0x0040_4040;

tine::entry!(DRAW = draw);

/// In the worker: draws a Julia set, another for each number, into the memory that it was sent.
fn draw(mut worker: Worker) -> tine::Result<()> {
    let memory = File::from(worker.take_fd()?);
    let number = String::from_utf8(worker.take_arg()?).map_err(tine::Error::other)?;
    let turn = number.parse::<f32>().map_err(tine::Error::other)? / (ACROSS * DOWN) as f32;
    let (imaginary, real) = (turn * std::f32::consts::TAU).sin_cos();
    let octets: Vec<u8> = (0..EDGE * EDGE)
        .flat_map(|at| {
            let place = |at: usize| at as f32 / EDGE as f32 * 3.0 - 1.5;
            pixel(place(at % EDGE), place(at / EDGE), 0.79 * real, 0.79 * imaginary).to_ne_bytes()
        })
        .collect();
    memory.write_all_at(&octets, 0)?;
    Ok(())
}

/// How fast a point leaves the circle of radius 2, as a colour.
fn pixel(mut x: f32, mut y: f32, real: f32, imaginary: f32) -> u32 {
    let mut steps = 0u8;
    while x * x + y * y < 4.0 && steps < 255 {
        (x, y) = (x * x - y * y + real, 2.0 * x * y + imaginary);
        steps += 1;
    }
    u32::from_be_bytes([0, steps, steps.wrapping_mul(5), steps.wrapping_mul(11)])
}

type Drawn = (usize, Vec<u32>);

/// Starts the worker of a thumbnail. What it drew goes to the window's side as a message, because the
/// queue's callbacks know nothing of it.
fn start(template: &Template, number: usize, drawn: Sender<Drawn>) -> tine::Result<()> {
    let memory = File::from(memfd_create("thumbnail", MemfdFlags::CLOEXEC)?);
    let process = template.fork().send_fd(memory.try_clone()?).send_arg(number.to_string());
    let running = process.run(DRAW, |socket| match socket {
        // Nothing is said over it; it ends with the worker.
        Ok(_socket) => {}
        Err(error) => eprintln!("{error}"),
    });
    running.on_exit(move |exit| match (exit.success(), pixels(&memory)) {
        (true, Ok(pixels)) => drop(drawn.send((number, pixels))),
        (true, Err(error)) => eprintln!("{exit}, and its picture cannot be read: {error}"),
        (false, _) => eprintln!("{exit}"),
    });
    Ok(())
}

fn pixels(memory: &File) -> std::io::Result<Vec<u32>> {
    let mut octets = vec![0; EDGE * EDGE * 4];
    memory.read_exact_at(&mut octets, 0)?;
    let pixels = octets.as_chunks::<4>().0.iter().copied().map(u32::from_ne_bytes);
    Ok(pixels.collect())
}

struct Thumbnails {
    queue: Attachment,
    drawn: Receiver<Drawn>,
    pictures: Vec<Option<Vec<u32>>>,
    display: Context<OwnedDisplayHandle>,
    surface: Option<Surface<OwnedDisplayHandle, Rc<Window>>>,
    /// End when all are on the screen.
    once: bool,
    /// What ended the loop before its time.
    failed: Option<Box<dyn Error>>,
}

impl Thumbnails {
    fn show(&mut self) -> Result<(), Box<dyn Error>> {
        let Some(surface) = &mut self.surface else { return Ok(()) };
        let size = surface.window().inner_size();
        let (Some(width), Some(height)) =
            (NonZeroU32::new(size.width), NonZeroU32::new(size.height))
        else {
            return Ok(());
        };
        surface.resize(width, height)?;
        let mut buffer = surface.buffer_mut()?;
        let width = size.width as usize;
        for (at, pixel) in buffer.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            let picture =
                (x / EDGE < ACROSS).then(|| self.pictures.get(y / EDGE * ACROSS + x / EDGE));
            let picture = picture.flatten().and_then(Option::as_ref);
            *pixel = picture.map_or(EMPTY, |picture| picture[y % EDGE * EDGE + x % EDGE]);
        }
        buffer.present()?;
        Ok(())
    }

    /// What the queue's callbacks have sent.
    fn take_in(&mut self) {
        let mut came = false;
        for (number, pixels) in self.drawn.try_iter() {
            self.pictures[number] = Some(pixels);
            came = true;
        }
        if let (true, Some(surface)) = (came, &self.surface) {
            surface.window().request_redraw();
        }
    }

    fn open(&mut self, event_loop: &ActiveEventLoop) -> Result<(), Box<dyn Error>> {
        let size = LogicalSize::new((ACROSS * EDGE) as u32, (DOWN * EDGE) as u32);
        let attributes = Window::default_attributes().with_title("tine").with_inner_size(size);
        let window = Rc::new(event_loop.create_window(attributes)?);
        self.surface = Some(Surface::new(&self.display, window)?);
        Ok(())
    }

    fn check(&mut self, event_loop: &ActiveEventLoop, result: Result<(), Box<dyn Error>>) {
        if let Err(error) = result {
            self.failed = Some(error);
            event_loop.exit();
        }
    }
}

impl ApplicationHandler for Thumbnails {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        let opened = self.open(event_loop);
        self.check(event_loop, opened);
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::RedrawRequested => {
                let shown = self.show();
                self.check(event_loop, shown);
                if self.once && self.pictures.iter().all(Option::is_some) {
                    event_loop.exit();
                }
            }
            WindowEvent::CloseRequested => event_loop.exit(),
            _ => {}
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let turn = self.queue.dispatch();
        self.check(event_loop, turn.map(drop).map_err(Into::into));
        self.take_in();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let template = Template::early()?;
    let (sender, drawn) = channel();
    for number in 0..ACROSS * DOWN {
        start(&template, number, sender.clone())?;
    }

    let event_loop = EventLoop::new()?;
    let mut thumbnails = Thumbnails {
        queue: tine_winit::attach(&tine::queue(), event_loop.create_proxy(), || ())?,
        drawn,
        pictures: vec![None; ACROSS * DOWN],
        display: Context::new(event_loop.owned_display_handle())?,
        surface: None,
        once: std::env::args().any(|argument| argument == "--once"),
        failed: None,
    };
    event_loop.run_app(&mut thumbnails)?;
    thumbnails.failed.map_or(Ok(()), Err)
}
