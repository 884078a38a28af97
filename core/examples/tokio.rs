//! tine under tokio, by way of its `AsyncFd`: a worker adds numbers up, a task awaits the answer.
//! Run: `cargo run -p tine --example tokio`
//!
//! The queue belongs to its thread, so what drives it is not `Send`: `select!` it beside the program,
//! as here, or `spawn_local` it. In the first case a panic in a callback comes out of `block_on`; in
//! the second tokio keeps it for whoever awaits the task's handle. An error of `dispatch` ends `drive`.

use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::time::Duration;
use tine::{Queue, Template, Worker};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

tine::entry!(SUM = sum);

/// In the worker: adds up all numbers below the one that it was sent.
fn sum(mut worker: Worker) -> tine::Result<()> {
    let end = String::from_utf8(worker.take_arg()?).map_err(tine::Error::other)?;
    let end: u64 = end.parse().map_err(tine::Error::other)?;
    write!(worker.socket(), "{}", (0..end).sum::<u64>())?;
    Ok(())
}

fn main() -> tine::Result<()> {
    let template = Template::early()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            broken = drive(tine::queue()) => broken,
            done = program(&template) => done,
        }
    })
}

async fn program(template: &Template) -> tine::Result<()> {
    let (sender, socket) = oneshot::channel();
    template.fork().send_arg("4000").run(SUM, move |socket| drop(sender.send(socket)));
    let mut socket = UnixStream::from_std(socket.await.map_err(tine::Error::other)??)?;
    let mut answer = String::new();
    let read = socket.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(30), read).await.map_err(tine::Error::other)??;
    println!("the sum of all numbers below 4000 is {answer}");
    assert_eq!(answer, (3999 * 4000 / 2).to_string());
    Ok(())
}

/// Dispatches for as long as it is polled; ends with an error only.
async fn drive(queue: Queue) -> tine::Result<()> {
    let _attachment = queue.attach("tokio");
    #[expect(deprecated, reason = "what follows it is unsafe; this queue keeps its promise")]
    let watched = AsyncFd::with_interest(Watched(queue), Interest::READABLE)?;
    loop {
        let mut ready = watched.readable().await?;
        let queue = &watched.get_ref().0;
        queue.dispatch()?;
        // tokio tells of a descriptor once and remembers it as ready until it is told otherwise.
        if !readable(queue)? {
            ready.clear_ready();
        }
        // Other tasks have their turn, also while the queue always has something to do.
        tokio::task::yield_now().await;
    }
}

/// What `AsyncFd` takes. The number names the same open descriptor as long as the queue lives.
struct Watched(Queue);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

fn readable(queue: &Queue) -> tine::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(queue, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec::default()))? > 0)
}
