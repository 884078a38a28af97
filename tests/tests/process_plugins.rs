//! F6: shared objects that are loaded into a process, in Rust and in C.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::{CWD, Mode, mkfifoat};
use tine::{Cause, ErrorKind, Template};
use tine_tests::told::Told;
use tine_tests::workers::RETURN;
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        a_plugin_in_rust,
        a_plugin_in_c,
        copies_share_what_is_loaded,
        a_plugin_stays_in_its_process,
        failures_are_told,
        the_file_is_the_one_that_was_there,
        what_is_no_plugin_is_refused,
        what_is_no_file_is_refused,
        another_machines_and_cut_ones_are_refused,
        tables_that_lack_something_are_refused,
    ];
    runner::run(&template, cases)
}

/// Beside the test programs: cargo makes examples with them.
fn in_rust() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    own.ancestors().nth(2).expect("deps").join("examples/libtine_test_plugin.so")
}

fn in_c(folder: &Path) -> PathBuf {
    compiled(folder, include_str!("../plugins/c.c"), &[])
}

fn compiled(folder: &Path, text: &str, definitions: &[String]) -> PathBuf {
    let (source, object) = (folder.join("c.c"), folder.join("plugin.so"));
    std::fs::write(&source, text).expect("a file");
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/include");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wall", "-Werror", "-Wno-unused-result", "-I"]);
    compiler.arg(headers).arg("-o").arg(&object).arg(&source);
    compiler.args(definitions.iter().map(|definition| format!("-D{definition}")));
    assert!(compiler.status().expect("a C compiler").success());
    object
}

const TELL: &str = "tine_test_plugin::tell";
const WARM: &str = "tine_test_plugin::warm";

fn a_plugin_in_rust(template: &Template) {
    let process = template.fork().load(in_rust()).call(WARM, ["warm"]).send_arg("and sent");
    let told = Told::run(process, TELL);
    assert_eq!(told.answer(), b"warm and sent");
    assert_eq!(*told.exit().cause(), Cause::Returned);
}

fn a_plugin_in_c(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(b"read ").expect("room");
    drop(writer);
    let process = template.fork().load(in_c(folder.path())).call("c::warm", ["warm "]);
    let told = Told::run(process.send_fd(reader).send_arg("sent"), "c::tell");
    assert_eq!(told.answer(), b"warm read sent!");
    assert_eq!(*told.exit().cause(), Cause::Returned);
    let failing = template.fork().load(in_c(folder.path())).call("c::warm", ["two", "many"]);
    let refusal = Told::run(failing, "c::tell").refusal().to_string();
    assert!(refusal.contains("c::warm") && refusal.contains("2 arguments"), "{refusal}");
}

/// F2: a template that has loaded it.
fn copies_share_what_is_loaded(template: &Template) {
    let process = template.fork().load(in_rust()).call(WARM, ["once"]);
    let loaded = process.into_template().expect("a template");
    for word in ["one", "two"] {
        let told = Told::run(loaded.fork().send_arg(word), TELL);
        assert_eq!(told.answer(), format!("once {word}").as_bytes());
        assert!(told.exit().success());
    }
}

fn a_plugin_stays_in_its_process(template: &Template) {
    assert_eq!(*Told::run(template.fork().load(in_rust()), RETURN).exit().cause(), Cause::Returned);
    let told = Told::run(template.fork(), TELL);
    told.socket();
    let Cause::NoSuchEntry { known } = told.exit().cause().clone() else { panic!("no entry") };
    assert!(!known.iter().any(|name| name.starts_with("tine_test_plugin")), "{known:?}");
}

fn failures_are_told(template: &Template) {
    let failing = template.fork().load(in_rust()).call("tine_test_plugin::fail", [""; 0]);
    let refusal = Told::run(failing, TELL).refusal().to_string();
    assert!(refusal.contains("the plugin will not"), "{refusal}");
    let told = Told::run(template.fork().load(in_rust()), "tine_test_plugin::panic");
    told.socket();
    let exit = told.exit().to_string();
    assert!(exit.contains("inside the plugin"), "{exit}");
    let absent = Told::run(template.fork().load(in_rust()), "tine_test_plugin::absent");
    absent.socket();
    let Cause::NoSuchEntry { known } = absent.exit().cause().clone() else { panic!("no entry") };
    assert!(known.iter().any(|name| name == TELL), "{known:?}");
}

