//! The app of tine's cases: with whatever its binary is linked to, but for that the same.
//!
//! ```text
//! CASE APP_MB WINDOW_MS    measures
//! CASE hold APP_MB         prints the ids of the template and an idle worker, until its input ends
//! spawned [byte]           is what posix_spawn starts
//! ```

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tine::{Process, Template};
use tine_tests::spawned::{BYTE, IDLE, NOTHING};

use crate::measure::{self, Spawner, Work};

/// Runs a case.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["spawned"] => Ok(()),
        ["spawned", "byte"] => Ok(std::io::stdout().write_all(b"x")?),
        [case, "hold", app_mb] => {
            let tine = Tine::new(case)?;
            let _data = measure::data(app_mb.parse()?);
            hold(&tine)
        }
        [case, app_mb, window] => {
            let mut tine = Tine::new(case)?;
            let _data = measure::data(app_mb.parse()?);
            measure::measure(&mut tine, Duration::from_millis(window.parse()?));
            if case == "spares" && tine.template.report().from_spares == 0 {
                return Err("no spare was of use".into());
            }
            Ok(())
        }
        _ => Err("CASE APP_MB WINDOW_MS, or CASE hold APP_MB".into()),
    }
}

/// One of tine's ways to make a process.
struct Tine {
    template: Template,
    begin: fn(&Template) -> Process,
}

/// Kept ahead where spares are measured: as many as are in flight.
const SPARES: u32 = 16;

impl Tine {
    fn new(case: &str) -> Result<Tine, Box<dyn std::error::Error>> {
        let begin = if case == "each" { Template::fresh } else { Template::fork };
        let template = match case {
            "early" | "spares" => Template::early()?,
            "exec" | "each" => Template::exec()?,
            // The same program without the toolkit lies beside.
            "lean" => Template::program(std::env::current_exe()?.with_file_name("spawn-tine"))?,
            _ => return Err(format!("no case {case}").into()),
        };
        if case == "spares" {
            template.spares(SPARES)?;
        }
        Ok(Tine { template, begin })
    }

    fn process(&self) -> Process {
        (self.begin)(&self.template)
    }
}

/// Where `run`'s callback puts the app's end.
type Place = Rc<Cell<Option<UnixStream>>>;

impl Spawner for Tine {
    type Worker = Place;

    fn start(&mut self, work: Work) -> Place {
        let place = Place::default();
        let socket = Rc::clone(&place);
        let entry = match work {
            Work::Nothing => NOTHING,
            Work::Byte => BYTE,
        };
        self.process().run(entry, move |end| socket.set(Some(end.expect("a process"))));
        place
    }

    fn first_byte(&mut self, place: &mut Place) {
        let socket = wait(place);
        assert_eq!(read(&socket), 1, "octets from a worker");
        place.set(Some(socket));
    }

    fn end(&mut self, place: Place) {
        assert_eq!(read(&wait(&place)), 0, "octets from a worker");
    }
}

/// Runs the queue until the socket is there.
fn wait(place: &Place) -> UnixStream {
    loop {
        match place.take() {
            Some(socket) => return socket,
            None => drop(tine::queue().turn(None).expect("a turn of the queue")),
        }
    }
}

/// Waits for an octet or the end.
fn read(mut socket: &UnixStream) -> usize {
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).expect("poll");
    socket.read(&mut [0]).expect("read from a worker")
}

fn hold(tine: &Tine) -> Result<(), Box<dyn std::error::Error>> {
    let place = Place::default();
    let socket = Rc::clone(&place);
    let running = tine.process().run(IDLE, move |end| socket.set(end.ok()));
    // It is idle once its byte has come.
    let socket = wait(&place);
    assert_eq!(read(&socket), 1, "octets from a worker");
    println!("template {}", tine.template.pid().ok_or("no template")?);
    println!("worker {}", running.pid().ok_or("no worker")?);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
