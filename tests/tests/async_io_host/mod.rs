//! async-io, with whatever blocks on a future.

use async_io::Timer;
use futures_lite::StreamExt as _;
use std::any::Any;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;
use tine::Queue;
use tine_async_io::Turns;
use tine_tests::conformance::{self, Drivers, Host};

type BlockOn = fn(Pin<&mut dyn Future<Output = bool>>) -> bool;

pub fn main(name: &'static str, block_on: BlockOn) -> ExitCode {
    conformance::main(|| AsyncIo { name, block_on, drivers: Drivers::default() })
}

struct AsyncIo {
    name: &'static str,
    block_on: BlockOn,
    drivers: Drivers,
}

async fn drive(mut turns: Turns) {
    while let Some(turn) = turns.next().await {
        turn.expect("a queue that works");
    }
}

impl Host for AsyncIo {
    fn name(&self) -> &'static str {
        self.name
    }

    fn attach(&mut self, queue: &Queue, budget: Option<Duration>) -> Box<dyn Any> {
        let mut turns = tine_async_io::turns(queue).expect("a queue to watch");
        if let Some(budget) = budget {
            turns = turns.with_budget(budget);
        }
        self.drivers.add(drive(turns))
    }

    fn run(&mut self, timeout: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        let timeout = Timer::after(timeout);
        (self.block_on)(std::pin::pin!(self.drivers.run(timeout, done)))
    }

    fn falls_asleep_in(&self) -> u64 {
        12
    }
}
