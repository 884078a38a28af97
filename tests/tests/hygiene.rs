//! A fresh process is clean, and as the app is at the moment of the request.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tine::{Process, Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::workers::{RETURN, STAY};
use tine_tests::{cases, native, processes, runner};

fn main() -> ExitCode {
    // What a careless library leaves behind: before the fork, without close-on-exec, at high numbers.
    leak(None);
    leak(Some(700));
    native::handle(libc::SIGUSR1);
    native::handle(libc::SIGCHLD);
    native::ignore(libc::SIGINT);
    native::ignore(libc::SIGHUP);
    native::block(libc::SIGTERM);
    native::block(libc::SIGUSR2);
    let before = masks();
    let template = Template::early().expect("first line of main");
    assert_eq!(masks(), before, "early leaves the app's signals alone");
    let cases = cases![
        descriptors_are_its_own,
        descriptors_leaked_after_early,
        descriptors_sent_come_after_its_socket,
        standard_descriptors,
        signals_are_clean,
        signals_of_the_app_are_left_alone,
        the_template_is_clean,
        the_state_of_the_app_at_each_request,
        the_state_of_an_app_with_threads,
        state_changes_between_two_requests_of_a_turn,
        an_environment_that_another_thread_changes,
        a_directory_that_another_thread_changes,
        an_environment_of_a_megabyte,
        spares_take_over_what_the_state_has_become,
        the_directory_itself_and_not_its_name,
        state_of_a_request_that_waits,
        its_own_random_state,
    ];
    runner::run(&template, cases)
}

fn leak(number: Option<i32>) -> i32 {
    native::leak(File::open("/dev/zero").expect("/dev/zero").into(), number)
}

fn masks() -> Vec<Option<String>> {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    ["SigBlk", "SigIgn", "SigCgt"].map(|mask| processes::status_field(&status, mask)).to_vec()
}

fn lines(process: Process, entry: tine::Entry) -> BTreeMap<String, String> {
    let told = Told::run(process, entry);
    let answer = String::from_utf8(told.answer()).expect("text");
    let exit = told.exit();
    assert!(exit.success(), "{exit}");
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.into(), value.into()));
    answer.split('\n').filter_map(pair).collect()
}

tine::entry!(DESCRIPTORS = tell_descriptors);
fn tell_descriptors(worker: Worker) -> std::io::Result<()> {
    let own = processes::descriptors(std::process::id());
    // The listing's own is gone by now.
    for (number, target) in own.iter().filter(|(_, target)| !target.contains("/fd")) {
        writeln!(worker.socket(), "{number}={target}")?;
    }
    Ok(())
}

fn descriptors_of(process: Process) -> BTreeMap<i32, String> {
    let lines = lines(process, DESCRIPTORS);
    lines.into_iter().map(|(number, target)| (number.parse().expect("a number"), target)).collect()
}

fn assert_own(descriptors: &BTreeMap<i32, String>) {
    assert_eq!(descriptors.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3], "{descriptors:?}");
    assert!(descriptors[&3].starts_with("socket:"), "{descriptors:?}");
}

/// F23: 0, 1, 2 and its socket, whatever the app had when it forked the template.
fn descriptors_are_its_own(template: &Template) {
    assert_own(&descriptors_of(template.fork()));
}

/// F23, F25: what is leaked later is none of its business either.
fn descriptors_leaked_after_early(template: &Template) {
    let leaked = [leak(None), leak(Some(900))];
    assert_own(&descriptors_of(template.fork()));
    let others = Told::run(template.fork(), STAY);
    assert_own(&descriptors_of(template.fork()));
    drop(others.socket());
    others.exit();
    leaked.into_iter().for_each(native::close);
}

/// F23: what it was sent, and nothing else.
fn descriptors_sent_come_after_its_socket(template: &Template) {
    let file = || File::open("/dev/full").expect("/dev/full");
    let sent = descriptors_of(template.fork().send_fd(file()).send_arg("x").send_fd(file()));
    assert_eq!(sent.len(), 6, "{sent:?}");
    assert_eq!(sent.values().filter(|target| *target == "/dev/full").count(), 2, "{sent:?}");
    // A long argument travels in a file, which is gone when the entry is entered.
    let long = descriptors_of(template.fork().send_arg(vec![0; 200_000]));
    assert_own(&long);
}

