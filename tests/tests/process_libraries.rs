//! F3, F20: a library that uses tine by itself, whatever loads it and however; `main` runs once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use tine::{Cause, Template, Worker};
use tine_tests::places::{HERE, answer_of, loader, output_of, this};
use tine_tests::told::Told;
use tine_tests::{cases, native, runner};

fn main() -> ExitCode {
    // Started by a test below.
    if let Some(path) = std::env::var_os("TINE_TEST_LIBRARY") {
        println!("main");
        with_library(Path::new(&path));
        return ExitCode::SUCCESS;
    }
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_library_in_a_program_without_tine,
        a_library_in_a_program_with_tine,
        a_library_with_a_path_that_lists_take_apart,
        a_library_beside_others_that_are_preloaded,
        a_library_that_is_gone,
        a_library_that_is_replaced_after_its_first_template,
        a_library_that_the_program_is_linked_to,
        a_library_in_a_namespace_of_its_own,
        libraries_beside_each_other,
        a_library_that_a_worker_has_loaded,
        a_library_beside_another_program_with_tine,
    ];
    runner::run(&template, cases)
}

/// Templates of this program, and of a library that it loads.
fn with_library(path: &Path) {
    println!("{}", answer_of(Template::exec().map(|template| template.fork())));
    assert_eq!(native::ask_library(path, 0), 0);
    assert_eq!(native::ask_library(path, 1), 0);
    println!("{}", answer_of(Template::exec().map(|template| template.fork())));
    println!("{}", answer_of(Template::exec().map(|template| template.fresh())));
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A library that uses tine; cargo makes it beside the test programs.
fn library() -> PathBuf {
    this().ancestors().nth(2).expect("deps").join("examples/libtine_test_library.so")
}

/// A program in C that loads it.
fn host(folder: &Path) -> PathBuf {
    host_with(folder, None)
}

/// The same, which also is linked to this.
fn host_with(folder: &Path, library: Option<&Path>) -> PathBuf {
    let (source, program) = (folder.join("host.c"), folder.join("host"));
    std::fs::write(&source, include_str!("../plugins/host.c")).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Werror", "-Wl,--no-as-needed", "-o"]).arg(&program).arg(&source);
    compiler.args(library).arg("-ldl");
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
    let own = || Command::new(this());
    let by_hand = loader().map(|loader| {
        let mut command = Command::new(loader);
        command.arg(this());
        command
    });
    for mut command in [Some(own()), by_hand].into_iter().flatten() {
        let lines = output_of(command.env("TINE_TEST_LIBRARY", library()));
        assert_eq!(lines, [HERE, CLEAN, CLEAN, HERE, HERE]);
    }
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

/// F20: it is there in a fresh image anyway, and serves no templates but its own.
fn a_library_that_the_program_is_linked_to(_: &Template) {
    let folder = folder();
    let linked = folder.path().join("linked.so");
    std::fs::copy(library(), &linked).expect("a copy");
    let host = host_with(folder.path(), Some(&linked));
    assert_eq!(ask(&host, &linked, &["0", "1", "2", "1"]), [CLEAN; 4]);
    assert_eq!(ask(&host, &library(), &["0", "1", "2", "1"]), [CLEAN; 4]);
}

/// F20: where it is the first library of all.
fn a_library_in_a_namespace_of_its_own(_: &Template) {
    let folder = folder();
    let mut command = Command::new(host(folder.path()));
    command.env_remove("LD_PRELOAD").env("TINE_TEST_APART", "1").arg(library());
    assert_eq!(output_of(command.args(["0", "1", "2", "1"])), [CLEAN; 4]);
}

/// F20: each with templates of its own.
fn libraries_beside_each_other(_: &Template) {
    let folder = folder();
    let other = folder.path().join("other.so");
    std::fs::copy(library(), &other).expect("a copy");
    let deeds = ["0", "1", &other.display().to_string(), "0", "1", "2", "1"];
    assert_eq!(ask(&host(folder.path()), &library(), &deeds), [CLEAN; 6]);
}

/// F6, F20, F22: a plugin that was loaded into a worker has templates of its own there.
fn a_library_that_a_worker_has_loaded(template: &Template) {
    for process in [template.fork(), template.fresh()] {
        let told = Told::run(process.load(library()), "tine_test_library::nest");
        assert_eq!(String::from_utf8_lossy(&told.answer()), format!("{CLEAN}\n{CLEAN}"));
        assert!(told.exit().success(), "{}", told.exit());
    }
    let folder = folder();
    let copy = folder.path().join("plugin.so");
    std::fs::copy(library(), &copy).expect("a copy");
    let process = template.fork().load(&copy);
    std::fs::remove_file(&copy).expect("it was there");
    let told = Told::run(process, "tine_test_library::nest");
    let exit = told.exit();
    let Cause::Failed(text) = exit.cause() else { panic!("{exit}") };
    assert!(text.contains(&copy.display().to_string()), "{text}");
}

tine::entry!(OWN = own);
/// Which the library does not have.
fn own(worker: Worker) -> std::io::Result<()> {
    worker.socket().write_all(b"the program's own")
}

/// F3, F17, F20: what is meant for another program is for its own copy of tine, whichever runs first; one that has none
/// leaves it to the library.
fn a_library_beside_another_program_with_tine(template: &Template) {
    let folder = folder();
    let host = host(folder.path());
    let at_the_far_end = |program: &Path, entry: &str| {
        let (list, program) = (library().display().to_string(), program.display().to_string());
        let script = format!("LD_PRELOAD='{list}' TINE_TEMPLATE=remote exec '{program}'");
        let told = Told::run(template.command("sh").args(["-c", &script]).remote(), entry);
        let answer = String::from_utf8_lossy(&told.answer()).into_owned();
        assert!(told.exit().success(), "{}", told.exit());
        answer
    };
    assert_eq!(at_the_far_end(&this(), OWN.name()), "the program's own");
    let preloaded =
        format!("LD_PRELOAD Some({:?}), TINE_TEMPLATE None", library().display().to_string());
    assert_eq!(at_the_far_end(&host, "tine_test_library::tell"), preloaded);
    for (program, entry) in [(this(), OWN.name()), (host, "tine_test_library::tell")] {
        native::set_variable("LD_PRELOAD", &library().display().to_string());
        let other = Template::program(&program).expect("a template");
        native::remove_variable("LD_PRELOAD");
        let told = Told::run(other.fork(), entry);
        assert!(!told.answer().is_empty());
        assert!(told.exit().success(), "{}", told.exit());
    }
}
