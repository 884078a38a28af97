//! Flow 2, the other side: what runs in templates and in fresh processes.
//!
//! ```text
//! template: Template::run ──fork──▶ enter ─▶ orders ─▶ Run ─▶ entry(Worker) ─▶ last words ─▶ _exit
//!     ▲                               │
//!     └──────────── Serve ────────────┘   (a process that is forked itself)
//! ```
//!
//! Nothing here returns into the program: each of these processes leaves by `_exit`.

mod child;
mod enter;
mod execute;
mod group;
pub(crate) mod image;
mod items;
mod limit;
mod link;
mod object;
mod orders;
mod output;
mod prepare;
mod spare;
mod stderr;
mod template;
mod worker;

pub(crate) use enter::{Panic, catch};
pub(crate) use group::{is_a_templates as is_in_a_templates_group, leave as leave_group};
pub use items::{Item, Items};
pub(crate) use output::forget as forget_output;
pub(crate) use template::settle_and_serve;
pub use worker::Worker;

/// What an entry of a plugin is given.
pub(crate) fn worker(socket: std::os::unix::net::UnixStream, items: Vec<Item>) -> Worker {
    Worker::new(socket, items.into_iter().collect())
}
