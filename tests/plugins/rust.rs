//! A plugin in Rust, which `process_plugins` loads: an object of its own, not linked to the program.

use std::io::Write as _;
use std::sync::Mutex;

tine::plugin!();

tine::function!(WARM = warm);
tine::function!(FAIL = fail);
tine::entry!(TELL = tell);
tine::entry!(PANIC = panic);

static WARMTH: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn warm(_: &mut tine::Items, args: Vec<Vec<u8>>) {
    if let Ok(mut warmth) = WARMTH.lock() {
        *warmth = args.concat();
    }
}

fn fail(_: &mut tine::Items, _: Vec<Vec<u8>>) -> Result<(), &'static str> {
    Err("the plugin will not")
}

/// What it was warmed with, and what was sent.
fn tell(mut worker: tine::Worker) -> tine::Result<()> {
    let warmth = WARMTH.lock().map(|warmth| warmth.clone()).unwrap_or_default();
    let sent = worker.take_arg()?;
    Ok(worker.socket().write_all(&[&warmth[..], b" ", &sent].concat())?)
}

fn panic(_: tine::Worker) {
    panic!("inside the plugin");
}
