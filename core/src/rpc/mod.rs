//! Flow 2, typed: requests to a worker, and its replies, events and errors.
//!
//! A worker's entry [serves](serve) requests; the app's [`Client`] makes them. Types are whatever `serde` takes.
//! Descriptors ([`Fd`]) and shared memory ([`Shared`](crate::Shared)) travel inside of them, in order.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use tine::rpc;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Crop { picture: rpc::Fd, side: u32 }
//!
//! // worker.rs
//! tine::entry!(pub CROP = crop);
//!
//! fn crop(worker: tine::Worker) -> tine::Result<()> {
//!     // Here a worker prepares itself.
//!     rpc::serve(worker, |request: Crop, caller| -> tine::Result<tine::Shared> {
//!         let mut pixels = tine::SharedMut::new(4 * (request.side * request.side) as usize)?;
//!         pixels.fill(0xff);
//!         caller.event("half done")?;
//!         pixels.share()
//!     })
//!     // And here it tidies up: the app has dropped its client.
//! }
//!
//! // The app
//! # fn show(_: tine::Shared) {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let template = tine::Template::early()?;
//! let worker = rpc::Client::<Crop, tine::Shared>::builder()
//!     .on_event(|progress: String| println!("{progress}"))
//!     .on_error(|why| eprintln!("no more pictures: {why}"))
//!     .run(template.fork(), CROP);
//! let picture = std::fs::File::open("picture.ppm")?.into();
//! worker.call(&Crop { picture, side: 64 }, |pixels| match pixels {
//!     Ok(pixels) => show(pixels),
//!     Err(why) => eprintln!("{why}"),
//! });
//! # Ok(()) }
//! ```
//!
//! # Every call is settled exactly once
//!
//! With its reply; with the handler's error or panic, after which the worker lives on; with the account of the
//! worker's end; or with what was wrong with the worker. Callbacks run in `dispatch` only.
//!
//! # Bounds
//!
//! | who is slow | what is held | and then |
//! |---|---|---|
//! | the worker | in the app, the [backlog](Builder::backlog) and one request | requests are refused |
//! | the app | in a [sync](serve) worker, one message | the worker waits |
//! | the app | in an [async](serve_async) worker, 256 KiB and one message | no requests are read; what sends waits |
//!
//! To which a socket adds what the kernel lets it hold, some 200 KiB each way. The app reads 64 KiB of a worker's
//! at a time, and no message that is longer than the [limit](Builder::limit).
//!
//! # A worker that cannot be trusted
//!
//! Whatever it sends, the app keeps within these bounds. What is no message, or no value of the right type, or
//! answers what was not asked, or brings descriptors that no message has, ends the channel: the worker is killed,
//! every call gets [`Error::Lost`], and [`on_error`](Builder::on_error) hears once. Memory that is not sealed is
//! refused before it is mapped. Types that contain themselves are decoded as deep as the worker says, and lists
//! of values without octets (`Vec<()>`) as long: leave both out of replies.

mod calls;
mod carried;
mod channel;
mod client;
mod concurrent;
mod error;
mod format;
mod frame;
pub(crate) mod fuzz;
mod inbox;
mod outbox;
mod server;
mod session;

pub use calls::Call;
pub use carried::Fd;
pub use client::{Builder, Client};
pub use concurrent::{Responder, serve_async};
pub use error::Error;
pub use format::Format;
pub use server::{Caller, Server, serve};
pub use session::Events;

/// The build that both sides are if the program does not say: that of tine, whose protocol it is.
const BUILD: &str = concat!("tine ", env!("CARGO_PKG_VERSION"));
/// Octets of a message, unless the program says otherwise.
const LIMIT: usize = 16 << 20;
/// Octets that wait in the app, unless the program says otherwise.
const BACKLOG: usize = 1 << 20;
/// Requests that an async worker takes in, unless the program says otherwise.
const CONCURRENT: usize = 64;
