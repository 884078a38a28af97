//! A worker greets; the program hears of its answer and of its end. Run: `cargo run --example hello`
use std::io::{Read as _, Write as _};

use tine::{Interest, Template, Worker};

tine::entry!(GREET = greet);

fn greet(mut worker: Worker) -> tine::Result<()> {
    let name = worker.take_arg()?;
    let name = String::from_utf8_lossy(&name);
    write!(worker.socket(), "hello {name}, from process {}", std::process::id())?;
    Ok(())
}

fn main() -> tine::Result<()> {
    let template = Template::early()?;

    let queue = tine::queue();
    let watchers = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (kept, ended) = (watchers.clone(), std::rc::Rc::new(std::cell::Cell::new(false)));
    let told = ended.clone();
    template
        .fork()
        .send_arg("world")
        .run(GREET, move |socket| {
            let heard = |mut socket: &std::os::unix::net::UnixStream, _| {
                let mut text = [0; 256];
                // Whatever has come; the end of the stream is 0 octets.
                let got = socket.read(&mut text).unwrap_or(0);
                print!("{}", String::from_utf8_lossy(&text[..got]));
            };
            match socket.and_then(|socket| tine::queue().io(socket, Interest::READABLE, heard)) {
                Ok(watcher) => kept.borrow_mut().push(watcher),
                Err(error) => eprintln!("{error}"),
            }
        })
        .on_exit(move |exit| {
            println!("\n{exit}");
            told.set(true);
        });
    queue.run_until(|| ended.get())
}
