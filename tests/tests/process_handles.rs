//! Handles are dropped at every moment, callbacks do what they like, and workers use tine themselves.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::rc::Rc;

use tine::{Cause, ErrorKind, Interest, Process, Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, RETURN, STAY};
use tine_tests::{cases, descriptors, native, processes, runner};

thread_local! {
    /// What a worker inherits of the app, without being meant to use it.
    static INHERITED: RefCell<Option<(Template, Process, Told)>> = const { RefCell::new(None) };
}

fn main() -> ExitCode {
    // The app's queue is there before the template is: a copy of it is in every worker.
    let queue = tine::queue();
    let first = Template::early().expect("first line of main");
    let told = Told::run(first.fork(), STAY);
    assert!(told.settled());
    INHERITED.set(Some((first.clone(), first.fork(), told)));
    // Forked now, so that its workers have all of these in their memory.
    let template = Template::early().expect("no thread is running");
    queue.dispatch().expect("a queue");
    let cases = cases![
        a_template_dropped_while_workers_run,
        a_template_dropped_with_requests_under_way,
        a_template_that_never_ran_anything,
        running_handles_dropped_at_once,
        the_exit_asked_for_after_the_end,
        several_who_ask_for_the_exit,
        callbacks_are_dropped_with_what_they_own,
        a_callback_that_drops_the_last_template,
        a_callback_that_panics,
        a_panic_over_a_refusal_loses_no_exit,
        a_panic_in_the_last_exit_lets_the_template_go,
        a_panic_before_others_who_ask,
        a_callback_that_dispatches,
        killed_before_it_exists,
        several_signals_before_it_exists,
        real_time_signals,
        signals_that_do_not_exist,
        inherited_handles_are_refused,
        a_worker_with_a_queue_of_its_own,
        a_worker_with_a_template_of_its_own,
        an_app_that_is_forked_bare,
    ];
    let code = runner::run(&template, cases);
    drop(INHERITED.take());
    code
}

fn another() -> Template {
    Template::early().expect("no thread is running")
}

fn ends(pid: u32) {
    eventually("the template's end", || (!processes::is_alive(pid)).then_some(()));
}

/// F10: they live on, and so does their template until the last has ended.
fn a_template_dropped_while_workers_run(_: &Template) {
    let template = another();
    let pid = processes::of(&template);
    let told: Vec<_> = (0..3).map(|_| Told::run(template.fork(), STAY)).collect();
    let sockets: Vec<_> = told.iter().map(Told::socket).collect();
    drop(template);
    let before = Told::run(another().fork(), RETURN);
    assert!(before.exit().success());
    assert!(processes::is_alive(pid));
    for (told, socket) in told.iter().zip(sockets) {
        assert_eq!(told.words(), ["socket"]);
        drop(socket);
        assert_eq!(*told.exit().cause(), Cause::Returned);
    }
    ends(pid);
}

/// F10: what was asked for comes to be, nothing else.
fn a_template_dropped_with_requests_under_way(_: &Template) {
    for count in [1, 10, 64, 65, 200] {
        let template = another();
        let pid = processes::of(&template);
        let told: Vec<_> = (0..count).map(|_| Told::run(template.fork(), RETURN)).collect();
        drop(template);
        told.iter().for_each(|told| assert!(told.exit().success()));
        ends(pid);
    }
}

/// F10: it just ends.
fn a_template_that_never_ran_anything(_: &Template) {
    let template = another();
    let (pid, prepared) = (processes::of(&template), template.fork().send_arg("x"));
    drop(template);
    assert!(processes::is_alive(pid), "a process that is prepared keeps it");
    drop(prepared);
    ends(pid);
}

/// F10: they run to their ends.
fn running_handles_dropped_at_once(template: &Template) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    for _ in 0..20 {
        let writer = writer.try_clone().expect("a descriptor");
        template.fork().send_fd(OwnedFd::from(writer)).run(SIGN, |_| ());
    }
    drop(writer);
    // The requests that could not go out at once are sent when the queue turns.
    eventually("twenty signs", || {
        let waiting = rustix::io::ioctl_fionread(&reader).expect("a pipe");
        (waiting == 20).then_some(())
    });
}

tine::entry!(SIGN = sign);
fn sign(mut worker: Worker) -> tine::Result<()> {
    std::fs::File::from(worker.take_fd()?).write_all(b"x")?;
    Ok(())
}

