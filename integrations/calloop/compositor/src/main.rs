//! A small Wayland compositor: no screen, no input devices, drawn by the processor.
//!
//! It exists to show [tine](../../../core) in a program on calloop. Its template is forked first thing in
//! `main`; from it come a worker that decodes the wallpaper, workers that encode screenshots, and the
//! client that it is given, and it hears of all of them through `tine-calloop`.
//!
//! ```text
//! options     what the command line asks for
//! compositor  the loop's data, and what it hears ([`Heard`])
//! windows     the life of a window, and frames
//! protocols   what smithay asks of the loop's data, one Wayland protocol after the other
//! screen      pixels: the wallpaper and windows, drawn into memory
//! wallpaper   app and worker: a file → pixels in sealed memory
//! screenshot  app and worker: pixels in sealed memory → a PNG file
//! client      a program with a socket of its own
//! ```
//!
//! What happens it tells on standard output, one line each.

#![forbid(unsafe_code)]

mod client;
mod compositor;
mod options;
mod protocols;
mod screen;
mod screenshot;
mod wallpaper;
mod windows;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};
use rustix::process::Signal;
use smithay::reexports::wayland_server::Display;
use smithay::wayland::socket::ListeningSocketSource;
use tine::Template;
use tine_calloop::QueueSource;

use compositor::{Compositor, Heard};
use options::{Command, Options};

fn main() -> ExitCode {
    let template = match Template::early() {
        Ok(template) => template,
        Err(error) => return fail(&error),
    };
    match Command::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => run(template, options).unwrap_or_else(|error| fail(&*error)),
        Ok(Command::Print(text)) => {
            tell(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("tine-compositor: {error}");
    ExitCode::FAILURE
}

/// Prints a line. Nobody may be listening any more, and that is no reason to take windows away.
fn tell(line: &str) {
    let _gone = writeln!(std::io::stdout(), "{}", line.trim_end());
}

fn run(template: Template, options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let mut event_loop = EventLoop::<Compositor>::try_new()?;
    let handle = event_loop.handle();

    let queue = QueueSource::new(tine::queue());
    handle.insert_source(queue, |_, _, compositor| compositor.take_in())?;
    let (sender, heard) = channel();
    watch_signals(&sender)?;

    let display = Display::new()?;
    let clients = display.handle();
    let name = listen(&handle)?;
    let mut compositor = Compositor::new(&clients, &event_loop, template, &options, heard, sender)?;
    serve(&handle, display)?;
    tell(&format!("listening on {name}"));
    if let Some((program, args)) = options.client.split_first() {
        compositor.start(program, args, &name)?;
    }

    event_loop.run(None, &mut compositor, |_| {
        // A client that cannot be written to is disconnected; the others have been served.
        let _gone = clients.clone().flush_clients();
    })?;
    Ok(compositor.exit_code())
}

/// Signals come in the queue's turns, as all else that tine tells does.
fn watch_signals(sender: &Sender<Heard>) -> tine::Result<()> {
    for signal in [Signal::USR1, Signal::TERM, Signal::INT] {
        let sender = sender.clone();
        let heard = move || match signal {
            Signal::USR1 => drop(sender.send(Heard::TakeScreenshot)),
            _ => drop(sender.send(Heard::End)),
        };
        tine::queue().signal(signal.as_raw(), heard)?.detach();
    }
    Ok(())
}

/// Lets clients connect by name; gives the name, `wayland-1` or the next that is free.
fn listen(handle: &LoopHandle<'static, Compositor>) -> Result<String, Box<dyn Error>> {
    let socket = ListeningSocketSource::new_auto()?;
    let name = socket.socket_name().to_string_lossy().into_owned();
    handle.insert_source(socket, |stream, (), compositor| compositor.let_in(stream))?;
    Ok(name)
}

/// Has the clients' requests handled when there are any.
fn serve(
    handle: &LoopHandle<'static, Compositor>,
    mut display: Display<Compositor>,
) -> Result<(), Box<dyn Error>> {
    // A copy of the descriptor, because `Generic` gives what it owns to unsafe code only.
    let readable = display.backend().poll_fd().try_clone_to_owned()?;
    let source = Generic::new(readable, Interest::READ, Mode::Level);
    handle.insert_source(source, move |_, _, compositor| {
        display.dispatch_clients(compositor)?;
        Ok(PostAction::Continue)
    })?;
    Ok(())
}
