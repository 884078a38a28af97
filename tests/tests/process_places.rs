//! F3, F20, F21: where a program lies and how it was started make no difference to its templates, or are refused by
//! name; `main` runs once.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use tine::Template;
use tine_tests::places::{ANSWER, HERE, answer_of, copy_into, loader, mark, output_of, this};
use tine_tests::told::{Told, eventually};
use tine_tests::{cases, native, processes, runner};

fn main() -> ExitCode {
    // Started by the tests below: it says what it finds.
    if let Ok(deed) = std::env::var("TINE_TEST_DEED") {
        println!("main");
        return as_answer_of(&deed);
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_set_user_id_program_is_refused,
        a_set_user_id_program_without_more_rights,
        a_program_with_capabilities,
        a_program_that_has_become_set_user_id,
        a_program_that_has_become_another_user,
        an_image_whose_orders_find_no_room,
        another_program_that_is_set_user_id,
        another_program_that_is_a_script,
        another_program_with_another_version,
        what_is_no_program,
        through_the_loader,
        through_the_loader_and_replaced,
        without_devices,
        without_proc,
    ];
    runner::run(&template, cases)
}

/// What the started program does.
fn as_answer_of(deed: &str) -> ExitCode {
    let words: Vec<&str> = deed.splitn(2, ' ').collect();
    match words[..] {
        // Templates of every kind that its own image makes.
        ["templates"] => {
            let early = Template::early().expect("first line of main");
            println!("early: {}", answer_of(Ok(early.fork())));
            println!("fresh: {}", answer_of(Ok(early.fresh())));
            println!("exec: {}", answer_of(Template::exec().map(|template| template.fork())));
            println!(
                "exec, fresh: {}",
                answer_of(Template::exec().map(|template| template.fresh()))
            );
        }
        ["becomes-set-user-id"] => {
            let own = this();
            let exec = || answer_of(Template::exec().map(|template| template.fork()));
            println!("{}", exec());
            chown(&own, Some(65534), None).expect("ours");
            mark(&own, 0o4755);
            println!("{}", exec());
        }
        ["becomes-another-user"] => {
            let early = Template::early().expect("first line of main");
            another_user();
            println!("{}", answer_of(Ok(early.fork())));
            println!("{}", answer_of(Ok(early.fresh())));
            println!("{}", answer_of(Template::exec().map(|template| template.fresh())));
        }
        ["has-too-much-under-way"] => has_too_much_under_way(),
        ["everything", path] => {
            match Template::early() {
                Ok(early) => everything(&early),
                Err(error) => println!("early: {error}"),
            }
            println!("exec: {}", answer_of(Template::exec().map(|template| template.fork())));
            println!(
                "program: {}",
                answer_of(Template::program(path).map(|template| template.fork()))
            );
        }
        ["program", path] => {
            println!("{}", answer_of(Template::program(path).map(|template| template.fork())));
        }
        ["replaced", path] => {
            std::fs::remove_file(path).expect("it was there");
            std::fs::copy("/bin/false", path).expect("a copy");
            println!("{}", answer_of(Template::exec().map(|template| template.fork())));
        }
        [""] => (),
        _ => panic!("no such deed: {deed}"),
    }
    ExitCode::SUCCESS
}

/// Becomes one, and has main do nothing should it run again.
fn another_user() {
    native::set_variable("TINE_TEST_DEED", "");
    if rustix::process::geteuid().is_root() {
        native::become_user(65534);
    }
}

/// Has as many descriptors under way as a user may have (unix(7)), so that none can be sent, and asks for a fresh image.
fn has_too_much_under_way() {
    another_user();
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).expect("lower");
    let template = Template::early().expect("first line of main");
    println!("{}", answer_of(Ok(template.fork())));
    let (near, far) = UnixStream::pair().expect("sockets");
    let many = [near.as_fd(); 16];
    while tine::send_fds(&near, b"x", &many).is_ok() {}
    let process = template.fresh().send_fd(File::open("/dev/null").expect("/dev/null"));
    let told = Told::run(process.send_arg("one"), ANSWER);
    drop((near, far));
    // There is room again, and the image is executed. It comes to look at its socket before the app goes on.
    tine::queue().turn(Some(Duration::from_secs(1))).expect("a queue");
    let own = processes::of(&template);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2)
        && !processes::children(own).iter().any(|(pid, _)| processes::is_asleep(*pid))
    {
        std::thread::yield_now();
    }
    println!("{}", String::from_utf8_lossy(&told.answer()));
}