/// F23: nothing to read, the app's output, its own standard error.
fn standard_descriptors(template: &Template) {
    let descriptors = descriptors_of(template.fork());
    let app = processes::descriptors(std::process::id());
    assert_eq!(descriptors[&0], "/dev/null");
    assert_eq!(descriptors[&1], app[&1]);
}

tine::entry!(SIGNALS = tell_signals);
fn tell_signals(worker: Worker) -> std::io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    for field in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Threads"] {
        let value = processes::status_field(&status, field).unwrap_or_default();
        writeln!(worker.socket(), "{field}={value}")?;
    }
    Ok(())
}

/// E19, F3: no signal blocked, none handled; none ignored but SIGPIPE, as Rust's programs have it; in a fresh image, too.
fn signals_are_clean(template: &Template) {
    assert_clean_signals(|| template.fork());
    assert_clean_signals(|| template.fresh());
}

fn assert_clean_signals(process: impl Fn() -> Process) {
    let signals = lines(process(), SIGNALS);
    let none = "0".repeat(16);
    // Two are the C library's own: it lets nobody touch them, and a parent may have them ignored.
    let ignored = u64::from_str_radix(&signals["SigIgn"], 16).expect("a mask") & !(0b11 << 31);
    for field in ["SigPnd", "ShdPnd", "SigBlk", "SigCgt"] {
        assert_eq!(signals[field], none, "{field}");
    }
    assert_eq!(ignored, 1 << (libc::SIGPIPE - 1));
    assert_eq!(signals["Threads"], "1");
    // Whatever the app makes of it.
    native::default(libc::SIGPIPE);
    let with_default = lines(process(), SIGNALS);
    native::ignore(libc::SIGPIPE);
    assert_eq!(with_default, signals);
}

/// E19: running workers changes nothing.
fn signals_of_the_app_are_left_alone(template: &Template) {
    let before = masks();
    let told = Told::run(template.fork(), "no such entry");
    told.exit();
    assert_eq!(masks(), before);
    let mask = |n: usize, signal: i32| {
        let bits = before[n].as_deref().and_then(|mask| u64::from_str_radix(mask, 16).ok());
        bits.expect("a mask") & 1 << (signal - 1) != 0
    };
    assert!(mask(0, libc::SIGTERM) && mask(1, libc::SIGINT) && mask(2, libc::SIGCHLD));
}

/// F23: the template keeps nothing of the app's either but its directory; else a pipe of the app never
/// ends.
fn the_template_is_clean(template: &Template) {
    let pid = processes::of(template);
    let descriptors = processes::descriptors(pid);
    let directory = std::env::current_dir().expect("a directory").display().to_string();
    let foreign: Vec<_> = descriptors
        .iter()
        .filter(|(number, target)| **number > 2 && target.starts_with('/') && **target != directory)
        .collect();
    assert_eq!(foreign, Vec::<(&i32, &String)>::new());
    assert_eq!(processes::status(pid, "Threads").as_deref(), Some("1"));
    assert_eq!(processes::status(pid, "SigCgt"), Some("0".repeat(16)));
}

tine::entry!(STATE = tell_state);
fn tell_state(worker: Worker) -> tine::Result<()> {
    let mut out = Vec::new();
    let variable = std::env::var_os("TINE_TESTS_VARIABLE").unwrap_or_default();
    out.extend(b"variable=");
    out.extend(variable.as_bytes());
    let directory = std::env::current_dir().unwrap_or_default();
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    writeln!(out, "\ndirectory={}\numask={:o}", directory.display(), umask.bits())?;
    writeln!(out, "locale={}\nhour={}", native::locale(), native::hour_of_the_epoch())?;
    writeln!(out, "variables={}", std::env::vars_os().count())?;
    worker.socket().write_all(&out)?;
    Ok(())
}

/// The app's state, as the test changes it.
struct State {
    variable: Option<&'static str>,
    directory: &'static str,
    umask: u32,
    locale: &'static std::ffi::CStr,
    zone: &'static str,
}

impl State {
    fn set(&self) {
        match self.variable {
            Some(value) => native::set_variable("TINE_TESTS_VARIABLE", value),
            None => native::remove_variable("TINE_TESTS_VARIABLE"),
        }
        native::set_variable("TZ", self.zone);
        std::env::set_current_dir(self.directory).expect("a directory");
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(self.umask));
        assert!(native::set_locale(self.locale), "a locale of every system");
    }

    fn check(&self, told: &BTreeMap<String, String>) {
        assert_eq!(told["variable"], self.variable.unwrap_or_default());
        assert_eq!(told["directory"], self.directory);
        assert_eq!(told["umask"], format!("{:o}", self.umask));
        assert_eq!(told["locale"], self.locale.to_string_lossy());
        let hour = if self.zone == "UTC" { "0" } else { "5" };
        assert_eq!(told["hour"], hour, "time zone {}", self.zone);
    }
}