/// Rule 2: it comes in a turn, also when it is asked for late.
fn the_exit_asked_for_after_the_end(template: &Template) {
    let ended = Rc::new(Cell::new(false));
    let first = ended.clone();
    let running = template.fork().run(RETURN, |_| ()).on_exit(move |_| first.set(true));
    eventually("the end", || ended.get().then_some(()));
    let late = Rc::new(Cell::new(None));
    let told = late.clone();
    let running = running.on_exit(move |exit| told.set(Some(exit)));
    assert!(late.take().is_none(), "told inside the call");
    let exit = eventually("the end, once more", || late.take());
    assert_eq!(Some(exit.pid()), running.pid());
}

/// B3: each of them, in their order.
fn several_who_ask_for_the_exit(template: &Template) {
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut running = template.fork().run(RETURN, |_| ());
    for number in 0..5 {
        let order = order.clone();
        running = running.on_exit(move |_| order.borrow_mut().push(number));
    }
    eventually("five ends", || (order.borrow().len() == 5).then_some(()));
    assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
}

/// A value that says when it is dropped.
struct Dropped(Rc<Cell<u32>>);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Rule 4: callbacks that ran, and those that have nothing to tell, are dropped with what they own.
fn callbacks_are_dropped_with_what_they_own(template: &Template) {
    let dropped = Rc::new(Cell::new(0));
    let [ran, ended] = [(); 2].map(|()| Dropped(dropped.clone()));
    let running = template.fork().run(RETURN, move |_| drop(ran)).on_exit(move |_| drop(ended));
    eventually("both callbacks", || (dropped.get() == 2).then_some(()));
    // A process that cannot come to be has no end to tell.
    let unrun = Dropped(dropped.clone());
    let dead = template.fork().load("/no/such/plugin.so");
    let refused = dead.run(RETURN, |_| ()).on_exit(move |_| drop(unrun));
    drop((refused, running));
    eventually("the third", || (dropped.get() == 3).then_some(()));
    // Nor does it stay because its callback owns its handle.
    let (unrun, handle) = (Dropped(dropped.clone()), Rc::new(RefCell::new(None)));
    let own = Rc::clone(&handle);
    let dead = template.fork().load("/no/such/plugin.so");
    handle.replace(Some(dead.run(RETURN, |_| ()).on_exit(move |_| drop((own, unrun)))));
    drop(handle);
    eventually("the fourth", || (dropped.get() == 4).then_some(()));
}

/// Rule 2: from a callback everything is allowed.
fn a_callback_that_drops_the_last_template(_: &Template) {
    let template = another();
    let pid = processes::of(&template);
    let owner = template.clone();
    let ended = Rc::new(Cell::new(false));
    let told = ended.clone();
    template.fork().run(RETURN, move |_| drop(owner)).on_exit(move |_| told.set(true));
    drop(template);
    eventually("the end", || ended.get().then_some(()));
    ends(pid);
}

/// Turns the queue until `done`, through panics of callbacks; gives how many there were.
fn turn_through_panics(what: &str, mut done: impl FnMut() -> bool) -> u32 {
    let mut panics = 0;
    while !done() {
        let turned = catch_unwind(AssertUnwindSafe(|| {
            eventually(what, || done().then_some(()));
        }));
        panics += u32::from(turned.is_err());
        assert!(panics < 10, "{what}");
    }
    panics
}

/// E13: the queue goes on, and so does the worker whose callback it was.
fn a_callback_that_panics(template: &Template) {
    let ended = Rc::new(Cell::new(false));
    let told = ended.clone();
    let other = Told::run(template.fork(), RETURN);
    template
        .fork()
        .run(RETURN, |_| panic!("a callback of this test"))
        .on_exit(move |_| told.set(true));
    assert_eq!(turn_through_panics("the end", || ended.get()), 1);
    assert!(other.exit().success());
    assert!(Told::run(template.fork(), RETURN).exit().success());
}

/// E13: `run`'s callback, told of a worker that was killed over its orders, panics; the end is still told.
fn a_panic_over_a_refusal_loses_no_exit(template: &Template) {
    let ended = Rc::new(Cell::new(false));
    let told = ended.clone();
    // Orders that no socket takes at once, so that the callback has to wait for room.
    let process = (0..64).fold(template.fork(), |process, _| process.send_arg(vec![7; 60_000]));
    let running = process
        .run("no entry", |_| panic!("a callback of this test"))
        .on_exit(move |_| told.set(true));
    eventually("a process", || running.pid());
    let _ = running.kill(libc::SIGKILL);
    let panics = turn_through_panics("the end", || ended.get());
    assert_eq!(panics, 1);
}

