//! What workers write: the end of it is in the account, and none can speak for another.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, ExitCode};

use tine::{Cause, Exit, Template, Worker};
use tine_tests::places::{output_of, this};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{ENDURE, RETURN, STAY};
use tine_tests::{cases, native, processes, runner};

fn main() -> ExitCode {
    // What workers write is passed on to here: a pipe that is never full for lack of a reader.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let template = with_output_to(writer, || Template::early().expect("first line of main"));
    PASSED_ON.with(|passed| passed.replace(Some(reader.into())));
    if std::env::var_os(ALONE).is_some() {
        println!("main");
        take_a_number_that_is_free_again(&template);
        return ExitCode::SUCCESS;
    }
    let cases = cases![
        short_lines_are_kept_as_they_are,
        the_last_lines_of_megabytes,
        lines_written_at_once,
        a_line_without_end,
        a_line_of_a_hundred_megabytes,
        characters_cut_in_two,
        octets_that_are_no_text,
        a_worker_that_closes_its_standard_error,
        workers_that_live_on_without_standard_error,
        a_worker_with_a_standard_error_of_its_own,
        a_worker_whose_pipe_is_large,
        garbage_to_every_descriptor,
        forged_last_words_are_the_forgers_own,
        grandchildren_write_on,
        grandchildren_that_come_back_say_nothing,
        grandchildren_that_outlive_hold_nobody,
        a_number_that_is_free_again,
    ];
    runner::run(&template, cases)
}

/// Calls a function while standard error is a pipe, and standard output, for garbage, nothing.
fn with_output_to<T>(errors: std::io::PipeWriter, function: impl FnOnce() -> T) -> T {
    let own = [rustix::stdio::stdout(), rustix::stdio::stderr()]
        .map(|fd| fd.try_clone_to_owned().expect("a descriptor"));
    let null = File::options().write(true).open("/dev/null").expect("/dev/null");
    rustix::stdio::dup2_stdout(null).expect("standard output");
    rustix::stdio::dup2_stderr(errors).expect("standard error");
    let result = function();
    rustix::stdio::dup2_stdout(&own[0]).expect("standard output");
    rustix::stdio::dup2_stderr(&own[1]).expect("standard error");
    result
}

thread_local! {
    static PASSED_ON: std::cell::RefCell<Option<OwnedFd>> = const { std::cell::RefCell::new(None) };
}

/// All that the template has passed on so far.
fn passed_on() -> Vec<u8> {
    PASSED_ON.with_borrow(|reader| {
        let reader = reader.as_ref().expect("set in main");
        rustix::io::ioctl_fionbio(reader, true).expect("a pipe");
        let mut octets = Vec::new();
        // It ends with "would block", which is no error here.
        let _ = (&File::from(reader.try_clone().expect("a pipe"))).read_to_end(&mut octets);
        octets
    })
}

fn end_of(template: &Template, entry: tine::Entry, args: &[&[u8]]) -> Exit {
    passed_on();
    let process = args.iter().fold(template.fork(), |process, arg| process.send_arg(*arg));
    Told::run(process, entry).exit()
}

tine::entry!(SAY = say);
fn say(mut worker: Worker) -> tine::Result<()> {
    std::io::stderr().write_all(&worker.take_arg()?)?;
    Ok(())
}

/// B3: to the octet.
fn short_lines_are_kept_as_they_are(template: &Template) {
    for text in ["", "one", "one\n", "one\n\n two \ttwo\n", "ünï\r\n"] {
        let exit = end_of(template, SAY, &[text.as_bytes()]);
        assert_eq!(exit.stderr(), text);
        assert_eq!(*exit.cause(), Cause::Returned);
        assert_eq!(passed_on(), text.as_bytes());
    }
}

tine::entry!(CHATTER = chatter);
fn chatter(_: Worker) {
    for line in 0..50_000 {
        let line = format!("line {line} of a decoder that has much to complain of\n");
        std::io::stderr().write_all(line.as_bytes()).expect("a pipe");
    }
}

