//! Entries that many tests run.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use tine::{Item, Worker};

tine::entry!(
    /// Returns at once.
    pub RETURN = leave
);
tine::entry!(
    /// Waits until the app closes its end, and returns.
    pub STAY = stay
);
tine::entry!(
    /// Writes what it was sent, in order, as [`items`] reads it.
    pub ITEMS = tell_items
);
tine::entry!(
    /// Says `ready`, and waits to be killed.
    pub ENDURE = endure
);

/// Takes a number that was sent as text.
///
/// # Panics
/// When it was not.
pub fn number(worker: &mut Worker) -> i32 {
    let arg = worker.take_arg().expect("a number");
    String::from_utf8(arg).expect("digits").parse().expect("a number")
}

fn leave(_: Worker) {}

fn stay(worker: Worker) -> std::io::Result<()> {
    let mut rest = Vec::new();
    (&mut worker.socket()).read_to_end(&mut rest)?;
    Ok(())
}

fn endure(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(b"ready")?;
    loop {
        std::thread::park();
    }
}

/// What a worker was sent: an argument, or what can be read from a descriptor.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Sent {
    /// An argument.
    Arg(Vec<u8>),
    /// A descriptor's contents.
    Fd(Vec<u8>),
}

fn tell_items(mut worker: Worker) -> std::io::Result<()> {
    let items: Vec<Item> = worker.take_all().collect();
    let mut socket = worker.socket();
    for item in items {
        let (kind, octets) = match item {
            Item::Arg(octets) => (b'a', octets),
            Item::Fd(fd) => {
                let mut octets = Vec::new();
                std::fs::File::from(fd).read_to_end(&mut octets)?;
                (b'f', octets)
            }
        };
        socket.write_all(&[kind])?;
        socket.write_all(&(octets.len() as u64).to_le_bytes())?;
        socket.write_all(&octets)?;
    }
    Ok(())
}

/// Reads what [`ITEMS`] writes.
///
/// # Panics
/// When it is cut off, or nothing comes in time.
pub fn items(socket: UnixStream) -> Vec<Sent> {
    let mut socket = std::io::BufReader::new(socket);
    let mut items = Vec::new();
    // Iterating goes on after an interruption, which a read with a deadline may tell (signal(7)).
    while let Some(kind) = socket.by_ref().bytes().next() {
        let kind = kind.expect("an answer in time");
        let mut len = [0; 8];
        socket.read_exact(&mut len).expect("a length");
        let mut octets = vec![0; u64::from_le_bytes(len) as usize];
        socket.read_exact(&mut octets).expect("octets");
        items.push(if kind == b'a' { Sent::Arg(octets) } else { Sent::Fd(octets) });
    }
    items
}
