//! What the workers of the benches do. In the library, so that a lean worker program has the same entries
//! as the apps.

use std::io::{Read as _, Write as _};

use tine::Worker;

tine::entry!(
    /// Nothing.
    pub NOTHING = nothing
);
tine::entry!(
    /// Writes one byte.
    pub BYTE = byte
);
tine::entry!(
    /// Writes one byte, then waits until the app closes its end.
    pub IDLE = idle
);

fn nothing(_: Worker) {}

fn byte(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(b"x")
}

fn idle(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(b"x")?;
    worker.socket().read(&mut [0]).map(drop)
}