/// B3: the last lines, whole, at most 4 KiB; the worker is not held for ever by whoever does not read.
fn the_last_lines_of_megabytes(template: &Template) {
    let exit = end_of(template, CHATTER, &[]);
    assert_eq!(*exit.cause(), Cause::Returned);
    let tail = exit.stderr();
    assert!((2000..=4096).contains(&tail.len()), "{} octets", tail.len());
    assert!(tail.ends_with("line 49999 of a decoder that has much to complain of\n"), "{tail}");
    let numbers = tail.lines().map(|line| {
        let number = line.strip_prefix("line ").and_then(|rest| rest.split(' ').next());
        number.and_then(|number| number.parse::<u32>().ok()).expect(line)
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a line is missing: {tail}");
}

/// B3: whole lines, however they were written.
fn lines_written_at_once(template: &Template) {
    for length in [4090, 4096, 8192, 12_288, 16_384, 20_000] {
        let text: String = (0..).map(|n| format!("line {n}\n")).take(length).collect();
        let text = &text[..length];
        let exit = end_of(template, SAY, &[text.as_bytes()]);
        assert!(text.ends_with(exit.stderr()) && exit.stderr().len() <= 4096, "{length}: {exit}");
        assert!(exit.stderr().starts_with("line "), "{length}: {:?}", &exit.stderr()[..20]);
        assert!(exit.stderr().len() > 4000, "{length}: {} octets", exit.stderr().len());
    }
}

tine::entry!(FLOOD = flood);
fn flood(_: Worker) -> Result<(), &'static str> {
    let part = [b'x'; 1 << 20];
    for _ in 0..100 {
        std::io::stderr().write_all(&part).map_err(|_| "refused")?;
    }
    std::io::stderr().write_all(b"the end").map_err(|_| "refused")?;
    Err("flooded")
}

/// B3: it holds nobody, and what was written last is kept.
fn a_line_of_a_hundred_megabytes(template: &Template) {
    let exit = end_of(template, FLOOD, &[]);
    assert_eq!(*exit.cause(), Cause::Failed("flooded".into()));
    assert!(exit.stderr().len() > 2000 && exit.stderr().len() <= 4096, "{}", exit.stderr().len());
    assert!(exit.stderr().ends_with("xxxthe end"));
    passed_on();
}

/// B3: at most 4 KiB also of what is no text, each octet of which is told by three; and the end of it.
fn characters_cut_in_two(template: &Template) {
    let exit = end_of(template, SAY, &[&[&[0xff; 9000][..], b"the end"].concat()]);
    assert!(exit.stderr().len() <= 4096 && exit.stderr().len() > 4000, "{}", exit.stderr().len());
    assert!(exit.stderr().ends_with("\u{fffd}the end"));
    for offset in 0..4 {
        let text = format!("{}{}", "\u{1f980}".repeat(3000), "x".repeat(offset));
        let exit = end_of(template, SAY, &[text.as_bytes()]);
        assert!(exit.stderr().len() > 4000, "{}", exit.stderr().len());
        assert!(text.ends_with(exit.stderr()), "{offset}: {:?}", &exit.stderr()[..20]);
    }
}

/// B3: the end of it.
fn a_line_without_end(template: &Template) {
    let mut text = vec![b'x'; 20_000];
    text.extend(b" the end");
    let exit = end_of(template, SAY, &[&text]);
    assert!(exit.stderr().len() > 2000 && exit.stderr().len() <= 4096, "{}", exit.stderr().len());
    assert!(exit.stderr().ends_with("xxx the end"));
}

/// Rule 9: any octets.
fn octets_that_are_no_text(template: &Template) {
    let octets: Vec<u8> = (0..=255).rev().collect();
    let exit = end_of(template, SAY, &[&octets]);
    assert_eq!(exit.stderr(), String::from_utf8_lossy(&octets));
    assert_eq!(passed_on(), octets);
}

tine::entry!(CLOSE = close);
fn close(_: Worker) -> Result<(), &'static str> {
    eprintln!("before");
    native::close(2);
    Err("after")
}

/// Rule 9: it has no last words; the code is still the kernel's.
fn a_worker_that_closes_its_standard_error(template: &Template) {
    let exit = end_of(template, CLOSE, &[]);
    assert_eq!((exit.code(), exit.stderr()), (Some(1), "before\n"), "{exit}");
}

tine::entry!(CLOSE_AND_STAY = close_and_stay);
fn close_and_stay(worker: Worker) -> std::io::Result<()> {
    native::close(2);
    worker.socket().write_all(b"closed")?;
    worker.socket().read(&mut [0]).map(drop)
}

