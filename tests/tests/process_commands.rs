//! F18: external programs, executed by the template.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tine::testing::{Faults, Stage};
use tine::{Cause, Command, ErrorKind, Exit, Running, Spawned, Stdio, Template};
use tine_tests::told::{DEADLINE, eventually};
use tine_tests::{cases, native, processes, runner};

fn main() -> ExitCode {
    // Nothing of this is inherited.
    native::ignore(libc::SIGHUP);
    native::block(libc::SIGTERM);
    let template = Template::early().expect("first line of main");
    let cases = cases![
        arguments_and_output,
        a_program_reads_its_input,
        environment,
        directory_and_umask_of_now,
        descriptors_to_any_number,
        descriptors_over_each_other,
        groups_and_sessions,
        the_apps_group,
        clean_signals,
        exit_codes_and_signals,
        standard_error_is_kept,
        a_missing_program_is_named,
        a_missing_directory_is_named,
        a_file_that_is_no_program,
        programs_are_found_by_path,
        what_a_program_cannot_have_is_named,
        many_at_once,
        killed_before_it_is_executed,
        a_program_that_dies_at_once_was_started,
        started_beside_one_that_executes_nothing_yet,
        dying_with_the_app_or_not,
    ];
    runner::run(&template, cases)
}

type Started = Rc<RefCell<Option<tine::Result<Spawned>>>>;

/// A command, and what was told of it.
struct Told {
    running: Running,
    started: Started,
    exit: Rc<RefCell<Option<Exit>>>,
}

impl Told {
    fn spawn(command: Command) -> Told {
        let (started, exit) = (Started::default(), Rc::new(RefCell::new(None)));
        let (start, end) = (Rc::clone(&started), Rc::clone(&exit));
        let once = |cell: &Started| assert!(cell.borrow().is_none(), "told once");
        let running = command
            .spawn(move |outcome| {
                once(&start);
                start.replace(Some(outcome));
            })
            .on_exit(move |told| assert!(end.replace(Some(told)).is_none(), "told once"));
        assert!(started.borrow().is_none(), "told inside the call");
        Told { running, started, exit }
    }

    fn spawned(&self) -> Spawned {
        let outcome = eventually("the start", || self.started.borrow_mut().take());
        outcome.expect("a program")
    }

    fn refusal(&self) -> tine::Error {
        let outcome = eventually("the refusal", || self.started.borrow_mut().take());
        outcome.expect_err("no program")
    }

    fn exit(&self) -> Exit {
        eventually("the exit report", || self.exit.borrow().clone())
    }
}

/// All that a program writes until it ends.
fn output(command: Command) -> String {
    let told = Told::spawn(command.stdout(Stdio::Piped));
    let text = read(told.spawned().stdout.expect("a pipe"));
    assert!(told.exit().success());
    text
}

fn read(pipe: OwnedFd) -> String {
    rustix::io::ioctl_fionbio(&pipe, false).expect("a pipe");
    let mut text = String::new();
    File::from(pipe).read_to_string(&mut text).expect("text");
    text
}

fn shell(template: &Template, script: &str) -> Command {
    template.command("sh").args(["-c", script])
}

fn arguments_and_output(template: &Template) {
    let printf = template.command("printf").args(["%s|", "a b", "", "c'\"$\n"]);
    assert_eq!(output(printf), "a b||c'\"$\n|");
    assert_eq!(output(shell(template, "echo $0").arg("called so")), "called so\n");
}

fn a_program_reads_its_input(template: &Template) {
    let told = Told::spawn(template.command("cat").stdin(Stdio::Piped).stdout(Stdio::Piped));
    let spawned = told.spawned();
    let mut input = File::from(spawned.stdin.expect("a pipe"));
    input.write_all(b"over and back").expect("room");
    drop(input);
    assert_eq!(read(spawned.stdout.expect("a pipe")), "over and back");
    assert!(told.exit().success());
    // Without one, there is nothing to read, and no waiting for it.
    assert_eq!(output(template.command("cat")), "");
}

fn environment(template: &Template) {
    native::set_variable("TINE_TEST_OWN", "of the app");
    let script = "echo $TINE_TEST_OWN $TINE_TEST_ADDED";
    let added = shell(template, script).env("TINE_TEST_ADDED", "added");
    assert_eq!(output(added), "of the app added\n");
    let removed = shell(template, script).env_remove("TINE_TEST_OWN");
    assert_eq!(output(removed), "\n");
    let cleared = template.command("/usr/bin/env").env_clear().env("A", "1");
    assert_eq!(output(cleared), "A=1\n");
    native::remove_variable("TINE_TEST_OWN");
}

