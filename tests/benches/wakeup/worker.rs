//! A worker writes the time to its socket.

use super::{Samples, now, pin, processors, this_thread, wait_until_asleep};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use tine::{Interest, Template, Worker};

tine::entry!(WAKE = wake);

/// In the worker: each octet from the app asks for a wake-up.
fn wake(mut worker: Worker) -> Result<(), Box<dyn std::error::Error>> {
    let sleeper = String::from_utf8(worker.take_arg()?)?;
    // The template was started before the app chose its own.
    pin(&processors(), 1);
    let mut socket = worker.socket();
    while socket.read(&mut [0])? > 0 && wait_until_asleep(&sleeper) {
        socket.write_all(&now().to_le_bytes())?;
    }
    Ok(())
}

/// Starts the worker; each callback asks it for the next wake-up.
pub fn begin(samples: &Samples) {
    let samples = samples.clone();
    let template = Template::exec().expect("a template");
    template.fork().send_arg(this_thread()).run(WAKE, move |socket| {
        let socket = socket.expect("a worker");
        ask(&socket);
        let io = tine::queue().io(socket, Interest::READABLE, move |socket, _| {
            let mut then = [0; 8];
            (&mut &*socket).read_exact(&mut then).expect("it writes all at once");
            samples.take(u64::from_le_bytes(then));
            ask(socket);
        });
        io.expect("a watcher").detach();
    });
}

fn ask(mut socket: &UnixStream) {
    socket.write_all(b"?").expect("room for an octet");
}
