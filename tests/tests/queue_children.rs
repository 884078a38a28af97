//! E5: the ends of children, whoever waits for them. One test, for zombies are the whole process's.
#![expect(clippy::unwrap_used, reason = "a test, which clippy cannot see without the harness")]

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use tine::{ErrorKind, Queue};
use tine_tests::{LONG, Leaks, Log, poll_readable, readable, turn_until, underneath};

type Ends = Rc<RefCell<Vec<ExitStatus>>>;

fn shell(script: &str) -> Child {
    Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
}

fn watch(queue: &Queue, child: &Child, ends: &Ends) -> tine::Child {
    let ends = Rc::clone(ends);
    queue.child(child.id(), move |status| ends.borrow_mut().push(status.unwrap())).unwrap()
}

fn main() {
    let leaks = Leaks::begin();
    let sigchld = underneath::action(libc::SIGCHLD);
    codes_and_signals_are_told_and_the_owner_waits_too();
    one_that_ended_before_is_told();
    several_watchers_of_one_child_all_hear();
    one_that_its_owner_reaped_first_is_told();
    a_dropped_watcher_is_silent_and_leaves_the_child();
    a_process_that_is_not_there_is_an_error();
    assert_eq!(sigchld, underneath::action(libc::SIGCHLD));
    leaks.end();
}

fn codes_and_signals_are_told_and_the_owner_waits_too() {
    let (queue, ends) = (Queue::new().unwrap(), Ends::default());
    let mut children = [shell("read x; exit 7"), shell("read x; kill -9 $$"), shell("read x")];
    let _watchers = children.each_ref().map(|child| watch(&queue, child, &ends));
    assert!(!readable(&queue));
    for child in &mut children {
        drop(child.stdin.take());
        let heard = ends.borrow().len() + 1;
        turn_until(&queue, &Log::new(), || ends.borrow().len() == heard);
        assert_eq!(child.wait().unwrap(), ends.borrow()[heard - 1], "the owner's status");
    }
    let codes: Vec<_> = ends.borrow().iter().map(|end| (end.code(), end.signal())).collect();
    assert_eq!(codes, [(Some(7), None), (None, Some(9)), (Some(1), None)]);
    assert!(!readable(&queue));
}

fn one_that_ended_before_is_told() {
    let (queue, ends) = (Queue::new().unwrap(), Ends::default());
    let mut child = shell("exit 3");
    let id = rustix::process::Pid::from_child(&child);
    let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(id), ended).unwrap();
    let _watcher = watch(&queue, &child, &ends);
    assert!(ends.borrow().is_empty(), "never inside the call");
    assert_eq!(queue.dispatch().unwrap(), 1);
    assert_eq!(ends.borrow()[0].code(), Some(3));
    child.wait().unwrap();
}

fn several_watchers_of_one_child_all_hear() {
    let (queue, ends) = (Queue::new().unwrap(), Ends::default());
    let mut child = shell("exit 5");
    let _watchers = [watch(&queue, &child, &ends), watch(&queue, &child, &ends)];
    turn_until(&queue, &Log::new(), || ends.borrow().len() == 2);
    child.wait().unwrap();
    assert_eq!(ends.borrow()[0], ends.borrow()[1]);
}

/// Linux tells that from 6.15 on; before, it must be an error and not a hang.
fn one_that_its_owner_reaped_first_is_told() {
    let (queue, log) = (Queue::new().unwrap(), Log::new());
    let mut child = shell("read x; exit 9");
    let said = log.clone();
    let heard = move |status: tine::Result<ExitStatus>| match status {
        Ok(status) => said.say(status.code().unwrap()),
        Err(error) => said.say(format!("{:?}", error.kind())),
    };
    let _watcher = queue.child(child.id(), heard).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(poll_readable(&queue, LONG));
    assert_eq!(queue.dispatch().unwrap(), 1);
    let heard = log.take();
    assert!(heard == "9" || heard == format!("{:?}", ErrorKind::NotFound), "{heard}");
}

fn a_dropped_watcher_is_silent_and_leaves_the_child() {
    let (queue, ends) = (Queue::new().unwrap(), Ends::default());
    let mut child = shell("exit 4");
    drop(watch(&queue, &child, &ends));
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(queue.dispatch().unwrap(), 0);
    assert!(ends.borrow().is_empty());
}

fn a_process_that_is_not_there_is_an_error() {
    let queue = Queue::new().unwrap();
    let mut child = shell("exit 0");
    child.wait().unwrap();
    for pid in [child.id(), 0, u32::MAX] {
        let error = queue.child(pid, |_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(&pid.to_string()), "{error}");
    }
}
