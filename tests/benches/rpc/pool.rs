//! procspawn's pool, of one process.

use procspawn::Pool;

fn echo(text: String) -> String {
    text
}

fn give(octets: usize) -> String {
    "x".repeat(octets)
}

pub fn run(octets: usize) {
    let pool = Pool::new(1).expect("a pool");
    let Some(text) = super::text(octets) else {
        let get = || pool.spawn(octets, give).join().expect("a result");
        return super::print_bulk(octets, || (), get);
    };
    super::print_rate(|| {
        let reply = pool.spawn(text.clone(), echo).join().expect("a result");
        assert_eq!(reply.len(), text.len());
    });
}
