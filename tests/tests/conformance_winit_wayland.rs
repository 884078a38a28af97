//! The suite on winit on Wayland, which is weston.

mod winit_host;

use std::process::ExitCode;
use tine_tests::conformance;
use tine_tests::servers::{Server, with_server};
use winit_host::Winit;

fn main() -> ExitCode {
    with_server(Server::weston, || conformance::main(|| Winit::new("winit on Wayland")))
}
