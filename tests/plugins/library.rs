//! A library that uses tine without the help of the program that loads it (F20), for `process_libraries`.

use std::ffi::c_int;
use std::io::Write as _;

use rustix::process::{Pid, Signal, kill_process};
use tine::{Process, Worker};
use tine_tests::told::Told;

tine::plugin!();
tine::entry!(TELL = tell);
tine::entry!(NEST = nest);

/// What of the environment says how this process came to be.
fn tell(worker: Worker) -> std::io::Result<()> {
    let preloaded = std::env::var_os("LD_PRELOAD");
    let template = std::env::var_os("TINE_TEMPLATE");
    write!(worker.socket(), "LD_PRELOAD {preloaded:?}, TINE_TEMPLATE {template:?}")
}

/// Runs a worker of this library, and prints what it tells: 0 of the default template, 1 in a fresh image, 2 when the
/// default template has been killed.
///
/// # Panics
/// When there is no template to be killed.
#[expect(unsafe_code, reason = "the symbol that programs look for")]
#[unsafe(no_mangle)]
pub extern "C" fn tine_test_ask(what: c_int) -> c_int {
    let told = tine::template().map(|template| {
        if what == 2 {
            let pid = template.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            assert_eq!(pid.map(|pid| kill_process(pid, Signal::KILL)), Some(Ok(())));
        }
        told(if what == 1 { template.fresh() } else { template.fork() })
    });
    println!("{}", told.unwrap_or_else(|error| format!("no template: {error}")));
    0
}

/// Runs workers of its own, as one that was loaded into a worker.
fn nest(worker: Worker) -> tine::Result<()> {
    let template = tine::template()?;
    let told = [told(template.fork()), told(template.fresh())].join("\n");
    Ok(worker.socket().write_all(told.as_bytes())?)
}

fn told(process: Process) -> String {
    let told = Told::run(process, TELL);
    if told.settled() {
        String::from_utf8_lossy(&told.answer()).into_owned()
    } else {
        format!("no worker: {}", told.refusal())
    }
}
