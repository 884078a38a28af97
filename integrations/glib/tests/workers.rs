//! Workers in a GLib main loop. It has a main of its own, because a template is forked early.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tine::{Exit, Template};

const DEADLINE: Duration = Duration::from_secs(60);
/// Says that this run of the program is to panic in a callback.
const PANIC: &str = "panic-in-a-callback";

tine::entry!(ANSWER = answer);
tine::entry!(PANICS = panics);

fn answer(mut worker: tine::Worker) -> tine::Result<()> {
    let text = worker.take_arg()?;
    worker.socket().write_all(&text)?;
    Ok(())
}

fn panics(_worker: tine::Worker) {
    panic!("on purpose");
}

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    tine_glib::attach(&tine::queue());
    if std::env::args().nth(1).as_deref() == Some(PANIC) {
        panic_in_a_callback(&template);
    }
    let template_pid = template.pid().expect("a template that was forked");
    // The first worker brings the link to the template along, which stays.
    a_panic_in_a_worker_is_told(&template);
    let before = open_descriptors();
    a_burst_of_workers_answers_and_ends(&template);
    a_panic_in_a_callback_ends_the_program();
    assert_eq!(open_descriptors(), before, "descriptors are left");
    drop(template);
    assert!(no_children_but(template_pid), "a process is left");
    println!("ok");
    ExitCode::SUCCESS
}

/// Runs the main loop until `done`; it fails when the deadline passes, with `state` told.
fn run_until(main_loop: &glib::MainLoop, state: impl Fn() -> String + 'static) {
    let late = glib::timeout_add_local_once(DEADLINE, move || panic!("too late: {}", state()));
    main_loop.run();
    late.remove();
}

fn a_burst_of_workers_answers_and_ends(template: &Template) {
    const COUNT: usize = 200;
    let main_loop = glib::MainLoop::new(None, false);
    let exits: Rc<RefCell<Vec<Exit>>> = Rc::default();
    let answers = Rc::new(Cell::new(0));
    for number in 0..COUNT {
        let (exits, answers, main_loop) = (exits.clone(), answers.clone(), main_loop.clone());
        let socket = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&socket);
        template
            .fork()
            .send_arg(number.to_string())
            .run(ANSWER, move |socket| *kept.borrow_mut() = Some(socket.expect("it runs")))
            .on_exit(move |exit| {
                let mut answer = String::new();
                let mut socket = socket.take().expect("the socket comes before the end");
                socket.read_to_string(&mut answer).expect("the stream has ended");
                assert_eq!(answer, number.to_string());
                answers.set(answers.get() + 1);
                exits.borrow_mut().push(exit);
                if exits.borrow().len() == COUNT {
                    main_loop.quit();
                }
            });
    }
    let ended = Rc::clone(&exits);
    run_until(&main_loop, move || format!("{} of {COUNT} have ended", ended.borrow().len()));
    assert_eq!(answers.get(), COUNT);
    assert!(exits.borrow().iter().all(Exit::success), "{:?}", exits.borrow());
}

fn a_panic_in_a_worker_is_told(template: &Template) {
    let main_loop = glib::MainLoop::new(None, false);
    let told = Rc::new(RefCell::new(String::new()));
    let (quit, text) = (main_loop.clone(), Rc::clone(&told));
    template.fork().run(PANICS, |socket| assert!(socket.is_ok())).on_exit(move |exit| {
        *text.borrow_mut() = exit.to_string();
        quit.quit();
    });
    run_until(&main_loop, || "a panicking worker has no end".into());
    assert!(told.borrow().contains("on purpose"), "{}", told.borrow());
}

/// The other side of `a_panic_in_a_callback_ends_the_program`.
fn panic_in_a_callback(template: &Template) -> ! {
    template.fork().send_arg("").run(ANSWER, |_| panic!("in a callback"));
    glib::MainLoop::new(None, false).run();
    unreachable!("the panic ends the program");
}

fn a_panic_in_a_callback_ends_the_program() {
    let program = std::env::current_exe().expect("this program has a name");
    let output = Command::new(program)
        .arg(PANIC)
        .stdin(Stdio::null())
        .output()
        .expect("this program can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(6), "SIGABRT is expected: {output:?}");
    assert!(stderr.contains("in a callback"), "{stderr}");
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

/// Whether no child of this process is there, the template not counted: it may be on its way out.
fn no_children_but(template: u32) -> bool {
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    children.split_whitespace().all(|pid| pid == template.to_string())
}