/// Opened when it is asked for: what happens to the name afterwards does not matter.
fn the_file_is_the_one_that_was_there(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("plugin.so");
    std::fs::copy(in_rust(), &copy).expect("a copy");
    let process = template.fork().load(&copy).call(WARM, ["kept"]).send_arg("it");
    std::fs::remove_file(&copy).expect("it was there");
    std::fs::write(&copy, "something else").expect("a file");
    assert_eq!(Told::run(process, TELL).answer(), b"kept it");
}

/// F6: the linker would say that there is no such file, or be killed by SIGBUS.
fn another_machines_and_cut_ones_are_refused(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugin.so");
    let whole = std::fs::read(in_rust()).expect("a plugin");
    let mut others = whole.clone();
    // The kind of machine (elf(5)): none has this.
    others[18] ^= 0x5a;
    for (octets, reason) in [
        (&*others, "another kind of machine"),
        (&whole[..1000], "cut off"),
        (&whole[..9000], "cut off"),
    ] {
        std::fs::write(&path, octets).expect("a file");
        let refusal = Told::run(template.fork().load(&path), RETURN).refusal().to_string();
        assert!(refusal.contains(reason) && refusal.contains("plugin.so"), "{refusal}");
    }
}

/// F6, E15: what is null, or there twice, is an error that names it, and neither a crash nor the other one.
fn tables_that_lack_something_are_refused(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    for (exports, count, at, reason) in [
        (r#"{ 0, TINE_ENTRY, nothing, 0 }"#, 1, "exports", "export 0 has no name"),
        (r#"{ "one", TINE_ENTRY, 0, 0 }"#, 1, "exports", "export one has no function"),
        (r#"{ "one", TINE_ENTRY, nothing, 0 }"#, 1, "0", "no exports"),
        (
            r#"{ "one", TINE_ENTRY, nothing, 0 }, { "one", TINE_ENTRY, nothing, "" }"#,
            2,
            "exports",
            "two of its exports are named one",
        ),
    ] {
        let definitions =
            [format!("EXPORTS={exports}"), format!("COUNT={count}"), format!("AT={at}")];
        let path = compiled(folder.path(), include_str!("../plugins/lacking.c"), &definitions);
        let refusal = Told::run(template.fork().load(&path), "one").refusal().to_string();
        assert!(refusal.contains(reason) && refusal.contains("plugin.so"), "{refusal}");
    }
}

fn what_is_no_plugin_is_refused(template: &Template) {
    let libc = "/proc/self/exe";
    for (path, reason) in
        [("/nowhere/plugin.so", "/nowhere/plugin.so"), ("/etc/passwd", "/etc/passwd"), (libc, "")]
    {
        let told = Told::run(template.fork().load(path), RETURN);
        let refusal = told.refusal().to_string();
        assert!(refusal.contains(reason), "{refusal}");
    }
}

/// F6, F10: who opens a FIFO waits for its other end, and who reads from it, for ever: neither app nor worker does.
fn what_is_no_file_is_refused(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo.so");
    mkfifoat(CWD, &fifo, Mode::RWXU).expect("a FIFO");
    // Who opens it all the same need not wait, so that this ends.
    let _held = File::options().read(true).write(true).open(&fifo).expect("the FIFO");
    for path in [&fifo, folder.path(), Path::new("/dev/ptmx")] {
        let told = Told::run(template.fork().load(path), RETURN);
        let refusal = told.refusal();
        assert_eq!(refusal.kind(), ErrorKind::Misuse);
        assert!(refusal.to_string().starts_with(&path.display().to_string()), "{refusal}");
    }
}
