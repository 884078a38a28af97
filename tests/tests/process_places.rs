//! F3, F20, F21: where a program lies and how it was started make no difference to its templates, or are refused by
//! name; `main` runs once.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use tine::{Process, Template, Worker};
use tine_tests::told::{Told, eventually};
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    // Started by the tests below: it says what it finds.
    if let Ok(deed) = std::env::var("TINE_TEST_DEED") {
        println!("main");
        return as_told(&deed);
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_set_user_id_program_is_refused,
        a_set_user_id_program_without_more_rights,
        a_program_that_has_become_set_user_id,
        another_program_that_is_set_user_id,
        another_program_that_is_a_script,
        what_is_no_program,
        through_the_loader,
        through_the_loader_and_replaced,
        without_devices,
        without_proc,
        a_library_in_a_program_without_tine,
        a_library_in_a_program_with_tine,
        a_library_with_a_path_that_lists_take_apart,
        a_library_beside_others_that_are_preloaded,
        a_library_that_is_gone,
        a_library_that_is_replaced_after_its_first_template,
    ];
    runner::run(&template, cases)
}

tine::entry!(ANSWER = answer);
fn answer(mut worker: Worker) -> tine::Result<()> {
    let args: Vec<_> = worker.take_all().collect();
    Ok(write!(worker.socket(), "here with {} items", args.len())?)
}

fn told(process: tine::Result<Process>) -> String {
    let told = match process {
        Ok(process) => Told::run(process.send_arg("one"), ANSWER),
        Err(error) => return format!("no template: {error}"),
    };
    match told.settled() {
        true => String::from_utf8_lossy(&told.answer()).into_owned(),
        false => format!("no worker: {}", told.refusal()),
    }
}

/// What the started program does.
fn as_told(deed: &str) -> ExitCode {
    let words: Vec<&str> = deed.splitn(2, ' ').collect();
    match words[..] {
        // Templates of every kind that its own image makes.
        ["templates"] => {
            let early = Template::early().expect("first line of main");
            println!("early: {}", told(Ok(early.fork())));
            println!("fresh: {}", told(Ok(early.fresh())));
            println!("exec: {}", told(Template::exec().map(|template| template.fork())));
            println!("exec, fresh: {}", told(Template::exec().map(|template| template.fresh())));
        }
        ["becomes-set-user-id"] => {
            let own = this();
            let exec = || told(Template::exec().map(|template| template.fork()));
            println!("{}", exec());
            chown(&own, Some(65534), None).expect("ours");
            mark(&own, 0o4755);
            println!("{}", exec());
        }
        ["everything", path] => {
            match Template::early() {
                Ok(early) => everything(&early),
                Err(error) => println!("early: {error}"),
            }
            println!("exec: {}", told(Template::exec().map(|template| template.fork())));
            println!("program: {}", told(Template::program(path).map(|template| template.fork())));
        }
        ["program", path] => {
            println!("{}", told(Template::program(path).map(|template| template.fork())));
        }
        ["replaced", path] => {
            std::fs::remove_file(path).expect("it was there");
            std::fs::copy("/bin/false", path).expect("a copy");
            println!("{}", told(Template::exec().map(|template| template.fork())));
        }
        ["library", path] => {
            println!("{}", told(Template::exec().map(|template| template.fork())));
            assert_eq!(tine_tests::native::ask_library(Path::new(path), 0), 0);
            assert_eq!(tine_tests::native::ask_library(Path::new(path), 1), 0);
            println!("{}", told(Template::exec().map(|template| template.fork())));
            println!("{}", told(Template::exec().map(|template| template.fresh())));
        }
        [""] => (),
        _ => panic!("no such deed: {deed}"),
    }
    ExitCode::SUCCESS
}

/// What a template can be asked for.
fn everything(early: &Template) {
    println!("early: {}", told(Ok(early.fork())));
    println!("again: {}", told(Ok(early.fork())));
    println!("fresh: {}", told(Ok(early.fresh())));
    let prepared = early.fork().send_arg("before").into_template();
    println!("prepared: {}", told(prepared.map(|template| template.fork())));
    let threads = std::thread::spawn(|| told(tine::template().map(|template| template.fork())));
    println!("in a thread: {}", threads.join().expect("a thread"));
    early.spares(1).expect("a template");
    for (what, command) in [
        ("command", early.command("/bin/echo").arg("echo")),
        ("no input", early.command("/bin/cat").stdin(tine::Stdio::Null)),
        ("no output", early.command("/bin/echo").stdout(tine::Stdio::Null)),
    ] {
        let said = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let say = std::rc::Rc::clone(&said);
        let running = command.spawn(move |started| {
            if let Err(error) = started {
                *say.borrow_mut() = error.to_string();
            }
        });
        let ended = std::rc::Rc::new(std::cell::Cell::new(false));
        let end = std::rc::Rc::clone(&ended);
        let _running = running.on_exit(move |_| end.set(true));
        eventually("its end", || ended.get().then_some(()));
        println!("{what}: {}", said.borrow());
    }
}

