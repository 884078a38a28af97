//! What processes cost, as the kernel tells it: memory that is theirs alone.

use std::fs;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tine::pool::Memory;

/// Memory of a process that no other shares, in KiB; `None` when there is no such process.
pub fn private_kib(pid: u32) -> Option<u64> {
    Memory::of(pid).map(|memory| memory.private / 1024)
}

/// The most memory that this process ever had in use, in KiB.
pub fn peak_rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The pixels of a screen of 2560 by 1600. The C library follows no more than twice that.
const FRAME: usize = 16 << 20;

/// Has the C library keep what each frame takes and gives back: otherwise the kernel clears as many pages for the next
/// one. What is freed in one piece sets how much is kept, twice as much: mallopt(3), "dynamic mmap threshold".
pub fn keep_frames() {
    drop(black_box(Vec::<u8>::with_capacity(FRAME)));
}

/// Looks at workers' memory now and then, and remembers the most.
///
/// The kernel takes a millisecond to add it up, so it is asked in a thread of its own.
pub struct Ledger {
    pids: SyncSender<u32>,
    most: Arc<AtomicU64>,
}

impl Ledger {
    /// Starts the thread, which ends when this is dropped.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn start() -> io::Result<Self> {
        let (pids, asked) = sync_channel(1);
        let most = Arc::new(AtomicU64::new(0));
        let ledger = Self { pids, most: Arc::clone(&most) };
        let look = move |pid| {
            if let Some(kib) = private_kib(pid) {
                most.fetch_max(kib, Ordering::Relaxed);
            }
        };
        thread::Builder::new().name("ledger".into()).spawn(move || asked.iter().for_each(look))?;
        Ok(ledger)
    }

    /// Looks at this worker, unless it is still looking at another.
    pub fn look_at(&self, pid: u32) {
        // Full means busy: this is a sample, the next one will do.
        let _busy = self.pids.try_send(pid);
    }

    /// The most memory that any worker was seen with, in KiB. `alive` are looked at once more.
    pub fn most_kib(&self, alive: impl IntoIterator<Item = u32>) -> u64 {
        let now = alive.into_iter().filter_map(private_kib).max();
        now.unwrap_or(0).max(self.most.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_missing_one_has_none() {
        let pid = std::process::id();
        let before = private_kib(pid).unwrap();
        let block = black_box(vec![1_u8; 32 << 20]);
        let with_block = private_kib(pid).unwrap();
        assert!(with_block >= before + (30 << 10), "{before} KiB, then {with_block} KiB");
        assert!(peak_rss_kib() >= 32 << 10);
        drop(block);
        assert_eq!(private_kib(u32::MAX), None);
    }

    #[test]
    fn the_ledger_remembers_the_most() {
        let ledger = Ledger::start().unwrap();
        let most = ledger.most_kib([std::process::id(), u32::MAX]);
        assert!(most > 0);
        assert!(ledger.most_kib([]) <= most);
    }

    /// That of other C libraries may do otherwise.
    #[cfg(target_env = "gnu")]
    #[test]
    fn frames_take_no_new_pages() {
        keep_frames();
        let frame = || [(); 3].map(|()| black_box(vec![1_u8; FRAME / 3])).len();
        frame();
        let before = faults();
        for _ in 0..10 {
            frame();
        }
        let during = faults() - before;
        assert!(during < 1000, "{during} pages were new");
    }

    /// Of this thread, proc_pid_stat(5).
    #[cfg(target_env = "gnu")]
    fn faults() -> u64 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit(") ").next().unwrap();
        fields.split(' ').nth(7).unwrap().parse().unwrap()
    }
}
