//! tine's typed messages, with the embedded loop.

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

tine::entry!(ECHO = echo);
fn echo(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |text: String, _| Ok::<_, tine::Error>(text))
}

tine::entry!(GIVE = give);
fn give(worker: Worker) -> tine::Result<()> {
    let mut drawn = None;
    rpc::serve(worker, |large: Large, _| -> tine::Result<Option<Shared>> {
        match large {
            Large::Draw(octets) => {
                let mut memory = SharedMut::new(octets)?;
                memory.fill(b'x');
                drawn = Some(memory);
                Ok(None)
            }
            Large::Give => drawn.take().map(SharedMut::share).transpose(),
        }
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
    let client = Client::<Large, Option<Shared>>::run(template.fork(), GIVE);
    let ask = |large| client.ask(&large).recv().expect("a reply");
    super::print_bulk(
        octets,
        || drop(ask(Large::Draw(octets))),
        || ask(Large::Give).expect("it was drawn"),
    );
}
