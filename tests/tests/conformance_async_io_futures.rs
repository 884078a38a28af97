//! The suite on async-io under the executor of the futures crates, which knows nothing of a reactor:
//! async-io's own thread waits there.

mod async_io_host;

fn main() -> std::process::ExitCode {
    async_io_host::main("async-io under futures", |future| futures_executor::block_on(future))
}
