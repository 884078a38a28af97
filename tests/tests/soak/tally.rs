//! What became of the jobs, and what the app holds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use tine_tests::told::eventually;
use tine_tests::{descriptors, processes};

/// How often each job was settled, and how.
pub struct Tally {
    settled: Vec<u8>,
    how: BTreeMap<String, u32>,
    /// When a job was answered last, and the longest time without while some waited.
    answered: Instant,
    worst: Duration,
    /// What the storm did.
    pub blows: BTreeMap<&'static str, u32>,
    /// What the pool tells of its workers at the end.
    pub workers: String,
}

impl Tally {
    pub fn new() -> Tally {
        Tally {
            settled: Vec::new(),
            how: BTreeMap::new(),
            answered: Instant::now(),
            worst: Duration::ZERO,
            blows: BTreeMap::new(),
            workers: String::new(),
        }
    }

    /// The next job's place.
    pub fn sent(&mut self) -> usize {
        self.settled.push(0);
        self.settled.len() - 1
    }

    pub fn settled<T>(&mut self, job: usize, result: &tine::Result<T>) {
        self.settled[job] = self.settled[job].saturating_add(1);
        let how = match result {
            Ok(_) => {
                self.worst = self.worst.max(self.answered.elapsed());
                self.answered = Instant::now();
                "answered".into()
            }
            Err(error) => format!("{:?}", error.kind()),
        };
        *self.how.entry(how).or_default() += 1;
    }

    pub fn blow(&mut self, what: &'static str) {
        *self.blows.entry(what).or_default() += 1;
    }

    pub fn lost(&self) -> usize {
        self.settled.iter().filter(|times| **times == 0).count()
    }

    pub fn twice(&self) -> usize {
        self.settled.iter().filter(|times| **times > 1).count()
    }

    pub fn answered(&self) -> usize {
        self.how.get("answered").copied().unwrap_or_default() as usize
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let once = self.settled.len() - self.lost() - self.twice();
        let (sent, lost, twice) = (self.settled.len(), self.lost(), self.twice());
        writeln!(f, "jobs: {sent} sent, {once} settled once, {lost} lost, {twice} twice")?;
        writeln!(f, "      {:?}", self.how)?;
        writeln!(f, "blows: {:?}", self.blows)?;
        writeln!(f, "{}", self.workers)?;
        write!(f, "worst recovery: {} ms without an answer", self.worst.as_millis())
    }
}

/// What this process holds.
pub struct Footprint {
    pub descriptors: usize,
    /// Memory of its own.
    pub kib: usize,
}

impl Footprint {
    pub fn look() -> Footprint {
        let kib = processes::status(std::process::id(), "RssAnon").expect("/proc");
        let kib = kib.trim_end_matches(" kB").parse().expect("a number");
        Footprint { descriptors: descriptors().len(), kib }
    }

    /// Looks when what ends by itself has ended: the storm's template is let go in a turn, and ends later.
    pub fn settled(before: &Footprint) -> Footprint {
        eventually("no descriptor is left", || {
            let now = Footprint::look();
            (now.descriptors == before.descriptors).then_some(now)
        })
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} KiB", self.descriptors, self.kib)
    }
}