fn directory_and_umask_of_now(template: &Template) {
    assert_eq!(output(template.command("pwd").current_dir("/usr")), "/usr\n");
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let umask = output(shell(template, "umask"));
    rustix::process::umask(before);
    assert_eq!(umask, "0027\n");
}

fn descriptors_to_any_number(template: &Template) {
    let sent = |text: &[u8]| -> OwnedFd {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(text).expect("room");
        reader.into()
    };
    let script = "cat <&3; cat <&7; cat /proc/self/fd/200; ls /proc/self/fd | wc -l";
    let command = shell(template, script).fd(7, sent(b"seven ")).fd(3, sent(b"three "));
    // Standard ones, three of these, and the listing's own.
    assert_eq!(output(command.fd(200, sent(b"more "))), "three seven more 7\n");
}

/// F18: also to the numbers at which they lie in the process before.
fn descriptors_over_each_other(template: &Template) {
    let sent = |number: u32| -> OwnedFd {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        write!(writer, "{number} ").expect("room");
        reader.into()
    };
    for first in 3..8 {
        let numbers = (first..first + 3).rev();
        let script: String = numbers.clone().map(|n| format!("cat <&{n}; ")).collect();
        let command = shell(template, &script).stdin(sent(0));
        let command = numbers.clone().fold(command, |command, n| command.fd(n, sent(n)));
        let expected: String = numbers.map(|n| format!("{n} ")).collect();
        assert_eq!(output(command), expected, "from {first} on");
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let last = limit.expect("a limit") as u32 - 1;
    let command = shell(template, &format!("cat /proc/self/fd/{last}")).fd(last, sent(last));
    assert_eq!(output(command), format!("{last} "));
}

fn groups_and_sessions(template: &Template) {
    let ids = |command: Command| -> Vec<i32> {
        let told = Told::spawn(command.stdout(Stdio::Piped));
        let pid = told.running.pid();
        let text = read(told.spawned().stdout.expect("a pipe"));
        let pid = pid.or(told.running.pid()).expect("a process");
        let fields = text.rsplit_once(')').expect("/proc/self/stat").1.split_whitespace();
        // Behind the state: parent, group, session.
        let ids: Vec<i32> = fields.skip(2).take(2).map(|id| id.parse().expect("an id")).collect();
        vec![i32::from(ids[0] == pid as i32), i32::from(ids[1] == pid as i32)]
    };
    // `cat` itself: a shell would read another's.
    let cat = || template.command("cat").arg("/proc/self/stat");
    assert_eq!(ids(cat()), [0, 0]);
    assert_eq!(ids(cat().process_group(0)), [1, 0]);
    assert_eq!(ids(cat().new_session()), [1, 1]);
}

/// F18: whatever the template was made of, and though it has a group of its own.
fn the_apps_group(template: &Template) {
    let executed = Template::exec().expect("a template");
    let prepared = executed.fork().into_template().expect("a template");
    let own = rustix::process::getpgrp().as_raw_nonzero().to_string();
    for template in [template, &executed, &prepared] {
        let stat = output(template.command("cat").arg("/proc/self/stat"));
        let fields = stat.rsplit_once(')').expect("/proc/self/stat").1;
        assert_eq!(fields.split_whitespace().nth(2), Some(&*own), "{template:?}");
    }
}

/// E19, F18: none blocked, none ignored; SIGPIPE kills, as shells and C programs expect.
fn clean_signals(template: &Template) {
    let status = output(template.command("cat").arg("/proc/self/status"));
    let mask = |field| {
        let mask = processes::status_field(&status, field).expect("a mask");
        // The C library's own two, which it lets nobody change, may come from whoever started this.
        u64::from_str_radix(&mask, 16).expect("a mask") & !(0b11 << 31)
    };
    assert_eq!([mask("SigBlk"), mask("SigIgn")], [0, 0]);
}

fn exit_codes_and_signals(template: &Template) {
    let cause = |script| {
        let told = Told::spawn(shell(template, script));
        told.spawned();
        told.exit().cause().clone()
    };
    assert_eq!(cause("exit 0"), Cause::Exited(0));
    assert_eq!(cause("exit 7"), Cause::Exited(7));
    let Cause::Killed { signal, .. } = cause("kill -USR1 $$") else { panic!("killed") };
    assert_eq!(signal, libc::SIGUSR1);
}

/// B3: the last of it is in the report.
fn standard_error_is_kept(template: &Template) {
    let told = Told::spawn(shell(template, "echo what went wrong >&2; exit 3"));
    told.spawned();
    let exit = told.exit();
    assert_eq!((exit.code(), exit.stderr()), (Some(3), "what went wrong\n"));
    let piped = Told::spawn(shell(template, "echo mine >&2").stderr(Stdio::Piped));
    assert_eq!(read(piped.spawned().stderr.expect("a pipe")), "mine\n");
    assert_eq!(piped.exit().stderr(), "");
}

fn a_missing_program_is_named(template: &Template) {
    for (path, name, reason) in [
        ("/nowhere/at all", "/nowhere/at all", libc::ENOENT),
        ("no-program-of-this-name", "no-program-of-this-name", libc::ENOENT),
        ("", "cannot execute \"\":", libc::ENOENT),
        (&"/nowhere".repeat(1000), "/nowhere/nowhere", libc::ENAMETOOLONG),
    ] {
        let told = Told::spawn(template.command(path));
        let error = told.refusal();
        let errno = error.io().and_then(std::io::Error::raw_os_error);
        assert_eq!(errno, Some(reason), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        let exit = told.exit();
        assert!(
            matches!(exit.cause(), Cause::BadOrders(text) if *text == error.to_string()),
            "{exit}"
        );
    }
}

fn a_missing_directory_is_named(template: &Template) {
    let told = Told::spawn(template.command("true").current_dir("/nowhere/at all"));
    let error = told.refusal();
    assert!(error.to_string().contains("/nowhere/at all"), "{error}");
    told.exit();
}

fn a_file_that_is_no_program(template: &Template) {
    let told = Told::spawn(template.command("/etc/passwd"));
    let error = told.refusal();
    let errno = error.io().and_then(std::io::Error::raw_os_error);
    assert_eq!(errno, Some(libc::EACCES), "{error}");
    told.exit();
    // No shell is asked what it makes of it, as execvp(3) would.
    let folder = tempfile::tempdir().expect("a folder");
    let text = executable(folder.path(), "text", "echo run by a shell\n");
    for command in [template.command(&text), template.command("text").env("PATH", folder.path())] {
        let told = Told::spawn(command.stdout(Stdio::Piped));
        let error = told.refusal();
        assert_eq!(error.io().and_then(std::io::Error::raw_os_error), Some(libc::ENOEXEC));
        assert!(error.to_string().contains("text"), "{error}");
        told.exit();
    }
    // The kernel says that there is no such file, and means another one.
    let script = executable(folder.path(), "script", "#!/nowhere/shell\n");
    let told = Told::spawn(template.command(&script));
    let error = told.refusal();
    assert_eq!(error.io().and_then(std::io::Error::raw_os_error), Some(libc::ENOENT));
    assert!(error.to_string().contains("script, whose interpreter is missing"), "{error}");
    told.exit();
}

fn executable(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("ours");
    path
}

/// F18: the program's own PATH says where it is looked for, folder by folder.
fn programs_are_found_by_path(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    };
    let (first, second) = (at("first"), at("second"));
    executable(&second, "found", "#!/bin/sh\necho $0 $1\n");
    std::fs::write(first.join("found"), "cannot be executed").expect("a file");
    let path = format!("/nowhere:{}:{}", first.display(), second.display());
    let found = || template.command("found").env("PATH", &path).arg("so");
    assert_eq!(output(found()), format!("{}/found so\n", second.display()));
    let here = template.command("found").env("PATH", "").current_dir(&second);
    assert_eq!(output(here), "found\n");
    for (name, errno) in [("found", libc::EACCES), ("absent", libc::ENOENT)] {
        let told = Told::spawn(
            template.command(name).env("PATH", format!("/nowhere:{}", first.display())),
        );
        let error = told.refusal();
        assert_eq!(error.io().and_then(std::io::Error::raw_os_error), Some(errno), "{error}");
        told.exit();
    }
}

/// F18: what cannot be had is named, with the kernel's error.
fn what_a_program_cannot_have_is_named(template: &Template) {
    let cat = || template.command("/bin/cat");
    let zero = || File::open("/dev/zero").expect("a file");
    let long = "/no".repeat(5000);
    for (command, errno, name) in [
        (cat().arg("a\0b"), libc::EINVAL, "nul byte"),
        (cat().process_group(-2), libc::EINVAL, "process group -2"),
        (cat().process_group(i32::MAX), libc::EPERM, "process group 2147483647"),
        (cat().current_dir(&long), libc::ENAMETOOLONG, "/no/no/no"),
        (cat().current_dir(""), libc::ENOENT, "enter \"\""),
        (cat().fd(u32::MAX, zero()), libc::EBADF, "number 4294967295"),
        (cat().fd(2_000_000_000, zero()), libc::EBADF, "number 2000000000"),
    ] {
        let told = Told::spawn(command);
        let error = told.refusal();
        assert_eq!(error.io().and_then(std::io::Error::raw_os_error), Some(errno), "{error}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("/bin/cat"), "{text}");
        assert!(matches!(told.exit().cause(), Cause::BadOrders(cause) if *cause == text), "{text}");
    }
}

fn many_at_once(template: &Template) {
    let told: Vec<_> =
        (0..100).map(|n| Told::spawn(shell(template, &format!("exit {}", n % 100)))).collect();
    for (n, told) in told.iter().enumerate() {
        told.spawned();
        assert_eq!(told.exit().code(), Some(n as i32 % 100));
    }
}

/// Waits for a process's end without hearing what is told meanwhile.
fn until_gone(pid: u32) {
    let begun = std::time::Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.elapsed() < DEADLINE, "process {pid} stays");
        std::thread::yield_now();
    }
}

