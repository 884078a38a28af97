//! What is measured while the program runs, for `--report`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;
use tine::Posture;
use tine::pool::{self, Failure as Reason};
use tine_viewer::decoders;

use crate::memory::{self, Ledger};
use crate::poll_clock;

/// Every so many answers the worker's memory is looked at.
const SAMPLE_EVERY: u32 = 8;

/// What is measured while the program runs. Without a report nearly nothing is.
pub struct Measures {
    start: Instant,
    /// A frame has been painted.
    painted: Cell<bool>,
    /// A thumbnail will be in the next frame, or was in one.
    thumbnail_shown: Cell<bool>,
    first_thumbnail: Cell<Option<Duration>>,
    first_picture: Cell<Option<Duration>>,
    answers: Cell<u32>,
    /// With a report only.
    ledger: Option<Ledger>,
}

/// The figures of `--report`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Names that are those of pictures, whatever the files are.
    pub pictures: u32,
    /// How many of them have a thumbnail.
    pub thumbnails_ok: u32,
    /// How many of them have none.
    pub thumbnails_failed: u32,
    /// How many thumbnails came from the cache that all programs share.
    pub thumbnails_cached: u32,
    /// These, with the reasons.
    pub failures: Vec<Failure>,
    /// From the first line of `main` until the first thumbnail was painted; null if none was.
    pub seconds_to_first_thumbnail: Option<f64>,
    /// The same until the first picture as a whole was painted.
    pub seconds_to_first_picture: Option<f64>,
    /// From the first line of `main` until this report.
    pub seconds_total: f64,
    /// What 99 % of the main loop's busy stretches did not exceed, from the window's first frame on.
    pub main_loop_stall_ms_p99: f64,
    /// The longest of them.
    pub main_loop_stall_ms_max: f64,
    /// The same without the time in which other programs had the processor: 99 % do not exceed it.
    pub main_loop_work_ms_p99: f64,
    /// The most of these.
    pub main_loop_work_ms_max: f64,
    /// Workers that came to be.
    pub workers_started: u64,
    /// Workers that ended otherwise than they should.
    pub workers_crashed: u64,
    /// All workers that ended, by what became of them.
    pub workers_ended: BTreeMap<String, u64>,
    /// How often a picture was tried again because its worker had died.
    pub retries: u64,
    /// How often a picture was not wanted any more before it was there.
    pub cancelled: u64,
    /// The most memory that this process had in use (`VmHWM`).
    pub app_peak_rss_kib: u64,
    /// Memory that the template shares with no other process, at the end; null if it is gone.
    pub template_private_kib: Option<u64>,
    /// Memory that a worker shares with no other process: the most that was seen in any.
    pub worker_private_kib_max: u64,
    /// How far each rung of the workers' sandbox holds; empty if there was no worker.
    pub posture: BTreeMap<String, String>,
    /// The same, by its former name.
    pub sandbox: BTreeMap<String, String>,
}

/// A picture without a thumbnail.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// The file. Octets that are not UTF-8 are replaced.
    pub path: String,
    /// Why there is none, in words.
    pub reason: String,
}

/// What the gallery knows: counts and processes.
pub struct Counts {
    /// Names that are those of pictures.
    pub pictures: u32,
    /// Those that have a thumbnail.
    pub thumbnails_ok: u32,
    /// Those whose thumbnail came from the cache.
    pub thumbnails_cached: u32,
    /// Those that have none.
    pub failures: Vec<Failure>,
    /// What the workers have done, and which there are.
    pub decoders: pool::Report,
    /// What holds of the workers' sandbox.
    pub posture: Option<Posture>,
    /// The template's process id, if it has one.
    pub template: Option<u32>,
}

impl Measures {
    /// Measures from `start` on.
    ///
    /// # Errors
    ///
    /// No thread can be started for a report's sake.
    pub fn new(start: Instant, report: bool) -> io::Result<Self> {
        let ledger = report.then(Ledger::start).transpose()?;
        Ok(Self {
            start,
            painted: Cell::new(false),
            thumbnail_shown: Cell::new(false),
            first_thumbnail: Cell::new(None),
            first_picture: Cell::new(None),
            answers: Cell::new(0),
            ledger,
        })
    }

    /// A thumbnail was put on a tile.
    pub fn thumbnail_shown(&self) {
        self.thumbnail_shown.set(true);
    }

    /// A frame of the window has been painted. After the first one it should answer quickly.
    pub fn frame_painted(&self) {
        if self.ledger.is_some() && !self.painted.replace(true) {
            poll_clock::install();
        }
        if self.thumbnail_shown.get() && self.first_thumbnail.get().is_none() {
            self.first_thumbnail.set(Some(self.start.elapsed()));
        }
    }

    /// A picture as a whole was in the frame that has been painted.
    pub fn picture_painted(&self) {
        if self.first_picture.get().is_none() {
            self.first_picture.set(Some(self.start.elapsed()));
        }
    }

    /// A worker has answered.
    pub fn worker_answered(&self, pid: u32) {
        let answers = self.answers.replace(self.answers.get().wrapping_add(1));
        if let Some(ledger) = &self.ledger
            && answers.is_multiple_of(SAMPLE_EVERY)
        {
            ledger.look_at(pid);
        }
    }

    /// The figures as of now.
    pub fn report(&self, counts: Counts) -> Report {
        let poll_clock::Measured { stalls, work } = poll_clock::measured();
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let posture: BTreeMap<_, _> = counts.posture.iter().flat_map(rungs).collect();
        Report {
            pictures: counts.pictures,
            thumbnails_ok: counts.thumbnails_ok,
            thumbnails_failed: counts.failures.len() as u32,
            thumbnails_cached: counts.thumbnails_cached,
            failures: counts.failures,
            seconds_to_first_thumbnail: self.first_thumbnail.get().map(|time| time.as_secs_f64()),
            seconds_to_first_picture: self.first_picture.get().map(|time| time.as_secs_f64()),
            seconds_total: self.start.elapsed().as_secs_f64(),
            main_loop_stall_ms_p99: ms(stalls.per_mille(990)),
            main_loop_stall_ms_max: ms(stalls.longest()),
            main_loop_work_ms_p99: ms(work.per_mille(990)),
            main_loop_work_ms_max: ms(work.longest()),
            workers_started: counts.decoders.started,
            workers_crashed: decoders::crashed(&counts.decoders),
            workers_ended: ended(&counts.decoders),
            retries: counts.decoders.retried,
            cancelled: counts.decoders.failed.get(&Reason::Cancelled).copied().unwrap_or(0),
            app_peak_rss_kib: memory::peak_rss_kib(),
            template_private_kib: counts.template.and_then(memory::private_kib),
            worker_private_kib_max: self
                .ledger
                .as_ref()
                .map_or(0, |ledger| ledger.most_kib(decoders::pids(&counts.decoders))),
            sandbox: posture.clone(),
            posture,
        }
    }
}

fn ended(decoders: &pool::Report) -> BTreeMap<String, u64> {
    decoders.ended.iter().map(|(leave, count)| (leave.to_string(), *count)).collect()
}

fn rungs(posture: &Posture) -> impl Iterator<Item = (String, String)> {
    posture.rungs().map(|(rung, hold, _)| (rung.to_string(), hold.to_string()))
}
