//! E16: the list of watchers tells where each was made, how often it ran and how long.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use tine::{Interest, Queue, What};
use tine_tests::LONG;

#[test]
fn each_watcher_is_listed_with_its_place_calls_and_time() {
    let queue = Queue::new().unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let number = ours.as_raw_fd().unsigned_abs();
    let io = queue.io(ours, Interest::WRITABLE, |_, _| ()).unwrap();
    let line = line!() - 1;
    let _timer = queue.after(LONG, || ());
    let _signal = queue.signal(libc::SIGWINCH, || ()).unwrap();
    let _idle = queue.idle(|| ());
    let watchers = queue.watchers();
    let [io_listed, timer, signal, idle] = &watchers[..] else { panic!("{watchers:#?}") };
    assert_eq!(io_listed.what(), What::Io(Some(number), Interest::WRITABLE));
    assert_eq!((io_listed.place().file(), io_listed.place().line()), (file!(), line));
    assert!(matches!(timer.what(), What::Timer(left) if left <= LONG && left > LONG / 2));
    assert_eq!((signal.what(), idle.what()), (What::Signal(libc::SIGWINCH), What::Idle));
    for _ in 0..3 {
        queue.dispatch().unwrap();
    }
    let watchers = queue.watchers();
    assert_eq!(watchers.iter().map(|one| one.calls()).collect::<Vec<_>>(), [3, 0, 0, 0]);
    let text = watchers[0].to_string();
    let place = format!("{}:{line}:", file!());
    assert!(text.contains(&format!("descriptor {number}, writable")), "{text}");
    assert!(text.contains(&place) && text.contains("3 calls"), "{text}");
    drop(io);
    assert_eq!(queue.watchers().len(), 3);
}

#[test]
fn callbacks_are_timed_when_asked_for() {
    let queue = Queue::new().unwrap();
    let work = Duration::from_millis(2);
    let _timer = queue.every(Duration::ZERO, move || {
        let end = Instant::now() + work;
        while Instant::now() < end {}
    });
    queue.dispatch().unwrap();
    assert_eq!(queue.watchers()[0].busy(), Duration::ZERO);
    assert!(queue.watchers()[0].to_string().ends_with(" 1 calls"), "{:?}", queue.watchers());
    queue.time_calls(true);
    queue.dispatch().unwrap();
    queue.time_calls(false);
    queue.dispatch().unwrap();
    let busy = queue.watchers()[0].busy();
    assert!(busy >= work && busy < LONG, "{busy:?}");
}
