//! Counts lines and octets of files, each in a worker of its own, on calloop.
//! Run: `cargo run --example count -- FILE…`; without files it counts its own source.

use calloop::EventLoop;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tine::{Template, Worker};
use tine_calloop::QueueSource;

tine::entry!(COUNT = count);

/// In the worker: reads the file that it was sent and answers with what it found.
fn count(mut worker: Worker) -> tine::Result<()> {
    let mut file = BufReader::new(File::from(worker.take_fd()?));
    let (mut lines, mut octets, mut line) = (0, 0, Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        lines += 1;
        octets += line.len();
        line.clear();
    }
    write!(worker.socket(), "{lines} lines, {octets} octets")?;
    Ok(())
}

/// The loop's data.
struct Counts {
    /// Paths, and what was found there.
    answers: Receiver<(String, String)>,
    left: usize,
    found: BTreeMap<String, String>,
}

impl Counts {
    /// After each turn of the queue: what its callbacks sent.
    fn take_in(&mut self) {
        for (path, answer) in self.answers.try_iter() {
            self.found.insert(path, answer);
            self.left -= 1;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let template = Template::early()?;

    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        paths.push(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/count.rs").into());
    }
    let (sender, answers) = channel();
    for path in &paths {
        start(&template, path, sender.clone())?;
    }

    let mut event_loop = EventLoop::try_new()?;
    let queue = QueueSource::new(tine::queue());
    event_loop.handle().insert_source(queue, |_, _, counts: &mut Counts| counts.take_in())?;

    let mut counts = Counts { answers, left: paths.len(), found: BTreeMap::new() };
    let signal = event_loop.get_signal();
    event_loop.run(None, &mut counts, |counts| {
        if counts.left == 0 {
            signal.stop();
        }
    })?;
    for (path, found) in &counts.found {
        println!("{path}: {found}");
    }
    Ok(())
}

fn start(template: &Template, path: &str, answers: Sender<(String, String)>) -> tine::Result<()> {
    let file = File::open(path)?;
    let socket = Rc::new(Cell::new(None));
    let (kept, failed) = (Rc::clone(&socket), (path.to_owned(), answers.clone()));
    let running = template.fork().send_fd(file).run(COUNT, move |socket| match socket {
        Ok(socket) => kept.set(Some(socket)),
        Err(error) => drop(failed.1.send((failed.0, error.to_string()))),
    });
    let path = path.to_owned();
    running.on_exit(move |exit| {
        // An answer this short lies whole in the socket by now.
        let mut answer = exit.to_string();
        if let (true, Some(mut socket)) = (exit.success(), socket.take()) {
            answer.clear();
            let _read = socket.read_to_string(&mut answer);
        }
        drop(answers.send((path, answer)));
    });
    Ok(())
}
