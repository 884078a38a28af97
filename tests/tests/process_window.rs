//! F26: a worker opens a window of its own while the app's is open. A program of its own, as GTK lives in it.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::rc::Rc;

use gtk4::glib;
use gtk4::prelude::*;
use tine::{Template, Worker};
use tine_tests::servers::{Server, with_server};
use tine_tests::told::DEADLINE;

fn main() -> ExitCode {
    with_server(Server::xvfb, client)
}

tine::entry!(WINDOW = window);
fn window(worker: Worker) -> Result<(), Box<dyn std::error::Error>> {
    open()?;
    let mut socket = worker.socket();
    socket.write_all(b"shown")?;
    // It is there until the app closes its end.
    Ok(socket.read(&mut [0]).map(drop)?)
}

/// Opens a window, and runs the main loop until it is on the screen.
fn open() -> Result<gtk4::Window, glib::BoolError> {
    gtk4::init()?;
    let window = gtk4::Window::builder().title("tine").build();
    window.present();
    while !window.is_mapped() {
        glib::MainContext::default().iteration(true);
    }
    Ok(window)
}

/// Two workers, each with a window beside the app's; then all of them end in order.
fn client() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let own = open().expect("a window");
    let queue = tine::queue();
    tine_glib::attach(&queue);
    let ended = Rc::new(Cell::new(0));
    let main = glib::MainLoop::new(None, false);
    for _ in 0..2 {
        let (ended, main) = (Rc::clone(&ended), main.clone());
        let told = move |socket: tine::Result<std::os::unix::net::UnixStream>| {
            let mut socket = socket.expect("a worker");
            socket.set_nonblocking(false).expect("a socket");
            socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
            let mut word = [0; 5];
            socket.read_exact(&mut word).expect("a window in time");
            assert_eq!(&word, b"shown");
        };
        template.fork().run(WINDOW, told).on_exit(move |exit| {
            assert!(exit.success(), "{exit}");
            ended.set(ended.get() + 1);
            if ended.get() == 2 {
                main.quit();
            }
        });
    }
    main.run();
    assert!(own.is_mapped() && ended.get() == 2);
    println!(
        "test a_window_of_its_own ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"
    );
    ExitCode::SUCCESS
}
