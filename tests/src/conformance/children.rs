//! E5: children of the program's own, heard of through the loop and reaped by their owner.

use super::{Trial, behaviours};
use std::cell::RefCell;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;

behaviours!("E5":
    the_end_of_a_child_is_told_with_its_status,
    a_child_that_has_ended_before_is_told_too,
);

/// A child that ends with 3 when its standard input does.
fn child() -> Child {
    let mut command = Command::new("sh");
    let command = command.args(["-c", "read nothing; exit 3"]).stdin(Stdio::piped());
    command.spawn().expect("a shell")
}

type Told = Rc<RefCell<Vec<ExitStatus>>>;

fn watch(queue: &tine::Queue, child: &Child, told: &Told) -> tine::Child {
    let told = Rc::clone(told);
    let tell = move |status: tine::Result<_>| told.borrow_mut().push(status.expect("a status"));
    queue.child(child.id(), tell).expect("a child")
}

fn the_end_of_a_child_is_told_with_its_status(trial: &mut Trial<'_>) {
    let (queue, told, mut child) = (trial.queue(), Told::default(), child());
    let (_first, _second) = (watch(&queue, &child, &told), watch(&queue, &child, &told));
    trial.turns_in(std::time::Duration::from_millis(5));
    assert!(told.borrow().is_empty(), "it is alive");
    drop(child.stdin.take());
    trial.until("both watchers of a child", || told.borrow().len() == 2);
    assert!(told.borrow().iter().all(|status| status.code() == Some(3)));
    // It was told of, not taken away.
    assert_eq!(child.wait().expect("a child to wait for").code(), Some(3));
}

fn a_child_that_has_ended_before_is_told_too(trial: &mut Trial<'_>) {
    let (queue, told, mut child) = (trial.queue(), Told::default(), child());
    drop(child.stdin.take());
    let pid = rustix::process::Pid::from_child(&child);
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), ended).expect("a child to wait for");
    let _watcher = watch(&queue, &child, &told);
    trial.until("a child that has ended", || told.borrow().len() == 1);
    assert_eq!(child.wait().expect("a child to wait for").code(), Some(3));
}
