//! A worker answers typed requests, and gives a large result in shared memory.
//! Run: `cargo run --example typed`
use serde::{Deserialize, Serialize};
use tine::{Shared, SharedMut, Template, Worker, rpc};

#[derive(Serialize, Deserialize)]
struct Gradient {
    width: usize,
    height: usize,
}

tine::entry!(DRAW = draw);

fn draw(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |request: Gradient, caller| -> tine::Result<Shared> {
        let Gradient { width, height } = request;
        if width == 0 {
            return Err(tine::Error::other("a picture without width"));
        }
        let mut pixels = SharedMut::new(width * height)?;
        for (number, row) in pixels.chunks_exact_mut(width).enumerate() {
            row.fill((number * 256 / height) as u8);
        }
        caller.event(&format!("{height} rows are drawn"))?;
        pixels.share()
    })
}

fn main() -> tine::Result<()> {
    let template = Template::early()?;
    let worker = rpc::Client::<Gradient, Shared>::builder()
        .on_event(|event: String| println!("{event}"))
        .on_error(|why| eprintln!("the worker is lost: {why}"))
        .run(template.fork(), DRAW);

    // A program with a loop gives a callback, or awaits the answer.
    let pixels = worker.ask(&Gradient { width: 640, height: 480 }).recv()?;
    println!("{} octets, from {} to {}", pixels.len(), pixels[0], pixels[pixels.len() - 1]);
    let refused = worker.ask(&Gradient { width: 0, height: 1 }).recv();
    println!("{}", refused.expect_err("it has no width"));
    Ok(())
}
