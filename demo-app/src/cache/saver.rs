//! The thread that writes the cache: a disk may be slow, and no tile waits for it.
//!
//! ```text
//! in line ──▶ due: written
//!    └──▶ the picture was written to a moment ago: waits ──▶ due: written, if it is the same still
//! ```

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};

use tine::Shared;
use tine_viewer::layout::Size;

use super::{Cache, Class, Original};

/// Thumbnails that wait at most, each in memory of its own: if the disk does not keep up, what comes more is
/// not kept, and made again another time. As many wait for their pictures to be left alone.
const WAITING: usize = 64;

/// Writes to the cache in a thread of its own, which ends when this is dropped and all is written.
pub struct Saver {
    /// `None` when this is being dropped.
    line: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

struct Task {
    original: Original,
    what: What,
}

enum What {
    Thumbnail(Class, Size, Shared),
    Failure(String),
}

impl Saver {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn start(cache: Cache) -> io::Result<Self> {
        let (line, tasks) = mpsc::sync_channel::<Task>(WAITING);
        let thread = thread::Builder::new().name("cache".into()).spawn(move || {
            save(&cache, &tasks);
        })?;
        Ok(Self { line: Some(line), thread: Some(thread) })
    }

    /// Keeps a thumbnail of a picture of this size.
    pub fn keep(&self, original: Original, class: Class, picture: Size, encoded: Shared) {
        self.send(original, What::Thumbnail(class, picture, encoded));
    }

    /// Notes that there can be no thumbnail, and why.
    pub fn keep_failure(&self, original: Original, reason: &str) {
        self.send(original, What::Failure(reason.into()));
    }

    fn send(&self, original: Original, what: What) {
        // When the line is full it is not kept.
        if let Some(line) = &self.line {
            let _unkept = line.try_send(Task { original, what });
        }
    }
}

/// Saves what comes, until nothing more can come. What waits for its picture then is made again another time.
fn save(cache: &Cache, tasks: &Receiver<Task>) {
    let mut waiting: Vec<Task> = Vec::new();
    loop {
        let next = waiting.iter().filter_map(|task| task.original.settles_in()).min();
        let came = match next {
            Some(left) => tasks.recv_timeout(left),
            None => tasks.recv().map_err(RecvTimeoutError::from),
        };
        match came {
            Ok(task) if task.original.settles_in().is_none() => task.save(cache),
            Ok(task) if waiting.len() < WAITING => waiting.push(task),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let is_due = |task: &mut Task| task.original.settles_in().is_none();
        for task in waiting.extract_if(.., is_due).filter(|task| task.original.is_unchanged()) {
            task.save(cache);
        }
    }
}

impl Task {
    fn save(self, cache: &Cache) {
        // A full or read-only disk is no trouble of the viewer's: it works without the cache.
        let _unkept = match self.what {
            What::Failure(reason) => cache.keep_failure(&self.original, &reason),
            What::Thumbnail(class, picture, encoded) => {
                cache.keep(&self.original, class, picture, &encoded)
            }
        };
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.line = None;
        if let Some(thread) = self.thread.take() {
            // What is in line is written: a few milliseconds. If the thread panicked, it has said so.
            let _panicked = thread.join();
        }
    }
}
