//! What a copy of a result takes: memory to memory, both in use before.

pub fn run(octets: usize) {
    if super::text(octets).is_some() {
        return;
    }
    let (from, mut to) = (vec![b'x'; octets], vec![0; octets]);
    let mut times: Vec<_> = (0..super::SAMPLES)
        .map(|_| {
            let begun = std::time::Instant::now();
            std::hint::black_box(&mut to[..]).copy_from_slice(std::hint::black_box(&from));
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("bulk {:.6}", times[super::SAMPLES / 2].as_secs_f64() * 1e3);
}
