//! Flow 2, the app's side: templates, processes being prepared, and what becomes of them.
//!
//! ```text
//! Template ──fork──▶ Process ──run──▶ Running ──▶ Exit
//!                                       │ job: Waiting ─▶ Asked ─▶ Started ─▶ Running ─▶ told
//! Link: one per template and thread: asks the template, hears from it
//! ```

mod early;
mod exit;
mod job;
mod link;
mod obstacles;
mod reaper;
mod running;
mod spawn;
mod state;
mod template;

pub use exit::{Cause, Exit};
pub use running::Running;
pub use spawn::Process;
pub use template::Template;