/// E13: the last exit's callback panics, and nobody is left to keep the template.
fn a_panic_in_the_last_exit_lets_the_template_go(_: &Template) {
    let template = another();
    let pid = processes::of(&template);
    let panicked = Rc::new(Cell::new(false));
    let told = panicked.clone();
    let sockets = Rc::new(RefCell::new(Vec::new()));
    let kept = sockets.clone();
    template
        .fork()
        .run(STAY, move |socket| kept.borrow_mut().push(socket.expect("a process")))
        .on_exit(move |_| {
            told.set(true);
            panic!("a callback of this test");
        });
    eventually("the socket", || (!sockets.borrow().is_empty()).then_some(()));
    drop(template);
    // The template says that nobody has a handle of it any more.
    assert!(Told::run(another().fork(), RETURN).exit().success());
    sockets.borrow_mut().clear();
    turn_through_panics("the panic", || panicked.get());
    ends(pid);
}

/// E13: one who asked for the exit panics; the others hear of it all the same.
fn a_panic_before_others_who_ask(template: &Template) {
    let ended = Rc::new(Cell::new(0));
    let count = || {
        let ended = ended.clone();
        move |_| ended.set(ended.get() + 1)
    };
    template
        .fork()
        .run(RETURN, |_| ())
        .on_exit(count())
        .on_exit(|_| panic!("a callback of this test"))
        .on_exit(count());
    assert_eq!(turn_through_panics("both others", || ended.get() == 2), 1);
}

/// Rule 2: never nested, and it says so.
fn a_callback_that_dispatches(template: &Template) {
    let told = Rc::new(RefCell::new(None));
    let tell = told.clone();
    template.fork().run(RETURN, move |_| {
        tell.replace(Some(tine::queue().dispatch().expect_err("nested").kind()));
    });
    let kind = eventually("the callback", || told.take());
    assert_eq!(kind, ErrorKind::Misuse);
}

/// F10: the signal is sent as soon as there is someone to get it.
fn killed_before_it_exists(template: &Template) {
    let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), ENDURE)).collect();
    told.iter().for_each(|told| told.running().kill(libc::SIGKILL).expect("asked for"));
    for told in told {
        assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
    }
}

/// F10: all that were sent before there was someone to get them are, in order.
fn several_signals_before_it_exists(template: &Template) {
    for signals in [[libc::SIGTERM, libc::SIGCONT], [libc::SIGSTOP, libc::SIGTERM]] {
        let told = Told::run(template.fork(), ENDURE);
        signals.iter().for_each(|signal| told.running().kill(*signal).expect("asked for"));
        if signals[0] == libc::SIGSTOP {
            // A stopped process gets it when it goes on.
            assert!(told.settled());
            told.running().kill(libc::SIGCONT).expect("it lives");
        }
        assert_eq!(told.exit().signal(), Some(libc::SIGTERM), "{signals:?}");
    }
}

/// B3: real-time signals have no names, and are signals.
fn real_time_signals(template: &Template) {
    for early in [true, false] {
        let signal = libc::SIGRTMIN() + 8;
        let told = Told::run(template.fork(), ENDURE);
        assert!(early || told.settled());
        told.running().kill(signal).expect("a signal");
        let exit = told.exit();
        assert_eq!(*exit.cause(), Cause::Killed { signal, core_dumped: false });
        assert!(exit.to_string().contains(&format!("signal {signal}")), "{exit}");
    }
}

/// Rule 10: an error that names the number.
fn signals_that_do_not_exist(template: &Template) {
    let told = Told::run(template.fork(), STAY);
    let socket = told.socket();
    for signal in [-1, 0, 65, 1000] {
        let error = told.running().kill(signal).expect_err("no signal");
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(&signal.to_string()), "{error}");
    }
    drop(socket);
    assert!(told.exit().success());
    assert_eq!(told.running().kill(9).expect_err("it is over").kind(), ErrorKind::NoProcess);
}

tine::entry!(USE_INHERITED = use_inherited);
fn use_inherited(worker: Worker) -> tine::Result<()> {
    let (template, process, told) = INHERITED.take().expect("inherited");
    let kind = |process: Process| {
        let told = Told::run(process, RETURN);
        told.refusal().kind()
    };
    let kinds = [kind(template.fork()), kind(process)];
    let killed = told.running().kill(libc::SIGKILL).err().map(|error| error.kind());
    drop((template, told));
    write!(worker.socket(), "{kinds:?} {killed:?}")?;
    Ok(())
}

