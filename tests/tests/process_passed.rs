//! F13: handles that become descriptors, go to other processes and become handles again.

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tine::{ErrorKind, Process, Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ITEMS, RETURN, STAY, Sent, items};
use tine_tests::{cases, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        used_at_once_and_dropped_at_once,
        the_process_ends_with_the_last_handle,
        copies_of_the_descriptor_keep_it,
        workers_outlast_the_last_handle,
        used_by_a_third_process,
        a_descriptor_of_something_else,
        one_that_never_answers,
        whose_child_each_is,
    ];
    runner::run(&template, cases)
}

fn arg(text: &str) -> Sent {
    Sent::Arg(text.into())
}

/// The process behind a handle, which does not know it: what the worker that it forks is a child of.
fn behind(handle: &Template) -> u32 {
    let told = Told::run(handle.fork(), STAY);
    let socket = told.socket();
    let pid = told.running().pid().expect("it lives");
    let parent = processes::status(pid, "PPid").and_then(|parent| parent.parse().ok());
    drop(socket);
    assert!(told.exit().success());
    parent.expect("a process has a parent")
}

fn ends(pid: u32) {
    eventually("the passed process's end", || (!processes::is_alive(pid)).then_some(()));
}

/// F13: whoever passes it on keeps nothing, and the new handle may be gone before the process has come to be.
fn used_at_once_and_dropped_at_once(template: &Template) {
    for round in 0..100 {
        let passed = template.fork().send_arg("sent").into_fd().expect("a descriptor");
        let told: Vec<_> = {
            let process = Process::from_fd(passed);
            (0..1 + round % 3).map(|_| Told::run(process.fork(), ITEMS)).collect()
        };
        for told in told {
            assert_eq!(items(told.socket()), [arg("sent")]);
            assert!(told.exit().success());
        }
    }
}

/// F10, F13: no process stays, and no link to it.
fn the_process_ends_with_the_last_handle(template: &Template) {
    let passed = template.fork().into_fd().expect("a descriptor");
    let handle = Template::from_fd(passed);
    let pid = behind(&handle);
    let other = handle.clone();
    drop(handle);
    assert!(Told::run(other.fork(), RETURN).exit().success());
    assert!(processes::is_alive(pid));
    drop(other);
    ends(pid);
}

/// F13: each copy of the descriptor is a handle of its own.
fn copies_of_the_descriptor_keep_it(template: &Template) {
    let passed = template.fork().into_fd().expect("a descriptor");
    let copy = passed.try_clone().expect("a descriptor");
    let first = Template::from_fd(passed);
    let pid = behind(&first);
    drop(first);
    let second = Template::from_fd(copy);
    assert!(Told::run(second.fork(), RETURN).exit().success());
    assert!(processes::is_alive(pid));
    drop(second);
    ends(pid);
}

/// F10: a worker is not its handle.
fn workers_outlast_the_last_handle(template: &Template) {
    let handle = Template::from_fd(template.fork().into_fd().expect("a descriptor"));
    let pid = behind(&handle);
    let told = Told::run(handle.fork(), STAY);
    let socket = told.socket();
    drop(handle);
    assert!(Told::run(template.fork(), RETURN).exit().success());
    assert!(processes::is_alive(pid));
    drop(socket);
    assert!(told.exit().success());
    ends(pid);
}

tine::entry!(USE_PASSED = use_passed);
fn use_passed(mut worker: Worker) -> tine::Result<()> {
    let process = Process::from_fd(worker.take_fd()?);
    let told = Told::run(process.send_arg("third"), ITEMS);
    assert_eq!(items(told.socket()), [arg("first"), arg("third")]);
    match told.exit() {
        exit if exit.success() => Ok(()),
        exit => Err(tine::Error::other(exit.to_string())),
    }
}

/// F13, F22: a worker forks from a process that the app has prepared and forgotten.
fn used_by_a_third_process(template: &Template) {
    for _ in 0..10 {
        let passed = template.fork().send_arg("first").into_fd().expect("a descriptor");
        let exit = Told::run(template.fork().send_fd(passed), USE_PASSED).exit();
        assert!(exit.success(), "{exit}");
    }
}

fn socket_pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
    rustix::net::socketpair(family, kind, flags, None).expect("sockets")
}

/// F13, rule 10: it is refused at once, and nothing is written to what is another's.
fn a_descriptor_of_something_else(_: &Template) {
    let (near, far) = socket_pair(SocketType::STREAM);
    let file = std::fs::File::open("/dev/null").expect("/dev/null");
    for fd in [near, file.into()] {
        let handle = Template::from_fd(fd);
        let told = Told::run(handle.fork(), ITEMS);
        for error in [told.refusal(), handle.spares(1).expect_err("no template")] {
            assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
            assert!(error.to_string().contains("Process::into_fd"), "{error}");
        }
    }
    assert_eq!(rustix::io::read(&far, &mut [0]), Ok(0), "its end, and nothing before");
}

/// F13, B4: nobody here can make it answer, or kill it; and so it is told that it does not.
fn one_that_never_answers(_: &Template) {
    let (near, _far) = socket_pair(SocketType::SEQPACKET);
    let handle = Template::from_fd(near);
    handle.set_deadline(std::time::Duration::from_millis(100));
    let told: Vec<_> = (0..100).map(|_| Told::run(handle.fork(), ITEMS)).collect();
    for told in told {
        let error = told.refusal();
        assert_eq!(error.kind(), ErrorKind::NoTemplate, "{error}");
        assert_eq!(told.words(), ["refusal"]);
    }
}

/// F4: as the kernel has it.
fn whose_child_each_is(early: &Template) {
    let exec = Template::exec().expect("a template");
    let prepared = early.fork().into_template().expect("a template");
    let passed = Template::from_fd(early.fork().into_fd().expect("a descriptor"));
    let own = std::process::id();
    let children: Vec<_> = processes::children(own).into_iter().map(|(pid, _)| pid).collect();
    for (template, is_child) in [(early, true), (&exec, true), (&prepared, false), (&passed, false)]
    {
        assert_eq!(template.is_child(), is_child, "{template:?}");
        assert_eq!(children.contains(&behind(template)), is_child, "{template:?}");
    }
}