fn this() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn mark(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
}

/// A folder that anyone may enter.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    mark(folder.path(), 0o755);
    folder
}

fn copy_into(folder: &Path) -> PathBuf {
    let copy = folder.join("program");
    std::fs::copy(this(), &copy).expect("a copy");
    copy
}

/// A copy of this program that runs as nobody; None, where a test cannot have one.
fn set_user_id(folder: &Path) -> Option<PathBuf> {
    let copy = copy_into(folder);
    if chown(&copy, Some(65534), Some(65534)).is_err() {
        println!("not tried: only root can give a file away");
        return None;
    }
    mark(&copy, 0o4755);
    Some(copy)
}

fn output_of(command: &mut Command) -> Vec<String> {
    let Output { status, stdout, stderr } = command.output().expect("a program");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}: {stdout}{stderr}");
    let lines: Vec<String> = stdout.lines().map(String::from).collect();
    assert_eq!(lines.iter().filter(|line| *line == "main").count(), 1, "{lines:?} {stderr}");
    lines[1..].to_vec()
}

fn deed(program: impl AsRef<std::ffi::OsStr>, deed: &str) -> Vec<String> {
    output_of(Command::new(program).env("TINE_TEST_DEED", deed))
}

const HERE: &str = "here with 1 items";

/// E17, F20: what it executes would look at no variable, and run `main`. Forks work.
fn a_set_user_id_program_is_refused(_: &Template) {
    let folder = folder();
    let Some(copy) = set_user_id(folder.path()) else { return };
    let lines = deed(&copy, "templates");
    assert_eq!(lines[0], format!("early: {HERE}"));
    assert!(lines[1].starts_with("fresh: no worker: ") && lines[1].contains("rights"), "{lines:?}");
    for line in &lines[2..] {
        assert!(line.contains("no template: ") && line.contains("rights"), "{lines:?}");
    }
}

/// F20: where the kernel gives it none, there is nothing to refuse: under no_new_privs, and to its own user.
fn a_set_user_id_program_without_more_rights(_: &Template) {
    let folder = folder();
    let Some(copy) = set_user_id(folder.path()) else { return };
    let users: [&[&str]; 2] =
        [&["--no-new-privs"], &["--reuid=65534", "--regid=65534", "--clear-groups"]];
    for options in users {
        let mut command = Command::new("setpriv");
        command.args(options).arg(&copy).env("TINE_TEST_DEED", "templates");
        for line in output_of(&mut command) {
            assert!(line.ends_with(HERE), "{options:?}: {line}");
        }
    }
}

/// F20: while it runs.
fn a_program_that_has_become_set_user_id(_: &Template) {
    let folder = folder();
    if set_user_id(folder.path()).is_none() {
        return;
    }
    let copy = folder.path().join("other");
    std::fs::copy(this(), &copy).expect("a copy");
    let lines = deed(&copy, "becomes-set-user-id");
    assert_eq!(lines[0], HERE);
    assert!(lines[1].contains("rights"), "{lines:?}");
}

/// F3: no main of another program either.
fn another_program_that_is_set_user_id(_: &Template) {
    let folder = folder();
    let Some(copy) = set_user_id(folder.path()) else { return };
    let lines = deed(this(), &format!("program {}", copy.display()));
    let path = copy.display().to_string();
    assert!(lines[0].contains("rights") && lines[0].contains(&path), "{lines:?}");
}

/// F3: it leads to one that links tine, as those do that set up where it is to run.
fn another_program_that_is_a_script(_: &Template) {
    let folder = folder();
    let script = folder.path().join("script");
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", this().display());
    std::fs::write(&script, text).expect("a file");
    mark(&script, 0o755);
    assert_eq!(deed(this(), &format!("program {}", script.display())), [HERE]);
    // By a path that leads elsewhere from elsewhere, after the template has moved.
    let mut command = Command::new(this());
    command.current_dir(folder.path()).env("TINE_TEST_DEED", "program ./script");
    assert_eq!(output_of(&mut command), [HERE]);
}

