//! What a copy of a result takes: memory to memory, both in use before.

pub fn run(octets: usize) {
    if super::text(octets).is_some() {
        return;
    }
    let (from, mut to) = (vec![b'x'; octets], vec![0; octets]);
    let times = (0..super::SAMPLES).map(|_| {
        let begun = std::time::Instant::now();
        std::hint::black_box(&mut to[..]).copy_from_slice(std::hint::black_box(&from));
        begun.elapsed()
    });
    super::print_median("bulk", times.collect());
}