const STATES: [State; 3] = [
    State { variable: Some("one"), directory: "/", umask: 0o022, locale: c"C", zone: "UTC" },
    State { variable: None, directory: "/proc", umask: 0o077, locale: c"C.UTF-8", zone: "XXX-5" },
    State { variable: Some("two = =\n"), directory: "/sys", umask: 0, locale: c"C", zone: "XXX-5" },
];

struct Restore {
    directory: std::path::PathBuf,
    umask: rustix::fs::Mode,
}

impl Restore {
    fn later() -> Restore {
        let umask = rustix::process::umask(rustix::fs::Mode::empty());
        rustix::process::umask(umask);
        Restore { directory: std::env::current_dir().expect("a directory"), umask }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        STATES[0].set();
        native::remove_variable("TINE_TESTS_VARIABLE");
        native::remove_variable("TZ");
        rustix::process::umask(self.umask);
        let _ = std::env::set_current_dir(&self.directory);
    }
}

/// Rule 6, F3: environment, directory, umask, locale and time zone are the app's of now, in a fresh image, too.
fn the_state_of_the_app_at_each_request(template: &Template) {
    tell_states(template);
}

/// Rule 6: the same for an app with threads, whose umask cannot be looked at in the same way.
fn the_state_of_an_app_with_threads(template: &Template) {
    let (told, until) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || until.recv());
    assert_ne!(processes::status(std::process::id(), "Threads").as_deref(), Some("1"));
    tell_states(template);
    drop(told);
    assert!(other.join().expect("a thread").is_err());
}

fn tell_states(template: &Template) {
    let _restore = Restore::later();
    for state in STATES {
        state.set();
        for process in [template.fork(), template.fresh()] {
            let told = lines(process, STATE);
            let own = std::env::vars_os().count();
            assert_eq!(told["variables"], own.to_string());
            if !state.variable.is_some_and(|value| value.contains('\n')) {
                state.check(&told);
            }
        }
        let umask = processes::status(std::process::id(), "Umask");
        assert_eq!(umask, Some(format!("{:04o}", state.umask)), "the app's own is as it was");
    }
}

/// Rule 6: of the moment of the request, and not of the turn in which it goes out.
fn state_changes_between_two_requests_of_a_turn(template: &Template) {
    let _restore = Restore::later();
    let states = [&STATES[0], &STATES[1], &STATES[0], &STATES[1], &STATES[1]];
    let told: Vec<_> = states
        .iter()
        .flat_map(|state| {
            state.set();
            [template.fork(), template.fresh()].map(|process| (state, Told::run(process, STATE)))
        })
        .collect();
    for (state, told) in told {
        let answer = String::from_utf8(told.answer()).expect("text");
        let pair = |line: &str| line.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
        state.check(&answer.lines().filter_map(pair).collect());
        told.exit();
    }
}

/// Runs `change` in another thread all the time while `test` runs in this one.
fn while_another_thread(change: impl Fn() + Sync, test: impl FnOnce()) {
    let (begun, over) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            change();
            begun.wait();
            while !over.load(Ordering::Relaxed) {
                change();
            }
        });
        begun.wait();
        test();
        over.store(true, Ordering::Relaxed);
    });
}