/// What a template can be asked for.
fn everything(early: &Template) {
    println!("early: {}", answer_of(Ok(early.fork())));
    println!("again: {}", answer_of(Ok(early.fork())));
    println!("fresh: {}", answer_of(Ok(early.fresh())));
    let prepared = early.fork().send_arg("before").into_template();
    println!("prepared: {}", answer_of(prepared.map(|template| template.fork())));
    let threads =
        std::thread::spawn(|| answer_of(tine::template().map(|template| template.fork())));
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

/// A folder that anyone may enter.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    mark(folder.path(), 0o755);
    folder
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

fn deed(program: impl AsRef<std::ffi::OsStr>, deed: &str) -> Vec<String> {
    output_of(Command::new(program).env("TINE_TEST_DEED", deed))
}

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

/// F20: with capabilities to give to whoever is not root, also where no_new_privs keeps them back.
fn a_program_with_capabilities(_: &Template) {
    let folder = folder();
    let copy = copy_into(folder.path());
    for (effective, permitted, refused) in [(1, 1 << 13, true), (0, 1 << 13, true), (0, 0, false)] {
        let data: [u32; 5] = [0x0200_0000 | effective, permitted, 1 << 13, 0, 0];
        let data: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).collect();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&copy, c"security.capability", &data, flags).is_err() {
            println!("not tried: no capabilities can be given here");
            return;
        }
        for options in [&["--no-new-privs"][..], &[]] {
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
            let mut command = Command::new("setpriv");
            command.args(nobody).args(options).arg(&copy).env("TINE_TEST_DEED", "templates");
            let lines = output_of(&mut command);
            assert_eq!(lines[0], format!("early: {HERE}"));
            let as_said = |line: &String| {
                if refused { line.contains("rights") } else { line.ends_with(HERE) }
            };
            assert!(
                lines[1..].iter().all(as_said),
                "{effective} {permitted} {options:?}: {lines:?}"
            );
        }
        for line in deed(&copy, "templates") {
            assert!(line.ends_with(HERE), "as root: {line}");
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

/// F3, F20: what its template would execute is another user's, who would not take the app's socket for one of tine's.
fn a_program_that_has_become_another_user(_: &Template) {
    if !rustix::process::geteuid().is_root() {
        println!("not tried: only root can become another user");
        return;
    }
    let folder = folder();
    let lines = deed(copy_into(folder.path()), "becomes-another-user");
    assert!(lines[0] == HERE && lines[2] == HERE, "{lines:?}");
    assert!(lines[1].contains("has become another user"), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
}

/// F3, F7, F20: its orders, which have descriptors with them, come later than it would look for them.
fn an_image_whose_orders_find_no_room(_: &Template) {
    let folder = folder();
    let copy = copy_into(folder.path());
    assert_eq!(deed(&copy, "has-too-much-under-way"), [HERE, "here with 2 items"]);
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

/// F3, B9: one that was built with another version of tine says so by the first octet, and runs no `main`.
fn another_program_with_another_version(_: &Template) {
    let folder = folder();
    let script = folder.path().join("script");
    // `Refused`, of version 200.
    let text = "#!/bin/sh\nprintf '\\310\\021\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0' >&0\n";
    std::fs::write(&script, text).expect("a file");
    mark(&script, 0o755);
    let lines = deed(this(), &format!("program {}", script.display()));
    let says = |words: &str| lines[0].contains(words);
    assert!(lines.len() == 1 && says("version 200") && says("/script"), "{lines:?}");
    // The other way round: this one is told to be a template by `Begin`, of version 200.
    let (near, far) = socket_pair();
    let mut begin = [0; 16];
    begin[..2].copy_from_slice(&[200, 6]);
    rustix::io::write(&near, &begin).expect("a socket");
    let mut program = Command::new(this());
    program.env("TINE_TEST_DEED", "").env("TINE_TEMPLATE", "template of another age any");
    let output = program.stdin(far).output().expect("this program");
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{output:?}");
    let mut answer = [0; 16];
    rustix::io::read(&near, &mut answer).expect("an answer");
    assert_ne!(answer[..2], [200, 0], "{answer:?}");
}

fn socket_pair() -> (OwnedFd, OwnedFd) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    socketpair(AddressFamily::UNIX, kind, flags, None).expect("a socket pair")
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
            let lacks = mode == 0o755 && text.starts_with(b"#!");
            assert_eq!(lines[0].contains("interpreter is missing"), lacks, "{lines:?}");
        }
    }
    for path in ["/nowhere/program", "/", "/dev/null"] {
        let lines = deed(this(), &format!("program {path}"));
        assert!(lines[0].starts_with("no template: ") && lines[0].contains(path), "{lines:?}");
    }
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
