//! What the jobs are: most are answered, some are the end of their worker, at once or at a random moment later.

use serde::{Deserialize, Serialize};
use tine::{Worker, rpc};
use tine_tests::native;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Task {
    /// Give the number back, with so many octets beside it.
    Answer(u32, usize),
    /// Get a signal: in this job, or after some turns of the scheduler, whatever is done then.
    Doom(i32, u32),
    /// Use memory until there is none.
    Devour,
    Panic,
    /// Return an error.
    Fail,
    /// Exit, in the middle of a job.
    Exit,
    /// Serve no more after this one.
    Retire,
}

tine::entry!(pub WORK = work);
fn work(worker: Worker) -> tine::Result<()> {
    rpc::serve(worker, |task: Task, caller| -> Result<(u32, String), String> {
        match task {
            Task::Answer(number, octets) => return Ok((number, "x".repeat(octets))),
            Task::Doom(signal, turns) => doom(signal, turns),
            Task::Devour => devour(),
            Task::Panic => std::panic::resume_unwind(Box::new("as asked")),
            Task::Fail => return Err("as asked".into()),
            Task::Exit => native::leave(3),
            Task::Retire => caller.retire().map_err(|error| error.to_string())?,
        }
        Ok((0, String::new()))
    })
}

/// From another thread, so that the moment is any; or before this is answered.
fn doom(signal: i32, turns: u32) {
    if turns < 5 {
        return native::raise(signal);
    }
    std::thread::spawn(move || {
        (0..turns).for_each(|_| std::thread::yield_now());
        native::raise(signal);
    });
}

fn devour() {
    let mut memory = Vec::new();
    loop {
        // Touched, and kept until the limit says no, which aborts.
        memory.push(vec![1_u8; 1 << 20]);
    }
}
