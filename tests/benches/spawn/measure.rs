//! What a case measures and prints: a line for each metric, its name and value.
//!
//! `../peers/measure.h` is the same in C.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Spawns that are under way at a time, for `rate_pipelined`.
const IN_FLIGHT: usize = 16;
/// Before each spawn whose first byte is awaited: the app has been at rest, as with a user's clicks.
const PAUSE: Duration = Duration::from_millis(2);
/// How often a first byte is awaited.
const SAMPLES: usize = 64;
/// How often anything is measured at least, however long it takes.
const LEAST: usize = 3;

/// What a worker is to do before it ends.
#[derive(Clone, Copy)]
pub enum Work {
    /// Nothing.
    Nothing,
    /// Write one byte.
    Byte,
}

/// A way to spawn workers.
pub trait Spawner {
    /// A worker that was asked for.
    type Worker;

    /// Whether several workers can be under way.
    const PIPELINED: bool = true;

    /// Asks for a worker. The time that this takes is what `held_*` tells.
    fn start(&mut self, work: Work) -> Self::Worker;

    /// Waits for the worker's byte.
    fn first_byte(&mut self, worker: &mut Self::Worker);

    /// Waits for end-of-file.
    fn end(&mut self, worker: Self::Worker);
}

/// Measures everything; each rate for as long as `window`.
pub fn measure<S: Spawner>(spawner: &mut S, window: Duration) {
    for _ in 0..LEAST {
        let worker = spawner.start(Work::Nothing);
        spawner.end(worker);
    }
    one_at_a_time(spawner, window);
    if S::PIPELINED {
        pipelined(spawner, window);
    }
    first_byte(spawner, window);
}

fn one_at_a_time(spawner: &mut impl Spawner, window: Duration) {
    let mut held = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < window || held.len() < LEAST {
        let before = Instant::now();
        let worker = spawner.start(Work::Nothing);
        held.push(before.elapsed());
        spawner.end(worker);
    }
    println!("rate {:.3}", held.len() as f64 / begin.elapsed().as_secs_f64());
    print_percentiles("held", held);
}

fn pipelined(spawner: &mut impl Spawner, window: Duration) {
    let (mut workers, mut ended) = (VecDeque::new(), 0);
    let begin = Instant::now();
    while begin.elapsed() < window || ended < LEAST {
        while workers.len() < IN_FLIGHT {
            workers.push_back(spawner.start(Work::Nothing));
        }
        if let Some(worker) = workers.pop_front() {
            spawner.end(worker);
            ended += 1;
        }
    }
    println!("rate_pipelined {:.3}", ended as f64 / begin.elapsed().as_secs_f64());
    workers.into_iter().for_each(|worker| spawner.end(worker));
}

fn first_byte(spawner: &mut impl Spawner, window: Duration) {
    let mut waited = Vec::new();
    let begin = Instant::now();
    while waited.len() < SAMPLES && (waited.len() < LEAST || begin.elapsed() < 10 * window) {
        std::thread::sleep(PAUSE);
        let before = Instant::now();
        let mut worker = spawner.start(Work::Byte);
        spawner.first_byte(&mut worker);
        waited.push(before.elapsed());
        spawner.end(worker);
    }
    print_percentiles("first_byte", waited);
}

fn print_percentiles(metric: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (percent, name) in [(50, "p50"), (99, "p99")] {
        let time = times[times.len() * percent / 100];
        println!("{metric}_{name} {:.3}", time.as_secs_f64() * 1e6);
    }
}

/// The app's data, every page of it touched; made after its template.
pub fn data(mb: usize) -> Vec<u8> {
    let mut data = vec![0; mb << 20];
    data.iter_mut().step_by(4096).for_each(|octet| *octet = 1);
    black_box(data)
}