/// Rule 8: that nobody can say anything there any more gives the template nothing to do.
fn workers_that_live_on_without_standard_error(template: &Template) {
    let pid = processes::of(template);
    let workers = [(); 3].map(|()| Told::run(template.fork(), CLOSE_AND_STAY));
    let sockets = workers.each_ref().map(|worker| {
        let mut socket = worker.socket();
        socket.read_exact(&mut [0; 6]).expect("closed");
        eventually("the template sleeps", || processes::is_asleep(pid).then_some(()));
        socket
    });
    drop(sockets);
    workers.iter().for_each(|worker| assert!(worker.exit().success()));
}

tine::entry!(REPLACE = replace);
fn replace(worker: Worker) -> Result<(), String> {
    rustix::stdio::dup2_stderr(worker.socket()).map_err(|error| error.to_string())?;
    eprintln!("to the socket");
    Err("told".into())
}

/// Rule 9: what the worker has made of its standard error is its own; no last words get into it.
fn a_worker_with_a_standard_error_of_its_own(template: &Template) {
    let told = Told::run(template.fork(), REPLACE);
    assert_eq!(told.answer(), b"to the socket\n");
    assert_eq!(told.exit().code(), Some(1));
}

tine::entry!(LARGE = large);
fn large(_: Worker) -> Result<(), &'static str> {
    // More than a template reads in one go of a pipe of the usual size.
    rustix::pipe::fcntl_setpipe_size(rustix::stdio::stderr(), 1 << 20).map_err(|_| "refused")?;
    for line in 0..200 {
        eprintln!("line {line}");
    }
    Err("the reason")
}

/// B3: the reason comes behind much else.
fn a_worker_whose_pipe_is_large(template: &Template) {
    for _ in 0..20 {
        let exit = end_of(template, LARGE, &[]);
        assert_eq!(*exit.cause(), Cause::Failed("the reason".into()), "{exit}");
        assert!(exit.stderr().ends_with("line 199\n"), "{:?}", exit.stderr());
    }
}

tine::entry!(GARBAGE = garbage);
fn garbage(_: Worker) {
    let mut random = 7_u64;
    for number in 0..64 {
        for length in [1, 16, 40, 4096, 70_000] {
            let octets: Vec<u8> = (0..length)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (random >> 33) as u8
                })
                .collect();
            native::write(number, &octets);
        }
    }
    native::raise(libc::SIGKILL);
}

/// Rule 9: a worker can write to nothing from which another's fate is read.
fn garbage_to_every_descriptor(template: &Template) {
    let living = Told::run(template.fork(), STAY);
    let socket = living.socket();
    let garbage: Vec<_> = (0..5).map(|_| Told::run(template.fork(), GARBAGE)).collect();
    let siblings: Vec<_> = (0..20).map(|_| Told::run(template.fork(), RETURN)).collect();
    for told in &garbage {
        let mut socket = told.socket();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
    }
    for told in siblings {
        let exit = told.exit();
        assert_eq!((exit.cause(), exit.stderr()), (&Cause::Returned, ""));
    }
    assert_eq!(living.words(), ["socket"]);
    drop(socket);
    assert_eq!(*living.exit().cause(), Cause::Returned);
    passed_on();
}