/// F3: an error that names it; no shell is asked what it makes of it.
fn what_is_no_program(_: &Template) {
    let folder = folder();
    let path = folder.path().join("data");
    let texts: [&[u8]; 5] = [
        b"echo run by a shell; exit 0\n",
        b"",
        b"\x7fELF of no machine",
        b"MZ of another system",
        b"#!/nowhere/shell\n",
    ];
    for text in texts {
        std::fs::write(&path, text).expect("a file");
        for mode in [0o755, 0o644] {
            mark(&path, mode);
            let lines = deed(this(), &format!("program {}", path.display()));
            let names = lines[0].contains(&path.display().to_string());
            assert!(lines.len() == 1 && names, "{lines:?}");
            assert!(lines[0].starts_with("no template: "), "{lines:?}");
        }
    }
    for path in ["/nowhere/program", "/", "/dev/null"] {
        let lines = deed(this(), &format!("program {path}"));
        assert!(lines[0].starts_with("no template: ") && lines[0].contains(path), "{lines:?}");
    }
}

/// The dynamic loader that this program names.
fn loader() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let loaders = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let found = loaders.filter(|path| path.contains("/ld-")).map(PathBuf::from).next();
    if found.is_none() {
        println!("not tried: no loader of a known name");
    }
    found
}

/// F3, F21: /proc/self/exe is the loader then, and the program one of its arguments.
fn through_the_loader(_: &Template) {
    let Some(loader) = loader() else { return };
    let options: [&[&str]; 3] = [&[], &["--library-path", "/nowhere"], &["--argv0", "a name"]];
    for options in options {
        let mut command = Command::new(&loader);
        command.args(options).arg(this()).args(["more", "--arguments"]);
        let lines = output_of(command.env("TINE_TEST_DEED", "templates"));
        assert!(lines.len() == 4 && lines.iter().all(|line| line.ends_with(HERE)), "{lines:?}");
    }
    // By a path that leads elsewhere from elsewhere.
    let mut command = Command::new(&loader);
    command.current_dir(this().parent().expect("a folder"));
    command.arg(format!("./{}", this().file_name().expect("a name").display()));
    let lines = output_of(command.env("TINE_TEST_DEED", "templates"));
    assert!(lines.len() == 4 && lines.iter().all(|line| line.ends_with(HERE)), "{lines:?}");
}

/// B9: the loader finds it by its name alone.
fn through_the_loader_and_replaced(_: &Template) {
    let Some(loader) = loader() else { return };
    let folder = folder();
    let copy = copy_into(folder.path());
    let mut command = Command::new(&loader);
    command.arg(&copy).env("TINE_TEST_DEED", format!("replaced {}", copy.display()));
    let lines = output_of(&mut command);
    assert!(lines[0].starts_with("no template: "), "{lines:?}");
    assert!(lines[0].contains(&copy.display().to_string()), "{lines:?}");
}

/// What this program says when folders are empty to it; None, where a test cannot make them so.
fn with_empty(folders: &[&str]) -> Option<Vec<String>> {
    const CANNOT: i32 = 77;
    let mount = |folder: &&str| format!("mount -t tmpfs none {folder} || exit {CANNOT}; ");
    let mounts: String = folders.iter().map(mount).collect();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{mounts} exec \"$0\"")]).arg(this());
    let probe = command.env("TINE_TEST_DEED", "").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let probed = probe.output().expect("unshare").status.code();
    if probed == Some(CANNOT) || probed == Some(1) {
        println!("not tried: nothing can be mounted here");
        return None;
    }
    Some(output_of(command.env("TINE_TEST_DEED", format!("everything {}", this().display()))))
}

