//! A pool of workers makes thumbnails: those in view first, and a picture that kills its decoder costs a worker.
//! Run: `cargo run --example pool`
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tine::{ErrorKind, Pool, Sandbox, Shared, SharedMut, Template, Worker, rpc};

#[derive(Serialize, Deserialize)]
struct Picture {
    side: usize,
    damaged: bool,
}

const SIDE: usize = 64;

tine::entry!(THUMBNAIL = thumbnail);

fn thumbnail(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |picture: Picture, _| -> tine::Result<Shared> {
        if picture.damaged {
            std::process::abort(); // as a decoder's bug would have it
        }
        let pixels: Vec<u8> =
            (0..picture.side).flat_map(|_| (0..picture.side).map(|x| x as u8)).collect();
        let mut small = SharedMut::new(SIDE * SIDE)?;
        let rows = pixels.chunks_exact(picture.side).step_by(picture.side / SIDE);
        for (to, from) in small.chunks_exact_mut(SIDE).zip(rows) {
            to.iter_mut()
                .zip(from.iter().step_by(picture.side / SIDE))
                .for_each(|(to, from)| *to = *from);
        }
        small.share()
    })
}

fn main() -> tine::Result<()> {
    let template = Template::early()?;
    let pool = Pool::<Picture, Shared>::builder(&template, THUMBNAIL)
        .sandbox(&Sandbox::decoder())
        .deadline(Duration::from_secs(10))
        .build()?;

    let told = Rc::new(Cell::new(0));
    let jobs: Vec<_> = (0..100)
        .map(|number| {
            let told = Rc::clone(&told);
            let picture = Picture { side: 640, damaged: number == 57 };
            pool.submit(picture).idempotent().on_done(move |thumbnail| {
                match thumbnail {
                    Ok(pixels) => assert_eq!(pixels.len(), SIDE * SIDE), // shown without a copy
                    Err(why) if why.kind() == ErrorKind::Cancelled => (),
                    Err(why) => println!("picture {number}: {why}"),
                }
                told.set(told.get() + 1);
            })
        })
        .collect();

    // The user scrolls: what is in view comes first, then what is near, and what is far is not wanted any more.
    pool.reprioritise(jobs.iter().zip((0..).map(|number: i32| -(number - 50).abs())));
    jobs.iter().take(10).for_each(|job| job.cancel());

    // A program with a loop is told there; this one waits.
    tine::queue().run_until(|| told.get() == jobs.len())?;
    let report = pool.report();
    println!("{} done, {:?}", report.done, report.failed);
    Ok(())
}
