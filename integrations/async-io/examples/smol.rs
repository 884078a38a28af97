//! Asks workers for the sums of slices of numbers and awaits each answer, on smol's local executor.
//! Run: `cargo run --example smol`

use async_executor::LocalExecutor;
use async_io::Async;
use futures_lite::AsyncReadExt as _;
use futures_lite::future::or;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use tine::{Template, Worker};

tine::entry!(SUM = sum);

/// In the worker: adds up what lies between two numbers.
fn sum(mut worker: Worker) -> tine::Result<()> {
    let mut bound = || -> tine::Result<u64> {
        let octets = worker.take_arg()?;
        let text = String::from_utf8(octets).map_err(tine::Error::other)?;
        text.parse().map_err(tine::Error::other)
    };
    let (from, to) = (bound()?, bound()?);
    let sum: u64 = (from..to).sum();
    write!(worker.socket(), "{sum}")?;
    Ok(())
}

fn main() -> tine::Result<()> {
    let template = Template::early()?;

    let executor = LocalExecutor::new();
    let driver = executor.spawn(tine_async_io::run(&tine::queue()));
    let failed = async { driver.await.map(|never| match never {}) };
    let slices = [0, 1000, 2000, 3000].map(|from| executor.spawn(ask(&template, from)));
    let added = async {
        let mut total = 0;
        for answer in slices {
            total += answer.await?;
        }
        tine::Result::Ok(total)
    };
    let total = async_io::block_on(executor.run(or(added, failed)))?;
    println!("the sum of all numbers below 4000 is {total}");
    assert_eq!(total, 3999 * 4000 / 2);
    Ok(())
}

/// Starts a worker and awaits its answer.
async fn ask(template: &Template, from: u64) -> tine::Result<u64> {
    let socket = socket_of(template, from).await?;
    let mut answer = String::new();
    Async::new(socket)?.read_to_string(&mut answer).await?;
    answer.parse().map_err(tine::Error::other)
}

async fn socket_of(template: &Template, from: u64) -> tine::Result<UnixStream> {
    let (sender, receiver) = async_channel::bounded(1);
    let process = template.fork().send_arg(from.to_string()).send_arg((from + 1000).to_string());
    process.run(SUM, move |socket| drop(sender.try_send(socket)));
    receiver.recv().await.map_err(tine::Error::other)?
}