/// F18: what was never executed was not started, whether its end is heard of at once or with all else.
fn killed_before_it_is_executed(template: &Template) {
    for heard_late in [false, true] {
        template.inject(Faults::new().kill_at(Stage::Entering, 1)).expect("a template");
        let told = Told::spawn(template.command("true"));
        if heard_late {
            until_gone(eventually("a process", || told.running.pid()));
        }
        let error = told.refusal();
        assert_eq!(error.kind(), ErrorKind::NoProcess, "{error}");
        assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
    }
    template.inject(Faults::new()).expect("a template");
}

/// F18: the same signal, after the program was executed.
fn a_program_that_dies_at_once_was_started(template: &Template) {
    for heard_late in [false, true] {
        let told = Told::spawn(shell(template, "kill -KILL $$"));
        if heard_late {
            until_gone(eventually("a process", || told.running.pid()));
        }
        told.spawned();
        assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
    }
}

/// F18, F25: what another thread forks, to execute something, has copies of all that the app has until it has done so; also
/// of what programs were to be told by. Here it never does.
fn started_beside_one_that_executes_nothing_yet(template: &Template) {
    template.inject(Faults::new().tiny_buffers()).expect("a template");
    let other = Template::exec().expect("a template");
    assert_eq!(output(other.command("echo")), "\n");
    template.inject(Faults::new()).expect("a template");
    let signal = |pid: u32, signal| {
        let pid = Pid::from_raw(pid.cast_signed()).expect("an id");
        kill_process(pid, signal).expect("it lives");
    };
    // Most of them find no room, and are in the app still.
    signal(processes::of(&other), Signal::STOP);
    let told: Vec<_> = (0..40).map(|_| Told::spawn(other.command("true"))).collect();
    let beside = native::fork(|| {
        set_parent_process_death_signal(Some(Signal::KILL)).expect("prctl");
        loop {
            std::thread::park();
        }
    });
    signal(processes::of(&other), Signal::CONT);
    for told in told {
        told.spawned();
        assert!(told.exit().success());
    }
    signal(beside, Signal::KILL);
    native::wait(beside);
}

