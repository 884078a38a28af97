//! tine's typed messages, with the embedded loop.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tine::rpc::{self, Client};
use tine::{Shared, SharedMut, Template, Worker};

#[derive(Serialize, Deserialize)]
enum Large {
    /// Draw a result of so many octets.
    Draw(usize),
    /// Give it.
    Give,
}

#[derive(Serialize, Deserialize)]
enum Given {
    /// It is drawn and sealed; sealing took so long.
    Drawn(Duration),
    Memory(Shared),
}

tine::entry!(ECHO = echo);
fn echo(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |text: String, _| Ok::<_, tine::Error>(text))
}

tine::entry!(GIVE = give);
fn give(worker: Worker) -> tine::Result<()> {
    let mut drawn = None;
    rpc::serve(worker, |large: Large, _| -> tine::Result<Given> {
        if let Large::Draw(octets) = large {
            let mut memory = SharedMut::new(octets)?;
            memory.fill(b'x');
            let begun = Instant::now();
            drawn = Some(memory.share()?);
            return Ok(Given::Drawn(begun.elapsed()));
        }
        let drawn = drawn.take().ok_or_else(|| tine::Error::other("nothing is drawn"))?;
        Ok(Given::Memory(drawn))
    })
}

pub fn run(octets: usize) {
    let template = Template::early().expect("first line of main");
    if let Some(text) = super::text(octets) {
        let client = Client::<str, String>::run(template.fork(), ECHO);
        return super::print_rate(|| {
            let reply = client.ask(&text).recv().expect("a reply");
            assert_eq!(reply.len(), text.len());
        });
    }
    let client = Client::<Large, Given>::run(template.fork(), GIVE);
    let ask = |large| client.ask(&large).recv().expect("a reply");
    let mut sealing = Vec::new();
    let draw = || match ask(Large::Draw(octets)) {
        Given::Drawn(time) => sealing.push(time),
        Given::Memory(_) => panic!("nothing was asked for"),
    };
    let give = || match ask(Large::Give) {
        Given::Memory(memory) => memory,
        Given::Drawn(_) => panic!("it was drawn before"),
    };
    super::print_bulk(octets, draw, give);
    super::print_median("seal", sealing);
}
