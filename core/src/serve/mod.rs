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
mod link;
mod orders;
mod stderr;
mod template;
mod worker;

pub(crate) use template::begin;
pub use worker::{Item, Worker};
