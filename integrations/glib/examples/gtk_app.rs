//! A GTK program with a worker: the README's, whole. Run: `cargo run -p tine-glib --example gtk_app`
//!
//! With `--quit` it ends when the answer is on screen, and with 1 when there is none.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use gtk4::prelude::*;
use gtk4::{self as gtk, glib};
use tine::Interest;

tine::entry!(SHOUT = shout);

fn shout(mut worker: tine::Worker) -> tine::Result<()> {
    let words = worker.take_arg()?.to_ascii_uppercase();
    Ok(worker.socket().write_all(&words)?)
}

fn main() -> glib::ExitCode {
    let template = tine::Template::early().expect("nothing before this line");
    let app =
        gtk::Application::new(Some("org.example.App"), gtk::gio::ApplicationFlags::NON_UNIQUE);
    app.connect_activate(move |app| {
        tine_glib::attach(&tine::queue());
        let label = gtk::Label::new(None);
        gtk::ApplicationWindow::builder().application(app).child(&label).build().present();
        template.fork().send_arg("hello").run(SHOUT, move |socket| show(socket, label));
    });
    let quit = std::env::args().any(|arg| arg == "--quit");
    if quit { run_until_answer(&app) } else { app.run() }
}

/// Shows what comes over the socket, until it ends.
fn show(socket: tine::Result<UnixStream>, label: gtk::Label) {
    let watcher = Rc::new(Cell::new(None));
    let own = Rc::clone(&watcher);
    let reading = socket.and_then(|socket| {
        tine::queue().io(socket, Interest::READABLE, move |mut socket, _| {
            let mut text = [0; 256];
            match socket.read(&mut text) {
                Ok(got @ 1..) => label.set_text(&String::from_utf8_lossy(&text[..got])),
                // The end, or an error: either way nothing more comes.
                _ => drop(own.take()),
            }
        })
    });
    match reading {
        Ok(io) => watcher.set(Some(io)),
        Err(error) => eprintln!("{error}"),
    }
}

fn run_until_answer(app: &gtk::Application) -> glib::ExitCode {
    let answered = Rc::new(Cell::new(false));
    let seen = Rc::clone(&answered);
    app.connect_window_added(move |app, window| {
        let (app, seen) = (app.clone(), Rc::clone(&seen));
        window.connect_child_notify(move |window| {
            let label = window.child().and_downcast::<gtk::Label>();
            let (app, seen) = (app.clone(), Rc::clone(&seen));
            if let Some(label) = label {
                label.connect_label_notify(move |label| {
                    seen.set(label.text() == "HELLO");
                    app.quit();
                });
            }
        });
        window.notify("child");
    });
    app.run_with_args::<&str>(&[]);
    if answered.get() { glib::ExitCode::SUCCESS } else { glib::ExitCode::FAILURE }
}
