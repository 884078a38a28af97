//! The suite on winit on X11, which is Xvfb.

mod winit_host;

use std::process::ExitCode;
use tine_tests::conformance;
use tine_tests::servers::{Server, with_server};
use winit_host::Winit;

fn main() -> ExitCode {
    with_server(Server::xvfb, || conformance::main(|| Winit::new("winit on X11")))
}
