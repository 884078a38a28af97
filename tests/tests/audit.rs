//! B10: the audit finds nothing where nothing is wrong, and names what is.

use std::fs::File;
use std::process::ExitCode;

use tine::testing::{Audit, audit};
use tine::{Items, Template};
use tine_tests::{cases, native, runner};

fn main() -> ExitCode {
    // Nothing of this is inherited.
    native::leak(File::open("/dev/zero").expect("/dev/zero").into(), Some(700));
    native::ignore(libc::SIGHUP);
    native::block(libc::SIGTERM);
    let template = Template::early().expect("first line of main");
    let cases = cases![
        clean_templates,
        an_app_whose_directory_is_deleted,
        what_was_sent_is_no_leak,
        what_preparing_leaves_open,
        threads_of_the_template,
        a_toolkit_in_the_template,
        a_template_that_cannot_be_is_an_error,
    ];
    runner::run(&template, cases)
}

fn of(template: &Template) -> Audit {
    audit(template).expect("an outcome")
}

fn assert_finds(audit: &Audit, finding: &str) {
    assert!(audit.findings().iter().any(|found| found.contains(finding)), "{finding}: {audit}");
    assert!(!audit.is_clean() && audit.to_string().contains(finding));
}

fn prepared(template: &Template, function: tine::Function) -> Template {
    template.fork().call(function, [""; 0]).into_template().expect("a template")
}

/// Forked or executed, and whatever the app has.
fn clean_templates(template: &Template) {
    for template in [template.clone(), Template::exec().expect("a template")] {
        let audit = of(&template);
        assert!(audit.is_clean(), "{audit}");
        assert_eq!(audit.to_string(), "clean");
    }
}

/// The template has it open, as it passes it on.
fn an_app_whose_directory_is_deleted(template: &Template) {
    let before = std::env::current_dir().expect("a directory");
    let deleted = tempfile::tempdir().expect("a directory");
    std::env::set_current_dir(deleted.path()).expect("a directory");
    deleted.close().expect("an empty one");
    let audit = of(template);
    std::env::set_current_dir(before).expect("a directory");
    assert!(audit.is_clean(), "{audit}");
}

fn what_was_sent_is_no_leak(template: &Template) {
    let file = File::open("/dev/full").expect("/dev/full");
    let sent = template.fork().send_fd(file).send_arg("x").into_template().expect("a template");
    let audit = of(&sent);
    assert!(audit.is_clean(), "{audit}");
}

tine::function!(LEAK = leak);
fn leak(_: &mut Items, _: Vec<Vec<u8>>) -> std::io::Result<()> {
    native::leak(File::open("/dev/zero")?.into(), None);
    Ok(())
}

/// A template closes what preparing has left open, so that its workers are clean whatever was done.
fn what_preparing_leaves_open(template: &Template) {
    let audit = of(&prepared(template, LEAK));
    assert!(audit.is_clean(), "{audit}");
}

tine::function!(THREAD = thread);
fn thread(_: &mut Items, _: Vec<Vec<u8>>) -> std::io::Result<()> {
    // It has its name when its own code runs.
    let (named, has_name) = std::sync::mpsc::channel();
    let endless = move || {
        let _ = named.send(());
        loop {
            std::thread::park();
        }
    };
    std::thread::Builder::new().name("decoder".into()).spawn(endless)?;
    has_name.recv().map_err(std::io::Error::other)
}

/// A template that has a second thread forks copies of its locks.
fn threads_of_the_template(template: &Template) {
    let audit = of(&prepared(template, THREAD));
    assert!(audit.findings().len() == 1, "{audit}");
    assert_finds(&audit, " (decoder) is running");
    assert!(audit.to_string().starts_with("template "), "{audit}");
}

tine::function!(TOOLKIT = toolkit);
fn toolkit(_: &mut Items, _: Vec<Vec<u8>>) {
    use gtk4::glib::prelude::StaticType as _;
    gtk4::gdk::Rectangle::static_type();
}

/// GLib is not safe to fork once it has types.
fn a_toolkit_in_the_template(template: &Template) {
    assert_finds(&of(&prepared(template, TOOLKIT)), "GLib is initialised");
}

tine::function!(FAIL = fail);
fn fail(_: &mut Items, _: Vec<Vec<u8>>) -> Result<(), &'static str> {
    Err("no such decoder")
}

fn a_template_that_cannot_be_is_an_error(template: &Template) {
    let error = audit(&prepared(template, FAIL)).expect_err("no worker");
    assert!(error.to_string().contains("no such decoder"), "{error}");
}
