//! However a worker ends, the app hears of it once, and hears what it was.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tine::{Cause, Template, Worker};
use tine_tests::told::{Told, end_of, eventually};
use tine_tests::workers::{ENDURE, ITEMS, RETURN, STAY, number};
use tine_tests::{cases, native, processes, runner};

/// What the app has in its main thread.
struct Local;
impl Drop for Local {
    fn drop(&mut self) {
        eprintln!("a destructor of the app in {}", std::process::id());
    }
}
thread_local! {
    static LOCAL: Local = const { Local };
}

fn main() -> ExitCode {
    native::speak_at_exit();
    LOCAL.with(|_| ());
    native::buffer(out_of_a_pipe(), c"text that the app has buffered");
    let template = Template::early().expect("first line of main");
    let cases = cases![
        returning,
        failing_with_a_text,
        exit_with_codes,
        underscore_exit_with_codes,
        exit_from_another_thread,
        traced_by_nobody,
        killed_by_each_of_several_signals,
        aborting_and_crashing,
        overflowing_the_stack,
        unknown_entries_name_the_known,
        two_of_one_name_are_refused,
        the_socket_ends_with_the_process,
        the_pid_is_the_kernels,
        figures_of_the_end,
        no_exit_handler_and_no_buffer_of_the_app_runs,
        drops_of_a_panicking_worker_run,
    ];
    runner::run(&template, cases)
}

/// A pipe whose reading end stays open, so that what is written is no error.
fn out_of_a_pipe() -> OwnedFd {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    native::leak(reader.into(), None);
    writer.into()
}

/// F11: returned, in either way.
fn returning(template: &Template) {
    for entry in [RETURN, ITEMS] {
        let exit = end_of(template, entry, &[]);
        assert_eq!(*exit.cause(), Cause::Returned);
        assert_eq!((exit.success(), exit.code(), exit.signal()), (true, Some(0), None));
    }
}

tine::entry!(FAIL = fail);
fn fail(mut worker: Worker) -> Result<(), String> {
    Err(String::from_utf8(worker.take_arg().expect("a text")).expect("text"))
}

/// F11: an error, with its text as it is.
fn failing_with_a_text(template: &Template) {
    for text in ["no such picture", "", "many\nlines\nof 'ü' \0 text"] {
        let exit = end_of(template, FAIL, &[text]);
        assert_eq!(*exit.cause(), Cause::Failed(text.into()));
        assert_eq!((exit.success(), exit.code(), exit.signal()), (false, Some(1), None));
    }
    // What is too long for the account is cut, and the rest of the account is true.
    let long = "long ".repeat(10_000);
    let exit = end_of(template, FAIL, &[&long]);
    let Cause::Failed(text) = exit.cause() else { panic!("{exit}") };
    assert!(text.len() > 1000 && long.starts_with(text.as_str()), "{} octets", text.len());
}

tine::entry!(EXIT = exit);
fn exit(mut worker: Worker) {
    std::process::exit(number(&mut worker));
}

tine::entry!(LEAVE = leave);
fn leave(mut worker: Worker) {
    native::leave(number(&mut worker));
}

fn codes(template: &Template, entry: tine::Entry) {
    for code in [0, 1, 2, 42, 101, 127, 255] {
        let exit = end_of(template, entry, &[&code.to_string()]);
        assert_eq!(*exit.cause(), Cause::Exited(code));
        assert_eq!((exit.success(), exit.code()), (code == 0, Some(code)));
    }
}

/// F11: exit(3), also with the codes that tine's own endings have.
fn exit_with_codes(template: &Template) {
    codes(template, EXIT);
}

/// F11: _exit(2) the same.
fn underscore_exit_with_codes(template: &Template) {
    codes(template, LEAVE);
}

tine::entry!(EXIT_ELSEWHERE = exit_elsewhere);
fn exit_elsewhere(_: Worker) {
    let _ = std::thread::spawn(|| std::process::exit(9)).join();
}

/// F11, F24: a thread of the worker ends it.
fn exit_from_another_thread(template: &Template) {
    assert_eq!(*end_of(template, EXIT_ELSEWHERE, &[]).cause(), Cause::Exited(9));
}

tine::entry!(TRACED = be_traced);
fn be_traced(mut worker: Worker) -> std::io::Result<()> {
    let signal = number(&mut worker);
    let stop = move || {
        native::be_traced();
        native::raise(signal);
    };
    match number(&mut worker) {
        0 => stop(),
        _ => std::thread::spawn(stop).join().expect("no panic"),
    }
    worker.socket().write_all(b"on")
}

