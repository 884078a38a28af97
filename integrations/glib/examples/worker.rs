//! A main loop without a display: a worker adds numbers up, and the loop ends with its answer.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use tine::Template;

tine::entry!(SUM = sum);

/// What the worker does: adds up its arguments.
fn sum(mut worker: tine::Worker) -> Result<(), Box<dyn std::error::Error>> {
    let mut total: u64 = 0;
    while let Ok(number) = worker.take_arg() {
        total += str::from_utf8(&number)?.parse::<u64>()?;
    }
    write!(&mut worker.socket(), "{total}")?;
    Ok(())
}

fn main() -> glib::ExitCode {
    let template = Template::early().expect("nothing runs before the first line of main");
    let main_loop = glib::MainLoop::new(None, false);
    tine_glib::attach(&tine::queue());

    let socket = Rc::new(RefCell::new(None));
    let exit = Rc::new(RefCell::new(None));
    let (here, there) = (Rc::clone(&socket), (Rc::clone(&exit), main_loop.clone()));
    template
        .fork()
        .send_arg("20")
        .send_arg("22")
        .run(SUM, move |socket| *here.borrow_mut() = socket.ok())
        .on_exit(move |exit| {
            *there.0.borrow_mut() = Some(exit);
            there.1.quit();
        });
    main_loop.run();

    let mut answer = String::new();
    if let Some(mut socket) = socket.take() {
        socket.read_to_string(&mut answer).expect("the worker's end is closed");
    }
    let exit = exit.take().expect("the loop has ended with it");
    println!("20 + 22 = {answer}\n{exit}");
    glib::ExitCode::from(u8::from(!exit.success()))
}
