//! Many workers, one after another and at once, from one thread and from many.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::rc::Rc;

use tine::{Cause, Template};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, RETURN, STAY};
use tine_tests::{cases, processes, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_thousand_one_after_another,
        two_hundred_at_once,
        a_burst_of_a_thousand,
        a_burst_whose_callbacks_ask_for_more,
        from_sixteen_threads,
        threads_that_end_before_their_workers,
        a_thread_whose_callbacks_own_the_last_handle,
        a_handle_moves_between_threads,
        spares_for_all_threads,
    ];
    runner::run(&template, cases)
}

fn resident_kib(pid: u32) -> u64 {
    let resident = processes::status(pid, "VmRSS").expect("it lives");
    resident.trim_end_matches(" kB").parse().expect("a number")
}

/// F4: no descriptor, no zombie, and no memory of the template stays.
fn a_thousand_one_after_another(template: &Template) {
    let pid = processes::of(template);
    let before = resident_kib(pid);
    for _ in 0..1000 {
        assert_eq!(*Told::run(template.fork(), RETURN).exit().cause(), Cause::Returned);
    }
    let grown = resident_kib(pid).saturating_sub(before);
    assert!(grown < 1024, "the template grew by {grown} KiB");
}

/// F4: all alive together; half are killed, half leave; each end is told as it was.
fn two_hundred_at_once(template: &Template) {
    let told: Vec<_> = (0..200)
        .map(|n| Told::run(template.fork(), if n % 2 == 0 { ENDURE } else { STAY }))
        .collect();
    let sockets: Vec<_> = told.iter().map(Told::socket).collect();
    let pids: BTreeSet<_> = told.iter().map(|told| told.running().pid().expect("a pid")).collect();
    assert_eq!(pids.len(), 200);
    assert_eq!(processes::children(processes::of(template)).len(), 200);
    for told in told.iter().step_by(2) {
        told.running().kill(libc::SIGKILL).expect("it lives");
    }
    drop(sockets);
    for (n, told) in told.iter().enumerate() {
        let exit = told.exit();
        let wanted = if n % 2 == 0 { Some(libc::SIGKILL) } else { None };
        assert_eq!((exit.signal(), exit.success()), (wanted, wanted.is_none()), "{exit}");
        assert_eq!(told.words(), ["socket", "exit"]);
    }
}

/// F10: more than a template has room for; the rest waits, holding no descriptor.
fn a_burst_of_a_thousand(template: &Template) {
    let before = tine_tests::descriptors().len();
    let told: Vec<_> = (0..1000).map(|_| Told::run(template.fork(), RETURN)).collect();
    let held = tine_tests::descriptors().len() - before;
    assert!(held < 200, "{held} descriptors for 1000 requests");
    for told in &told {
        assert!(told.exit().success());
        assert_eq!(told.words(), ["socket", "exit"]);
    }
}

/// Rule 2: from a callback everything is allowed, spawning too.
fn a_burst_whose_callbacks_ask_for_more(template: &Template) {
    fn spawn(template: &Template, depth: u32, ended: &Rc<Cell<u32>>) {
        let (again, count, told) = (template.clone(), ended.clone(), ended.clone());
        template
            .fork()
            .run(RETURN, move |socket| {
                socket.expect("a process");
                if depth > 0 {
                    spawn(&again, depth - 1, &count);
                }
            })
            .on_exit(move |_| told.set(told.get() + 1));
    }
    let ended = Rc::new(Cell::new(0));
    (0..20).for_each(|_| spawn(template, 9, &ended));
    eventually("200 ends", || (ended.get() == 200).then_some(()));
}

/// F25: each thread hears of its own workers, on its own queue.
fn from_sixteen_threads(template: &Template) {
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let told: Vec<_> = (0..25).map(|_| Told::run(template.fork(), RETURN)).collect();
                told.iter().for_each(|told| assert!(told.exit().success()));
            });
        }
    });
}

/// F10: nobody listens any more; the workers see the end of their sockets and go.
fn threads_that_end_before_their_workers(template: &Template) {
    let pid = processes::of(template);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let stays = Told::run(template.fork(), STAY);
                assert!(stays.settled());
                // This one may not even exist yet when the thread is gone.
                template.fork().run(STAY, |_| ()).on_exit(|_| ());
            });
        }
    });
    eventually("no worker", || processes::children(pid).is_empty().then_some(()));
}

/// F10: a thread's end drops its callbacks, and with them what they own: a template, and more.
fn a_thread_whose_callbacks_own_the_last_handle(_: &Template) {
    struct Farewell(Template);
    impl Drop for Farewell {
        fn drop(&mut self) {
            // Whatever a destructor does while its thread ends, this must not end the program.
            drop(self.0.clone());
        }
    }
    let template = Template::early().expect("no thread is running");
    let pid = processes::of(&template);
    let thread = std::thread::spawn(move || {
        let told = Told::run(template.fork(), STAY);
        assert!(told.settled());
        let owner = Farewell(template.clone());
        let running = template.fork().run(STAY, move |_| drop(owner));
        let owner = Farewell(template);
        running.on_exit(move |_| drop(owner));
    });
    thread.join().expect("the thread ends in peace");
    eventually("the template ends", || (!processes::is_alive(pid)).then_some(()));
}

/// F25: prepared here, run there.
fn a_handle_moves_between_threads(template: &Template) {
    let process = template.fork().send_arg("from another thread");
    let words = std::thread::spawn(move || {
        let told = Told::run(process, RETURN);
        assert!(told.exit().success());
        told.words()
    });
    assert_eq!(words.join().expect("a thread"), ["socket", "exit"]);
}

/// B6: threads that ask in turn have the same environment, directory and umask, and so the same spares.
fn spares_for_all_threads(_: &Template) {
    let template = Template::early().expect("no thread is running");
    let pid = processes::of(&template);
    template.spares(2).expect("a template");
    let ask = || {
        eventually("spares", || (processes::children(pid).len() == 2).then_some(()));
        assert!(Told::run(template.fork(), RETURN).exit().success());
    };
    // Each has a link of its own, over which its first request says what the app is like.
    ask();
    for _ in 0..3 {
        std::thread::scope(|scope| drop(scope.spawn(ask).join()));
        ask();
    }
    assert_eq!(template.report().from_spares, 7, "the first one too");
    template.spares(0).expect("a template");
    eventually("no spares", || processes::children(pid).is_empty().then_some(()));
}
