//! A program that is given a socket of its own, in the environment's `WAYLAND_SOCKET`.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;

use tine::{Running, Template};

use crate::compositor::Heard;

/// What descriptor it finds its socket under.
const SOCKET: u32 = 3;

/// Starts `program`, told as [`Heard::ClientStarted`] and [`Heard::ClientEnded`]; gives the compositor's
/// end of its socket.
///
/// `display` is the name under which programs that it starts in turn find the compositor.
pub fn start(
    template: &Template,
    program: &OsString,
    args: &[OsString],
    display: &str,
    sender: &Sender<Heard>,
) -> tine::Result<(UnixStream, Running)> {
    let (ours, theirs) = UnixStream::pair()?;
    let (begun, ended) = (sender.clone(), sender.clone());
    let command = template
        .command(program)
        .args(args)
        .fd(SOCKET, theirs)
        .env("WAYLAND_SOCKET", SOCKET.to_string())
        .env("WAYLAND_DISPLAY", display)
        .env_remove("DISPLAY")
        .dies_with_app();
    let running = command.spawn(move |started| {
        let started = started.map(drop).map_err(|error| error.to_string());
        drop(begun.send(Heard::ClientStarted(started)));
    });
    Ok((ours, running.on_exit(move |exit| drop(ended.send(Heard::ClientEnded(exit))))))
}
