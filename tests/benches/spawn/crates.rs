//! The app of the peers that are Rust crates, and of std's `Command`.
//!
//! ```text
//! procspawn|zygote APP_MB WINDOW_MS
//! command APP_MB WINDOW_MS PROGRAM    PROGRAM writes a byte to its standard output if it has an argument
//! ```

mod measure;

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use measure::{Spawner, Work};
use procspawn::JoinHandle;
use zygote::Zygote;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    procspawn::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [case, app_mb, window, program @ ..] = &args[..] else {
        return Err("CASE APP_MB WINDOW_MS".into());
    };
    if case == "zygote" {
        // Forks its process, before the data is there.
        Zygote::init();
    }
    let _data = measure::data(app_mb.parse()?);
    let window = Duration::from_millis(window.parse()?);
    match (&case[..], program) {
        ("procspawn", []) => measure::measure(&mut Procspawn, window),
        ("zygote", []) => measure::measure(&mut Zygotes, window),
        ("command", [program]) => measure::measure(&mut Commands { program }, window),
        _ => return Err(format!("no case {case}").into()),
    }
    Ok(())
}

/// Starts the program anew for each process; the end comes with the result.
struct Procspawn;

impl Spawner for Procspawn {
    type Worker = Option<JoinHandle<()>>;

    fn start(&mut self, _: Work) -> Self::Worker {
        Some(procspawn::spawn((), |()| ()))
    }

    fn first_byte(&mut self, worker: &mut Self::Worker) {
        // The result is the first that can be heard.
        worker.take().map(JoinHandle::join).expect("a handle").expect("a result");
    }

    fn end(&mut self, mut worker: Self::Worker) {
        if worker.is_some() {
            self.first_byte(&mut worker);
        }
    }
}

/// Forks a process, which runs one function; dropping it kills it. Each step waits for its answer, so that
/// nothing can be in flight.
struct Zygotes;

impl Spawner for Zygotes {
    type Worker = Zygote;

    const PIPELINED: bool = false;

    fn start(&mut self, _: Work) -> Zygote {
        let process = Zygote::global().spawn();
        process.run(|()| (), ());
        process
    }

    fn first_byte(&mut self, _: &mut Zygote) {}

    fn end(&mut self, process: Zygote) {
        drop(process);
    }
}

/// std's `Command`, with its standard output piped.
struct Commands<'a> {
    program: &'a str,
}

impl Spawner for Commands<'_> {
    type Worker = Child;

    fn start(&mut self, work: Work) -> Child {
        let mut command = Command::new(self.program);
        if matches!(work, Work::Byte) {
            command.arg("byte");
        }
        command.stdout(Stdio::piped()).spawn().expect("the program starts")
    }

    fn first_byte(&mut self, child: &mut Child) {
        let stdout = child.stdout.as_mut().expect("its output is piped");
        stdout.read_exact(&mut [0]).expect("its byte");
    }

    fn end(&mut self, mut child: Child) {
        let stdout = child.stdout.as_mut().expect("its output is piped");
        assert_eq!(stdout.read(&mut [0]).expect("its end"), 0);
        child.wait().expect("the program ends");
    }
}