/// B3, rule 9: what asks its parent to trace it, or has a thread that does, is told to have ended when it has, and is as
/// it would be otherwise; also where the template has to look at who ends, as while it has programs.
fn traced_by_nobody(template: &Template) {
    let run = |signal: i32, thread: i32| {
        let process = template.fork().send_arg(signal.to_string());
        Told::run(process.send_arg(thread.to_string()), TRACED)
    };
    for programs in 0..2 {
        let (input, held) = std::io::pipe().expect("a pipe");
        let ended = Rc::new(Cell::new(programs));
        let tells = Rc::clone(&ended);
        if programs > 0 {
            let program = template.command("cat").stdin(OwnedFd::from(input));
            program.spawn(|_| ()).on_exit(move |exit| tells.set(exit.code().unwrap_or(1)));
        }
        for thread in 0..2 {
            let told = run(libc::SIGTERM, thread);
            let killed = Cause::Killed { signal: libc::SIGTERM, core_dumped: false };
            assert_eq!(*told.exit().cause(), killed);
            let told = run(libc::SIGURG, thread);
            assert_eq!(*told.exit().cause(), Cause::Returned);
            assert_eq!(told.answer(), b"on");
        }
        drop(held);
        eventually("the program ends", || (ended.get() == 0).then_some(()));
    }
}

/// B3: a signal from outside, by its number.
fn killed_by_each_of_several_signals(template: &Template) {
    let signals = [
        libc::SIGTERM,
        libc::SIGKILL,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGALRM,
        libc::SIGQUIT,
        libc::SIGCHLD,
    ];
    for signal in signals {
        let told = Told::run(template.fork(), ENDURE);
        told.socket().read_exact(&mut [0; 5]).expect("ready");
        told.running().kill(signal).expect("it lives");
        if signal == libc::SIGCHLD {
            // Its default is to be ignored.
            assert!(processes::is_alive(told.running().pid().expect("a process")));
            told.running().kill(libc::SIGKILL).expect("it lives");
            assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
            continue;
        }
        let exit = told.exit();
        assert_eq!((exit.signal(), exit.code(), exit.success()), (Some(signal), None, false));
        assert!(matches!(exit.cause(), Cause::Killed { signal: by, .. } if *by == signal));
        assert!(told.running().kill(signal).is_err(), "it has ended");
    }
}

tine::entry!(RAISE = raise);
fn raise(mut worker: Worker) {
    native::raise(number(&mut worker));
}

tine::entry!(ABORT = abort);
fn abort(_: Worker) {
    std::process::abort();
}

/// B3: by its own doing; whether a core was written is the kernel's to say.
fn aborting_and_crashing(template: &Template) {
    let exit = end_of(template, ABORT, &[]);
    assert_eq!(exit.signal(), Some(libc::SIGABRT), "{exit}");
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSYS] {
        let exit = end_of(template, RAISE, &[&signal.to_string()]);
        assert_eq!(exit.signal(), Some(signal), "{exit}");
    }
}

tine::entry!(OVERFLOW = overflow);
fn overflow(_: Worker) {
    fn deeper(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 512]);
        if frame[0] == u64::MAX { 0 } else { deeper(depth + 1) + frame[depth as usize % 512] }
    }
    std::hint::black_box(deeper(0));
}

/// B3: the commonest crash of decoders.
fn overflowing_the_stack(template: &Template) {
    let exit = end_of(template, OVERFLOW, &[]);
    assert!(matches!(exit.signal(), Some(libc::SIGSEGV | libc::SIGABRT)), "{exit}");
}

mod first {
    tine::entry!(pub SAME = same);
    fn same(_: tine::Worker) {}
    tine::function!(pub WARM = warm);
    fn warm(_: &mut tine::Items, _: Vec<Vec<u8>>) {}

    pub fn others() -> (tine::Entry, tine::Function) {
        tine::entry!(SAME = same);
        fn same(_: tine::Worker) {}
        tine::function!(WARM = warm);
        fn warm(_: &mut tine::Items, _: Vec<Vec<u8>>) {}
        (SAME, WARM)
    }
}

/// E15: which of the two is meant, nobody knows; so neither runs in the other's place.
fn two_of_one_name_are_refused(template: &Template) {
    let (same, warm) = first::others();
    assert_eq!((same.name(), warm.name()), (first::SAME.name(), first::WARM.name()));
    let exit = end_of(template, same, &[]);
    let Cause::BadOrders(why) = exit.cause() else { panic!("{exit}") };
    assert!(why.contains("two entries") && why.contains(same.name()), "{why}");
    let refusal = Told::run(template.fork().call(warm, [""; 0]), RETURN).refusal().to_string();
    assert!(refusal.contains("two functions") && refusal.contains(warm.name()), "{refusal}");
}

