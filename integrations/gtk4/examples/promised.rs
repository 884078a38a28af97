//! A worker draws into shared memory; the program shows it without copying. One of two promises is broken.
//!
//! With `--quit` it ends when both are settled.

use std::cell::{Cell, RefCell};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use gtk4::prelude::*;
use gtk4::{gdk, gio, glib};
use tine::{Error, Interest, Shared, SharedMut};
use tine_gtk4::Promised;

tine::entry!(PAINT = paint);

const SIDE: u32 = 192;

/// Paints a ramp and sends it; or fails, as told.
fn paint(mut worker: tine::Worker) -> tine::Result<()> {
    if worker.take_arg()? != b"well" {
        return Err(Error::other("no paint is left"));
    }
    let mut pixels = SharedMut::new((SIDE * SIDE * 4) as usize)?;
    for (n, pixel) in pixels.chunks_exact_mut(4).enumerate() {
        let (x, y) = (n as u32 % SIDE, n as u32 / SIDE);
        pixel.copy_from_slice(&[(x * 255 / SIDE) as u8, (y * 255 / SIDE) as u8, 128, 255]);
    }
    tine::send_fds(worker.socket(), b"!", &[pixels.seal()?.as_fd()])?;
    Ok(())
}

fn main() -> glib::ExitCode {
    let template = tine::Template::early().expect("nothing before this line");
    let flags = gio::ApplicationFlags::NON_UNIQUE;
    let app = gtk4::Application::new(Some("org.example.Promised"), flags);
    tine_gtk4::attach(&app);
    let quit = std::env::args().any(|arg| arg == "--quit");
    let kept = Rc::new(Cell::new(0));
    let count = Rc::clone(&kept);
    app.connect_activate(move |app| {
        let row = gtk4::Box::new(gtk4::Orientation::Horizontal, 12);
        let left = Rc::new(Cell::new(2));
        for how in ["well", "badly"] {
            let promised = Promised::new(SIDE as i32, SIDE as i32);
            row.append(&gtk4::Picture::for_paintable(&promised));
            let shown = promised.clone();
            let (app, left, count) = (app.clone(), Rc::clone(&left), Rc::clone(&count));
            let answer = move |socket| watch(socket, shown);
            template.fork().send_arg(how).run(PAINT, answer).on_exit(move |exit| {
                if exit.success() {
                    count.set(count.get() + 1);
                } else {
                    promised.fail(&exit);
                }
                left.set(left.get() - 1);
                if quit && left.get() == 0 {
                    app.quit();
                }
            });
        }
        gtk4::ApplicationWindow::builder().application(app).child(&row).build().present();
    });
    app.run_with_args::<&str>(&[]);
    if quit && kept.get() != 1 { glib::ExitCode::FAILURE } else { glib::ExitCode::SUCCESS }
}

/// Keeps the promise with what comes over the socket.
fn watch(socket: tine::Result<UnixStream>, promised: Promised) {
    let watcher = Rc::new(RefCell::new(None));
    let own = Rc::clone(&watcher);
    let kept = promised.clone();
    let watching = socket.and_then(|socket| {
        tine::queue().io(socket, Interest::READABLE, move |socket, _| {
            // One message: the end of the socket, and the worker's, is told to `on_exit`.
            drop(own.take());
            match receive(socket) {
                Ok(texture) => kept.keep(&texture),
                Err(error) => kept.fail(error),
            }
        })
    });
    match watching {
        Ok(io) => drop(watcher.replace(Some(io))),
        Err(error) => promised.fail(error),
    }
}

fn receive(socket: &UnixStream) -> tine::Result<gdk::Texture> {
    let (_, mut fds) = tine::receive_fds(socket, &mut [0])?;
    let pixels = fds.pop().ok_or_else(|| Error::other("there is no picture in the answer"))?;
    let format = gdk::MemoryFormat::R8g8b8a8Premultiplied;
    tine_gtk4::texture(Shared::from_fd(pixels)?, SIDE, SIDE, 4 * SIDE as usize, format)
}
