//! The suite on tokio, by way of its `AsyncFd`.

use std::any::Any;

use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::process::ExitCode;
use std::time::Duration;
use tine::Queue;
use tine_tests::conformance::{self, Drivers, Host};
use tine_tests::readable;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

fn main() -> ExitCode {
    conformance::main(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Tokio { runtime, drivers: Drivers::default() }
    })
}

struct Tokio {
    runtime: Runtime,
    drivers: Drivers,
}

/// What tokio's `AsyncFd` takes. The number names the same open descriptor as long as the queue lives.
struct Watched(Queue);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// As in core's example `tokio`.
async fn drive(queue: Queue, budget: Option<Duration>) -> std::io::Result<()> {
    #[expect(deprecated, reason = "what follows it is unsafe; this queue keeps its promise")]
    let watched = AsyncFd::with_interest(Watched(queue), Interest::READABLE)?;
    loop {
        let mut ready = watched.readable().await?;
        let queue = &watched.get_ref().0;
        let turn = match budget {
            Some(budget) => queue.dispatch_for(budget),
            None => queue.dispatch(),
        };
        turn.map_err(std::io::Error::other)?;
        // tokio tells of a descriptor once and remembers it as ready until it is told otherwise.
        if !readable(queue) {
            ready.clear_ready();
        }
        // Other tasks have their turn, also while the queue always has something to do.
        tokio::task::yield_now().await;
    }
}

impl Host for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let (driver, attachment) = (drive(queue.clone(), budget), queue.attach("tokio"));
        self.drivers.add(async {
            let _attachment = attachment;
            driver.await.expect("a queue that works");
        })
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        // The timeout is made inside the runtime, whose clock it goes by.
        let timeout = async { sleep(timeout).await };
        self.runtime.block_on(self.drivers.run(timeout, done))
    }
}