tine::entry!(FORGE = forge);
fn forge(_: Worker) {
    let words = b"\0tine\0last\0words\0";
    let header = [1, 64, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    native::write(2, &[&words[..], &header, b"\x02 forged"].concat());
    native::leave(3);
}

/// Rule 9: they count for nothing when the kernel says otherwise, and never for another.
fn forged_last_words_are_the_forgers_own(template: &Template) {
    let told: Vec<_> = (0..10)
        .map(|n| Told::run(template.fork(), if n % 2 == 0 { FORGE } else { RETURN }))
        .collect();
    for (n, told) in told.iter().enumerate() {
        let wanted = if n % 2 == 0 { Cause::Exited(3) } else { Cause::Returned };
        assert_eq!(*told.exit().cause(), wanted);
    }
}

tine::entry!(PARENT = parent);
fn parent(mut worker: Worker) -> tine::Result<()> {
    let mut wait = File::from(worker.take_fd()?);
    let pid = native::fork(|| {
        let _ = wait.read(&mut [0]);
        eprintln!("from the grandchild");
    });
    writeln!(worker.socket(), "{pid}")?;
    Ok(())
}

/// B3: the worker's end is told when it ends; what its child writes later is passed on.
fn grandchildren_write_on(template: &Template) {
    passed_on();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let told = Told::run(template.fork().send_fd(OwnedFd::from(reader)), PARENT);
    let exit = told.exit();
    assert_eq!((exit.cause(), exit.stderr()), (&Cause::Returned, ""));
    writer.write_all(b"x").expect("the grandchild reads");
    let mut heard = Vec::new();
    eventually("the grandchild's words", || {
        heard.extend(passed_on());
        (heard == b"from the grandchild\n").then_some(())
    });
}

tine::entry!(TWINS = twins);
fn twins(mut worker: Worker) -> Result<(), String> {
    let mut arg = || worker.take_arg().map_err(|error| error.to_string());
    let (child, own) = (arg()?, arg()?);
    let end = match native::fork_in_two() {
        None => child,
        Some(pid) => {
            native::reap(pid);
            own
        }
    };
    match &end[..] {
        b"return" => Ok(()),
        b"fail" => Err("failed".into()),
        b"panic" => panic!("panicked"),
        _ => native::leave(1),
    }
}

/// F11, B3: a process that a worker has forked comes back from its function, too. How that one ends is the worker's end
/// in no case.
fn grandchildren_that_come_back_say_nothing(template: &Template) {
    let of_its_own = |own: &str| match own {
        "return" => "returned",
        "fail" => "failed: failed",
        "panic" => ": panicked",
        _ => "exited with 1",
    };
    for child in ["return", "fail", "panic"] {
        for own in ["return", "fail", "panic", "leave"] {
            let told = end_of(template, TWINS, &[child.as_bytes(), own.as_bytes()]).to_string();
            assert!(told.ends_with(of_its_own(own)), "{child}, {own}: {told}");
        }
    }
}

/// F4, B3: a grandchild that lives on holds neither the account nor the template.
fn grandchildren_that_outlive_hold_nobody(_: &Template) {
    let template = Template::early().expect("no thread is running");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let told = Told::run(template.fork().send_fd(OwnedFd::from(reader)), PARENT);
    let mut pid = String::new();
    assert!(told.exit().success());
    // Not to the end of file: the grandchild has the socket too.
    let mut socket = told.socket();
    while !pid.ends_with('\n') {
        let mut octet = [0];
        socket.read_exact(&mut octet).expect("a line");
        pid.push(octet[0].into());
    }
    let killed = Told::run(template.fork(), ENDURE);
    killed.socket().read_exact(&mut [0; 5]).expect("ready");
    killed.running().kill(libc::SIGKILL).expect("it lives");
    killed.exit();
    let own = processes::of(&template);
    drop(template);
    eventually("the template's end", || (!processes::is_alive(own)).then_some(()));
    let pid = pid.trim_end().parse().expect("digits");
    assert!(processes::is_alive(pid), "the grandchild waits for the pipe");
    drop(writer);
    eventually("the grandchild's end", || (!processes::is_alive(pid)).then_some(()));
}

/// Set for this program where it has a PID namespace (pid_namespaces(7)) of its own.
const ALONE: &str = "TINE_TEST_ALONE";

/// F4, B3: a worker has the process id of one before, whose child writes on. Neither is kept from the other.
fn a_number_that_is_free_again(_: &Template) {
    const CANNOT: i32 = 77;
    let mut command = Command::new("unshare");
    let script = format!("test -w /proc/sys/kernel/ns_last_pid || exit {CANNOT}; \"$0\"");
    command.args(["-p", "-f", "--mount-proc", "sh", "-c", &script]).env(ALONE, "yes");
    let probed = command.arg("true").status().expect("unshare").code();
    if probed != Some(0) {
        println!("not tried: no process ids can be chosen here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "--mount-proc", "sh", "-c", &script]).arg(this()).env(ALONE, "yes");
    assert_eq!(output_of(&mut command), ["the same number"]);
}

fn take_a_number_that_is_free_again(template: &Template) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let exit = Told::run(template.fork().send_fd(OwnedFd::from(reader)), PARENT).exit();
    assert!(exit.success(), "{exit}");
    let before = (exit.pid() - 1).to_string();
    std::fs::write("/proc/sys/kernel/ns_last_pid", before).expect("a number of ours");
    let stays = Told::run(template.fork(), STAY);
    let socket = stays.socket();
    assert_eq!(stays.running().pid(), Some(exit.pid()));
    writer.write_all(b"x").expect("the grandchild reads");
    let mut heard = Vec::new();
    eventually("the grandchild's words", || {
        heard.extend(passed_on());
        (heard == b"from the grandchild\n").then_some(())
    });
    drop(socket);
    assert!(stays.exit().success());
    println!("the same number");
}