/// F25, rule 6: by the standard library, which lets threads wait for each other. What was the environment's memory is
/// used for something else at once.
fn an_environment_that_another_thread_changes(template: &Template) {
    let names: Vec<_> = (0..100).map(|number| format!("TINE_TESTS_{number}")).collect();
    let ask = || {
        let begun = Instant::now();
        for _ in 0..100_000 {
            // It looks at it; most wait, and are never made.
            drop(template.fork().run(RETURN, |_| ()));
            if begun.elapsed() > Duration::from_secs(3) {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        let asking = scope.spawn(ask);
        while !asking.is_finished() {
            let mut others = Vec::new();
            for name in &names {
                native::set_variable(name, "x");
                others.extend((8..=80).map(|words| vec![b'A'; 16 * words]));
            }
            names.iter().for_each(|name| native::remove_variable(name));
            std::hint::black_box(others);
        }
    });
    assert!(Told::run(template.fork(), RETURN).exit().success());
}

/// Rule 6: what is noted of it is what was opened.
fn a_directory_that_another_thread_changes(template: &Template) {
    let _restore = Restore::later();
    let enter = |path: &str| std::env::set_current_dir(path).expect("it is there");
    let change = || {
        enter("/");
        enter("/proc");
    };
    for _ in 0..30 {
        while_another_thread(change, || {
            (0..5).for_each(|_| drop(Told::run(template.fork(), RETURN).exit()));
        });
        let told = lines(template.fork(), STATE);
        assert_eq!(told["directory"], "/proc");
    }
}

/// Rule 6: however large.
fn an_environment_of_a_megabyte(template: &Template) {
    let _restore = Restore::later();
    let value = "v".repeat(1 << 20);
    native::set_variable("TINE_TESTS_VARIABLE", &value);
    let told = lines(template.fork(), STATE);
    assert!(told["variable"] == value);
    native::remove_variable("TINE_TESTS_VARIABLE");
    assert_eq!(lines(template.fork(), STATE)["variable"], "");
}

/// B6, rule 6: a spare made before the app's state has changed is as good as one made after; only where the environment
/// is larger than a message, it is given up.
fn spares_take_over_what_the_state_has_become(_: &Template) {
    let _restore = Restore::later();
    let template = Template::exec().expect("a template");
    let pid = eventually("the template's id", || template.pid());
    let of_spares = || template.report().from_spares;
    let ready = || (processes::children(pid).len() == 2).then_some(());
    template.spares(2).expect("a living template");
    for state in [&STATES[1], &STATES[0], &STATES[1]] {
        eventually("two spares", ready);
        let before = of_spares();
        state.set();
        let told: Vec<_> = (0..2).map(|_| lines(template.fork(), STATE)).collect();
        told.iter().for_each(|told| state.check(told));
        assert!(of_spares() > before, "{:?}", template.report());
    }
    eventually("two spares", ready);
    let before = of_spares();
    let value = "v".repeat(1 << 20);
    native::set_variable("TINE_TESTS_VARIABLE", &value);
    assert!(lines(template.fork(), STATE)["variable"] == value);
    assert_eq!(of_spares(), before);
}

/// Rule 6: renamed or removed, it is the directory that the app is in.
fn the_directory_itself_and_not_its_name(template: &Template) {
    let _restore = Restore::later();
    let base = std::env::temp_dir().join(format!("tine-tests-{}", std::process::id()));
    let (here, there) = (base.join("here"), base.join("there"));
    std::fs::create_dir_all(&here).expect("a directory");
    std::env::set_current_dir(&here).expect("a directory");
    let told = Told::run(template.fork(), STATE);
    std::fs::rename(&here, &there).expect("renamed");
    std::fs::create_dir_all(&here).expect("another of that name");
    let answer = String::from_utf8(told.answer()).expect("text");
    assert!(answer.contains("directory=") && !answer.contains("proc"), "{answer}");
    told.exit();
    assert_eq!(lines(template.fork(), STATE)["directory"], there.display().to_string());
    std::fs::remove_dir_all(&base).expect("removed");
    assert_eq!(lines(template.fork(), STATE)["directory"], "");
}

/// Rule 6: a request that waits for its turn keeps the state that it was made with.
fn state_of_a_request_that_waits(template: &Template) {
    let _restore = Restore::later();
    STATES[1].set();
    let many: Vec<_> = (0..150).map(|_| Told::run(template.fork(), STATE)).collect();
    STATES[0].set();
    for told in many {
        let mut answer = String::new();
        told.socket().read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains("directory=/proc\n") && answer.contains("umask=77\n"), "{answer}");
        told.exit();
    }
}

tine::entry!(RANDOM = tell_random);
fn tell_random(worker: Worker) -> std::io::Result<()> {
    use std::hash::BuildHasher as _;
    let state = std::collections::hash_map::RandomState::new();
    writeln!(worker.socket(), "random={}", state.hash_one(1))
}

/// Rule 6: two workers do not hash alike, as forked copies of one program would.
fn its_own_random_state(template: &Template) {
    // The app's keys exist by now, and the template's, if it has any.
    std::hint::black_box(std::collections::HashMap::<u8, u8>::new());
    let random: Vec<_> = (0..4).map(|_| lines(template.fork(), RANDOM)["random"].clone()).collect();
    let distinct: std::collections::BTreeSet<_> = random.iter().collect();
    assert_eq!(distinct.len(), 4, "{random:?}");
}
