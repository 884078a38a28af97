//! The thread that writes the cache: a disk may be slow, and no tile waits for it.

use std::io;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use tine::Shared;
use tine_viewer::layout::Size;

use super::{Cache, Class, Original};

/// Thumbnails that wait at most, each in memory of its own: if the disk does not keep up, what comes more is
/// not kept, and made again another time.
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
        let save = move || {
            for Task { original, what } in tasks {
                // A full or read-only disk is no trouble of the viewer's: it works without the cache.
                let _unkept = match what {
                    What::Failure(reason) => cache.keep_failure(&original, &reason),
                    What::Thumbnail(class, picture, encoded) => {
                        cache.keep(&original, class, picture, &encoded)
                    }
                };
            }
        };
        let thread = thread::Builder::new().name("cache".into()).spawn(save)?;
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

impl Drop for Saver {
    fn drop(&mut self) {
        self.line = None;
        if let Some(thread) = self.thread.take() {
            // What waits is written: a few milliseconds. If the thread panicked, it has said so.
            let _panicked = thread.join();
        }
    }
}
