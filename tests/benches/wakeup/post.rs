//! Another thread posts.

use super::{Samples, now, pin, processors, this_thread, wait_until_asleep};
use std::sync::mpsc::{SyncSender, sync_channel};
use tine::Queue;

/// Starts the thread; each callback asks it for the next post.
pub fn begin(queue: &Queue, samples: &Samples) {
    let (poster, samples, sleeper) = (queue.poster(), samples.clone(), this_thread());
    let (ask, asked) = sync_channel(1);
    let first: SyncSender<()> = ask.clone();
    let processors = processors();
    std::thread::spawn(move || {
        pin(&processors, 1);
        while asked.recv().is_ok() && wait_until_asleep(&sleeper) {
            let (samples, ask, then) = (samples.clone(), ask.clone(), now());
            let posted = poster.post(move || {
                samples.take(then);
                // The thread has ended when enough were taken.
                let _over = ask.send(());
            });
            if posted.is_err() {
                break;
            }
        }
    });
    first.send(()).expect("the thread has just begun");
}
