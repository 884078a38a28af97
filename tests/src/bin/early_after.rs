//! Does something first, and then calls `Template::early`: prints `adopted` when a worker of it ran, or
//! why it was refused. `early_after DEED`; the deeds stand in the `match`.

use std::any::Any;

use glib::prelude::StaticType as _;
use rustix::event::{EventfdFlags, epoll};
use tine::{Cause, Template};
use tine_tests::native;
use tine_tests::told::Told;
use tine_tests::workers::RETURN;

fn main() {
    let deed = std::env::args().nth(1).unwrap_or_default();
    let kept = before(&deed);
    match Template::early() {
        Ok(template) => {
            let exit = Told::run(template.fork(), RETURN).exit();
            assert_eq!(*exit.cause(), Cause::Returned, "{exit}");
            println!("adopted");
        }
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
    drop(kept);
}

/// Whatever is done before; kept until the end.
fn before(deed: &str) -> Box<dyn Any> {
    match deed {
        "nothing" => Box::new(()),
        "thread" => {
            let named = std::thread::Builder::new().name("gdbus".into());
            let (sender, named_itself) = std::sync::mpsc::channel();
            let thread = named.spawn(move || {
                sender.send(()).expect("somebody listens");
                std::thread::park();
            });
            named_itself.recv().expect("the thread runs");
            Box::new(thread.expect("a thread"))
        }
        "glib type" => Box::new(glib::DateTime::static_type()),
        "glib context" => Box::new(glib::MainContext::default()),
        "epoll" => Box::new(epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll")),
        "eventfd" => Box::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd")),
        "queue" => {
            let queue = tine::queue();
            queue.dispatch().expect("a queue");
            Box::new(queue)
        }
        "twenty templates dropped" => {
            (0..20).for_each(|_| drop(Template::early().expect("no thread is running")));
            Box::new(())
        }
        "threads that end" => {
            for _ in 0..30 {
                let ending = std::thread::spawn(slow_to_end);
                ending.join().expect("a thread");
                drop(Template::early().unwrap_or_else(|error| panic!("{error}")));
            }
            Box::new(())
        }
        "closed input" => {
            native::close(0);
            Box::new(())
        }
        "closed input and errors" => Box::new([0, 2].map(native::close)),
        "inherited eventfd" => {
            let fd = rustix::event::eventfd(0, EventfdFlags::empty()).expect("eventfd");
            Box::new(native::leak(fd, None))
        }
        other => panic!("no such deed: {other}"),
    }
}

/// Has the kernel close thousands of descriptors when this thread has ended, and its end is known.
fn slow_to_end() {
    assert_eq!(tine_tests::call!(libc::SYS_unshare, libc::CLONE_FILES), 0, "unshare");
    let file = std::fs::File::open("/dev/null").expect("/dev/null");
    while let Ok(copy) = file.try_clone() {
        std::mem::forget(copy);
    }
    std::mem::forget(file);
}