/// F21: a container may have no devices.
fn without_devices(_: &Template) {
    let Some(lines) = with_empty(&["/dev"]) else { return };
    let all = ["early", "again", "fresh", "in a thread", "exec", "program"];
    for line in all.map(|what| format!("{what}: {HERE}")) {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
    assert!(lines.contains(&"prepared: here with 2 items".into()), "{lines:?}");
    assert!(
        lines.contains(&"command: ".into()) && lines.contains(&"no input: ".into()),
        "{lines:?}"
    );
    let refused = lines.iter().find(|line| line.starts_with("no output: ")).expect("a line");
    assert!(refused.contains("/dev/null"), "{refused}");
}

/// F21, E15: what needs /proc says so; the rest works.
fn without_proc(_: &Template) {
    for folders in [&["/proc"][..], &["/proc", "/dev"]] {
        let Some(lines) = with_empty(folders) else { return };
        for (what, says) in [("early", "/proc/"), ("exec", "/proc"), ("program", HERE)] {
            let line = lines.iter().find(|line| line.starts_with(&format!("{what}: ")));
            assert!(line.is_some_and(|line| line.contains(says)), "{what}: {lines:?}");
        }
        assert_eq!(lines.len(), 3, "{lines:?}");
    }
}

/// A library that uses tine; cargo makes it beside the test programs.
fn library() -> PathBuf {
    this().ancestors().nth(2).expect("deps").join("examples/libtine_test_library.so")
}

/// A program in C that loads it.
fn host(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("host.c"), folder.join("host"));
    std::fs::write(&source, include_str!("../plugins/host.c")).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Werror", "-o"]).arg(&program).arg(&source).arg("-ldl");
    assert!(compiler.status().expect("a C compiler").success());
    program
}

fn ask(host: &Path, library: &Path, deeds: &[&str]) -> Vec<String> {
    let mut command = Command::new(host);
    output_of(command.env_remove("LD_PRELOAD").arg(library).args(deeds))
}

/// What a worker finds of how it came to be: nothing.
const CLEAN: &str = "LD_PRELOAD None, TINE_TEMPLATE None";

/// F20: it was loaded late, and the fresh image of its program has to have it.
fn a_library_in_a_program_without_tine(_: &Template) {
    let folder = folder();
    let host = host(folder.path());
    assert_eq!(ask(&host, &library(), &["0", "1", "2", "1"]), [CLEAN; 4]);
}

/// F20: each of the two copies of tine knows its own entries, and serves its own templates.
fn a_library_in_a_program_with_tine(_: &Template) {
    let lines = deed(this(), &format!("library {}", library().display()));
    assert_eq!(lines, [HERE, CLEAN, CLEAN, HERE, HERE]);
    let Some(loader) = loader() else { return };
    let mut command = Command::new(loader);
    command.arg(this()).env("TINE_TEST_DEED", format!("library {}", library().display()));
    assert_eq!(output_of(&mut command), [HERE, CLEAN, CLEAN, HERE, HERE]);
}

/// F20: LD_PRELOAD is a list, with spaces and colons between (ld.so(8)).
fn a_library_with_a_path_that_lists_take_apart(_: &Template) {
    let folder = folder();
    let host = host(folder.path());
    let odd = folder.path().join("My plug-ins: ü\nand \\ more");
    std::fs::create_dir(&odd).expect("a folder");
    let copy = odd.join("a library.so");
    std::fs::copy(library(), &copy).expect("a copy");
    assert_eq!(ask(&host, &copy, &["0", "1", "2", "1"]), [CLEAN; 4]);
}

/// F20: the app's own list is what workers have.
fn a_library_beside_others_that_are_preloaded(_: &Template) {
    let folder = folder();
    let host = host(folder.path());
    let other = folder.path().join("other.so");
    std::fs::copy(library(), &other).expect("a copy");
    let (other, own) = (other.display().to_string(), library().display().to_string());
    for list in ["", &other, &own, &format!("{other}:{own}"), &format!("{own} {other}")] {
        for what in ["0", "1"] {
            let mut command = Command::new(&host);
            command.env("LD_PRELOAD", list).arg(library()).arg(what);
            let clean = format!("LD_PRELOAD Some({list:?}), TINE_TEMPLATE None");
            assert_eq!(output_of(&mut command), [clean]);
        }
    }
}

/// F20: a program that has deleted what it loaded is told so; its main does not run in place of the library.
fn a_library_that_is_gone(_: &Template) {
    let folder = folder();
    let host = host(folder.path());
    let copy = folder.path().join("library.so");
    std::fs::copy(library(), &copy).expect("a copy");
    let lines = ask(&host, &copy, &["delete", "0"]);
    assert!(lines[0].starts_with("no template: "), "{lines:?}");
    assert!(lines[0].contains(&copy.display().to_string()), "{lines:?}");
}

/// B9: the next template is made of the same library.
fn a_library_that_is_replaced_after_its_first_template(_: &Template) {
    let folder = folder();
    let host = host(folder.path());
    let copy = folder.path().join("library.so");
    std::fs::copy(library(), &copy).expect("a copy");
    assert_eq!(ask(&host, &copy, &["0", "replace", "0", "2"]), [CLEAN; 3]);
}
