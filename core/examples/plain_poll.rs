//! tine on a loop of one's own: `poll(2)` over the queue's descriptor and whatever else there is.
//! A worker greets, a timer ticks, and the loop goes on until the worker has ended.
//! Run: `cargo run -p tine --example plain_poll`
//!
//! Two calls make an integration: [`as_fd`](std::os::fd::AsFd) gives the descriptor that is readable
//! exactly while there is something to do, [`dispatch`](tine::Queue::dispatch) does it. The loop needs
//! no timeout for tine's sake. The conformance suite (package tine-tests) tells whether a loop is right.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::cell::Cell;
use std::io::{Read as _, Write as _, stdin};
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::Duration;
use tine::{Template, Worker};

tine::entry!(GREET = greet);

fn greet(worker: Worker) -> tine::Result<()> {
    write!(worker.socket(), "hello from process {}", std::process::id())?;
    Ok(())
}

fn main() -> tine::Result<()> {
    let template = Template::early()?;
    let queue = tine::queue();
    // For who asks which loop it is, or waits for one.
    let _attachment = queue.attach("poll");
    let _ticks = queue.every(Duration::from_millis(1), || println!("tick"));
    let ended = start(&template);

    // What else the loop waits for: here the standard input, until its end.
    let mut listening = true;
    while !ended.get() {
        let input = stdin();
        let mut fds = vec![PollFd::new(&queue, PollFlags::IN)];
        if listening {
            fds.push(PollFd::new(&input, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            queue.dispatch()?;
        }
        if ready.get(1) == Some(&true) {
            listening = rustix::io::read(input.as_fd(), &mut [0; 256])? > 0;
        }
    }
    Ok(())
}

/// Starts a worker and gives what becomes true when it has ended.
fn start(template: &Template) -> Rc<Cell<bool>> {
    let ended = Rc::new(Cell::new(false));
    let socket = Rc::new(Cell::new(None));
    let (tell, kept) = (Rc::clone(&ended), Rc::clone(&socket));
    let running = template.fork().run(GREET, move |socket| match socket {
        Ok(socket) => kept.set(Some(socket)),
        Err(error) => panic!("{error}"),
    });
    running.on_exit(move |exit| {
        let mut greeting = String::new();
        if let Some(mut socket) = socket.take() {
            // A greeting this short lies whole in the socket by now.
            let _read = socket.read_to_string(&mut greeting);
        }
        println!("{greeting}\n{exit}");
        tell.set(true);
    });
    ended
}
