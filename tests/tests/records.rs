//! E14, E17, B13: records and spans for those who listen, and silence for the others; variables of the
//! environment, each in the page that documents them, and without effect in set-user-id programs.

#[path = "records/subscriber.rs"]
mod subscriber;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use subscriber::Recorder;
use tine::Template;
use tine_tests::told::Told;
use tine_tests::{cases, processes, runner, workers};

/// As an argument: run one worker, and say how it ended.
const WORK: &str = "work";

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    if std::env::args().nth(1).as_deref() == Some(WORK) {
        let exit = Told::run(template.fork(), workers::RETURN).exit();
        println!("{exit}");
        return ExitCode::SUCCESS;
    }
    let cases = cases![
        nothing_is_written_unless_asked_for,
        what_is_written_is_chosen_by_level,
        set_user_id_programs_ignore_the_environment,
        each_variable_is_documented,
        subscribers_get_spans_and_records,
        subscribers_may_use_the_queue,
        the_death_of_a_template_is_recorded,
    ];
    runner::run(&template, cases)
}

fn program() -> PathBuf {
    std::env::current_exe().expect("/proc")
}

fn run(command: &mut Command) -> (String, String) {
    let Output { status, stdout, stderr } = command.arg(WORK).output().expect("this program again");
    assert!(status.success(), "{status}");
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(stdout.contains(" returned\n"), "{stdout}");
    (stdout, String::from_utf8_lossy(&stderr).into_owned())
}

fn written(level: &str) -> String {
    run(Command::new(program()).env("TINE_LOG", level)).1
}

fn nothing_is_written_unless_asked_for(_: &Template) {
    assert_eq!(run(Command::new(program()).env_remove("TINE_LOG")).1, "");
    // The worker returned: nothing of this to say.
    for level in ["", "error", "warn", "off", "loud", "5"] {
        assert_eq!(written(level), "", "{level}");
    }
}

fn what_is_written_is_chosen_by_level(_: &Template) {
    let info = written("info");
    assert!(info.contains(" info: template forked pid="), "{info}");
    assert!(!info.contains("debug") && !info.contains("process"), "{info}");
    let debug = written("DEBUG");
    let entry = format!("entry={}", workers::RETURN.name());
    let order = [
        " info: template forked",
        " debug: asked for",
        " debug: process started pid=",
        " debug: process runs pid=",
        " debug: process ended exit=worker ",
    ];
    let places = order.map(|word| debug.find(word).unwrap_or_else(|| panic!("{word} in {debug}")));
    assert!(places.is_sorted(), "{debug}");
    assert!(debug.contains(&entry) && !debug.contains("turn callbacks"), "{debug}");
    assert!(debug.lines().all(|line| line.starts_with('[') && line.contains("] tine ")), "{debug}");
    assert!(written("trace").contains(" trace: turn callbacks="));
}

/// As root: a copy of this program that belongs to root, run by somebody else.
fn set_user_id_programs_ignore_the_environment(_: &Template) {
    if !rustix::process::geteuid().is_root() {
        return println!(
            "    only root can make a set-user-id program of another user's: not tried"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let copy = folder.path().join("copy");
    fs::copy(program(), &copy).expect("room for a copy");
    for (mode, is_secure) in [(0o755, false), (0o4755, true)] {
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).expect("ours");
        assert_eq!(fs::metadata(&copy).expect("it is there").mode() & 0o7777, mode);
        let mut command = Command::new(&copy);
        let (_, stderr) = run(command.env("TINE_LOG", "trace").uid(65534).gid(65534));
        assert_eq!(stderr.is_empty(), is_secure, "{mode:o}: {stderr}");
        let mut command = Command::new(&copy);
        let output = command.arg(WORK).env("TINE_TEMPLATE", "remote").uid(65534).output();
        // `main` runs, or a process that has no orders: nobody is at its standard input.
        let output = output.expect("this program again");
        let main_ran = String::from_utf8_lossy(&output.stdout).contains(" returned\n");
        assert_eq!(main_ran, is_secure, "{mode:o}: {output:?}");
    }
}

/// Rust files beneath `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Names in a text that begin as tine's variables do.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    words.filter(|word| word.starts_with("TINE_")).map(String::from).collect()
}

fn each_variable_is_documented(_: &Template) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    for folder in ["core/src", "integrations", "demo-app/src"] {
        sources(&workspace.join(folder), &mut files);
    }
    let (mut used, mut others) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        used.extend(variables(&text));
        others.extend(read_by_name(&text));
    }
    let page = fs::read_to_string(workspace.join("core/docs/environment.md")).expect("the page");
    assert_eq!(used, variables(&page));
    for variable in others {
        assert!(page.contains(&format!("`{variable}`")), "{variable} is not in the page");
    }
}

/// Variables of other people's that a source file reads; all of them at once are the app's, passed on.
fn read_by_name(text: &str) -> Vec<String> {
    let calls = ["env::var(\"", "env::var_os(\""].into_iter();
    let names = calls.flat_map(|call| text.split(call).skip(1).map(|rest| rest.split('"').next()));
    names.flatten().map(String::from).collect()
}

fn subscribers_get_spans_and_records(template: &Template) {
    let recorder = Recorder::default();
    let pid = tracing::subscriber::with_default(recorder.clone(), || {
        let told = Told::run(template.fork(), workers::RETURN);
        told.exit().pid()
    });
    let (seen, entry) = (recorder.take(), workers::RETURN.name());
    let in_process = |record: &str| format!("process{{entry=\"{entry}\" pid={pid}}}: {record}");
    let wanted = [
        // Asked for before there is an id.
        format!("process{{entry=\"{entry}\"}}: asked for a process entry={entry}"),
        format!("turn: {}", in_process(&format!("process started pid={pid} entry={entry}"))),
        format!("turn: {}", in_process(&format!("process runs pid={pid} entry={entry}"))),
        format!(
            "turn: {}",
            in_process(&format!("process ended exit=worker {pid} ({entry}) returned"))
        ),
    ];
    for wanted in wanted {
        assert!(seen.contains(&wanted), "{wanted} in {seen:#?}");
    }
    assert!(seen.iter().any(|record| record.starts_with("turn: turn callbacks=")), "{seen:#?}");
}

/// A log view of the program's own, say: no borrow is held where it is called.
fn subscribers_may_use_the_queue(template: &Template) {
    let recorder = Recorder::calling(|| {
        tine::queue().post(|| ());
        drop(tine::overview());
    });
    tracing::subscriber::with_default(recorder.clone(), || {
        Told::run(template.fork(), workers::RETURN).exit();
        let told = Told::run(template.fork().call("no such function", [""; 0]), workers::RETURN);
        told.refusal();
    });
    assert!(!recorder.take().is_empty());
}

fn the_death_of_a_template_is_recorded(_: &Template) {
    let recorder = Recorder::calling(|| drop(tine::overview()));
    let pids = tracing::subscriber::with_default(recorder.clone(), || {
        let template = Template::exec().expect("a template");
        let before = processes::of(&template);
        Told::run(template.fork(), workers::RETURN).exit();
        let raw = rustix::process::Pid::from_raw(before as i32).expect("not 0");
        rustix::process::kill_process(raw, rustix::process::Signal::KILL).expect("it runs");
        Told::run(template.fork(), workers::RETURN).exit();
        [before, processes::of(&template)]
    });
    let seen = recorder.take().join("\n");
    assert!(seen.contains(&format!("template executed pid={}", pids[0])), "{seen}");
    let anew = format!("template died and was made anew pid={}", pids[1]);
    assert!(seen.contains(&anew), "{seen}");
}
