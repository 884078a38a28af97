//! An app for tests of an app's death: starts workers, tells who is there, and does as it is told.
//!
//! `doomed-app WORKERS DEED`; DEED is `wait`, `return`, `panic`, `abort`, `exit`, `burst`,
//! `stop-template` or `stop-workers`. All its processes keep its standard output open.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Pid, Signal, kill_process};
use tine::Template;
use tine_tests::processes;
use tine_tests::told::Told;
use tine_tests::workers::{ENDURE, RETURN};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let mut args = std::env::args().skip(1);
    let workers = args.next().and_then(|count| count.parse().ok()).unwrap_or(0);
    let told: Vec<_> = (0..workers).map(|_| Told::run(template.fork(), ENDURE)).collect();
    let mut sockets: Vec<_> = told.iter().map(Told::socket).collect();
    for socket in &mut sockets {
        socket.read_exact(&mut [0; 5]).expect("ready");
    }
    let deed = args.next().unwrap_or_default();
    for told in told.iter().filter(|_| deed == "stop-workers") {
        stop(told.running().pid().expect("it lives"));
    }
    if deed == "stop-template" {
        stop(processes::of(&template));
    }
    println!("{} processes", 1 + told.len());
    std::io::stdout().flush().expect("a pipe");
    match deed.as_str() {
        "return" => ExitCode::from(7),
        "panic" => panic!("as told"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(8),
        "burst" => loop {
            let told: Vec<_> = (0..100).map(|_| Told::run(template.fork(), RETURN)).collect();
            told.iter().for_each(|told| assert!(told.exit().success()));
        },
        _ => loop {
            tine::queue().turn(None).expect("a queue");
        },
    }
}

fn stop(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
    kill_process(pid, Signal::STOP).expect("it lives");
}
