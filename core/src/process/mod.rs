//! Flow 2, the app's side: templates, processes being prepared, and what becomes of them.
//!
//! ```text
//! Template ──fork──▶ Process ──run──▶ Running ──▶ Exit
//!    ▲                  │ into_template
//!    └──────────────────┘
//!                                       │ job: Waiting ─▶ Asked ─▶ Started ─▶ Running ─▶ told
//! Link: one per template and thread: asks the template, hears from it
//! ```

mod body;
mod call;
mod command;
mod early;
mod exit;
mod image;
mod job;
mod life;
mod link;
mod listing;
mod obstacles;
mod orphans;
mod prepared;
mod reaper;
mod recipe;
mod remote;
mod running;
mod said;
mod spawn;
mod state;
mod template;

#[cfg(feature = "testing")]
pub(crate) use call::answer;
pub use call::call;
pub use command::{Command, Spawned, Stdio};
pub use exit::{Cause, Exit};
pub use listing::{Phase, Underway, overview};
pub use running::Running;
pub use spawn::Process;
pub use template::{Report, Template, template};