/// F18: it outlives its template, unless it is not to.
fn dying_with_the_app_or_not(_: &Template) {
    let template = Template::exec().expect("a template");
    let sleeper = || template.command("sleep").arg("1000").stdin(Stdio::Null);
    let (stays, dies) = (Told::spawn(sleeper()), Told::spawn(sleeper().dies_with_app()));
    stays.spawned();
    dies.spawned();
    let pid = |told: &Told| told.running.pid().expect("a process");
    let (stays_pid, dies_pid) = (pid(&stays), pid(&dies));
    let of_template = processes::of(&template);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(of_template as i32).expect("an id"),
        rustix::process::Signal::KILL,
    )
    .expect("a template");
    eventually("the one that is to die", || (!processes::is_alive(dies_pid)).then_some(()));
    assert!(processes::is_alive(stays_pid));
    stays.running.kill(libc::SIGKILL).expect("it lives");
    eventually("the other", || (!processes::is_alive(stays_pid)).then_some(()));
    let (stayed, died) = (stays.exit(), dies.exit());
    // Who could have told is gone.
    assert_eq!(
        (stayed.cause(), stayed.signal(), stayed.code()),
        (&Cause::TemplateDied, None, None)
    );
    assert!(stayed.to_string().contains("outlived its template"), "{stayed}");
    assert_eq!((died.cause(), died.signal()), (&Cause::TemplateDied, Some(libc::SIGKILL)));
}