/// F11: no such function, and which there are.
fn unknown_entries_name_the_known(template: &Template) {
    for name in ["no::such::entry", "", "process_exits::exi", "process_exits::exit\0"] {
        let exit = Told::run(template.fork(), name).exit();
        let Cause::NoSuchEntry { known } = exit.cause() else { panic!("{name:?}: {exit}") };
        assert_eq!(exit.entry(), name);
        for entry in [EXIT, RETURN, FAIL] {
            assert!(known.iter().any(|known| known == entry.name()), "{known:?}");
        }
        assert!(known.is_sorted(), "{known:?}");
        assert!(exit.to_string().contains(EXIT.name()), "{exit}");
    }
}

/// F12: end-of-file is a sign of the death, however it came.
fn the_socket_ends_with_the_process(template: &Template) {
    let told = Told::run(template.fork(), ENDURE);
    let mut socket = told.socket();
    socket.read_exact(&mut [0; 5]).expect("ready");
    told.running().kill(libc::SIGKILL).expect("it lives");
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).expect("the end");
    assert_eq!(rest, b"");
    assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
}

tine::entry!(PID = tell_pid);
fn tell_pid(worker: Worker) -> std::io::Result<()> {
    write!(worker.socket(), "{}", std::process::id())
}

/// F4: the handle, the process itself and the account agree.
fn the_pid_is_the_kernels(template: &Template) {
    let told = Told::run(template.fork(), PID);
    let answer = String::from_utf8(told.answer()).expect("digits");
    let exit = told.exit();
    assert_eq!(answer, exit.pid().to_string());
    assert_eq!(told.running().pid(), Some(exit.pid()));
    let living = Told::run(template.fork(), STAY);
    let socket = living.socket();
    let pid = living.running().pid().expect("it lives");
    assert_eq!(
        processes::children(processes::of(template)).first().map(|child| child.0),
        Some(pid)
    );
    drop(socket);
    living.exit();
}

tine::entry!(WORK = work);
fn work(_: Worker) {
    let mut memory = vec![1_u8; 48 << 20];
    let begun = std::time::Instant::now();
    let mut sum = 0_u64;
    while begun.elapsed() < Duration::from_millis(100) {
        memory.iter_mut().for_each(|octet| *octet = octet.wrapping_mul(3));
        sum += u64::from(std::hint::black_box(&memory)[0]);
    }
    std::hint::black_box(sum);
}

/// B3: time and memory are the worker's own.
fn figures_of_the_end(template: &Template) {
    let exit = end_of(template, WORK, &[]);
    let used = exit.user_time() + exit.system_time();
    assert!(used >= Duration::from_millis(20), "{used:?}");
    assert!(exit.lived() >= Duration::from_millis(100), "{:?}", exit.lived());
    assert!(used <= exit.lived() + Duration::from_millis(20), "{used:?} of {:?}", exit.lived());
    assert!(exit.peak_rss_kib() >= 48 << 10, "{} KiB", exit.peak_rss_kib());
    let idle = end_of(template, RETURN, &[]);
    assert!(idle.peak_rss_kib() > 0 && idle.peak_rss_kib() < 48 << 10, "{}", idle.peak_rss_kib());
}

tine::entry!(THREADED = start_a_thread);
fn start_a_thread(_: Worker) {
    std::thread::spawn(|| {
        loop {
            std::thread::park();
        }
    });
}

/// F24: nothing of the app runs when a worker leaves, in whatever way it does.
fn no_exit_handler_and_no_buffer_of_the_app_runs(template: &Template) {
    let silent: [(tine::Entry, &[&str]); 5] =
        [(RETURN, &[]), (FAIL, &["x"]), (EXIT, &["0"]), (LEAVE, &["0"]), (THREADED, &[])];
    for (entry, args) in silent {
        let exit = end_of(template, entry, args);
        assert_eq!(exit.stderr(), "", "{exit}");
    }
}

struct Flag(OwnedFd);
impl Drop for Flag {
    fn drop(&mut self) {
        let copy = self.0.as_fd().try_clone_to_owned().expect("a descriptor");
        File::from(copy).write_all(b"dropped").expect("a socket");
    }
}

tine::entry!(UNWIND = unwind);
fn unwind(worker: Worker) {
    let _flag = Flag(worker.into_socket().into());
    panic!("unwinding");
}

/// F24: destructors of the worker's own values do run.
fn drops_of_a_panicking_worker_run(template: &Template) {
    let told = Told::run(template.fork(), UNWIND);
    assert_eq!(told.answer(), b"dropped");
    assert_eq!(told.exit().code(), Some(101));
}
