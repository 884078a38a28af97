//! The suite on async-io, in its own `block_on`, which is smol's.

mod async_io_host;

fn main() -> std::process::ExitCode {
    async_io_host::main("async-io", |future| async_io::block_on(future))
}