/// F22, rule 10: a handle that came through a fork.
fn inherited_handles_are_refused(template: &Template) {
    let told = Told::run(template.fork(), USE_INHERITED);
    let answer = String::from_utf8(told.answer()).expect("text");
    let exit = told.exit();
    assert!(exit.success(), "{exit}");
    assert_eq!(answer, "[WrongProcess, WrongProcess] Some(WrongProcess)");
    INHERITED.with_borrow(|inherited| {
        let (first, _, told) = inherited.as_ref().expect("set in main");
        assert!(Told::run(first.fork(), RETURN).exit().success(), "the app's handle is the app's");
        assert!(processes::is_alive(told.running().pid().expect("it lives")), "nobody killed it");
    });
}

tine::entry!(OWN_QUEUE = own_queue);
fn own_queue(worker: Worker) -> tine::Result<()> {
    let queue = tine::queue();
    let before = descriptors().len();
    let (timed, heard) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let (tell, tell_heard) = (timed.clone(), heard.clone());
    let timer = queue.after(std::time::Duration::from_millis(5), move || tell.set(true));
    let socket = worker.socket().try_clone()?;
    let io = queue.io(
        socket,
        Interest::READABLE,
        move |mut socket: &std::os::unix::net::UnixStream, _| {
            tell_heard.set(socket.read(&mut [0; 16]).unwrap_or(0));
        },
    )?;
    queue.run_until(|| timed.get() && heard.get() > 0)?;
    drop((timer, io));
    write!(worker.socket(), "{} {}", heard.get(), descriptors().len() == before)?;
    Ok(())
}

/// F22: timers and descriptors, in a worker whose memory has the app's queue.
fn a_worker_with_a_queue_of_its_own(template: &Template) {
    let told = Told::run(template.fork(), OWN_QUEUE);
    let mut socket = told.socket();
    socket.write_all(b"four").expect("a socket");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "4 true");
    assert_eq!(*told.exit().cause(), Cause::Returned);
}

tine::entry!(OWN_TEMPLATE = own_template);
fn own_template(mut worker: Worker) -> tine::Result<()> {
    let depth = worker.take_arg()?[0];
    let template = Template::here()?;
    let told: Vec<_> = (0..3).map(|_| Told::run(template.fork(), RETURN)).collect();
    if told.iter().any(|told| !told.exit().success()) {
        return Err(tine::Error::other("a worker of a worker failed"));
    }
    if depth > 0 {
        let told = Told::run(template.fork().send_arg([depth - 1]), OWN_TEMPLATE);
        let exit = told.exit();
        if !exit.success() {
            return Err(tine::Error::other(exit.to_string()));
        }
    }
    Ok(())
}

/// F22: workers of workers of workers.
fn a_worker_with_a_template_of_its_own(template: &Template) {
    let told = Told::run(template.fork().send_arg([3]), OWN_TEMPLATE);
    let exit = told.exit();
    assert_eq!(*exit.cause(), Cause::Returned, "{exit}");
}

/// Rule 10: a fork(2) that tine knows nothing of; the child's use is refused, the app's goes on.
fn an_app_that_is_forked_bare(template: &Template) {
    let told = Told::run(template.fork(), STAY);
    let socket = told.socket();
    let prepared = template.fork().send_arg("sent").into_template().expect("a template");
    // By now it has said who it is, which nobody has listened to yet.
    assert!(Told::run(prepared.fork(), RETURN).exit().success());
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let pid = native::fork(|| {
        assert_eq!(prepared.pid(), None);
        let kind = Told::run(template.fork(), RETURN).refusal().kind();
        let killed = told.running().kill(libc::SIGKILL).map_err(|error| error.kind());
        write!(writer, "{kind:?} {killed:?}").expect("a pipe");
    });
    drop(writer);
    let mut answer = String::new();
    reader.read_to_string(&mut answer).expect("the child's end");
    native::reap(pid);
    assert_eq!(answer, "WrongProcess Err(WrongProcess)");
    assert!(prepared.pid().is_some(), "said to the app");
    assert_eq!(told.words(), ["socket"]);
    drop(socket);
    assert!(told.exit().success());
    assert!(Told::run(template.fork(), RETURN).exit().success());
}
