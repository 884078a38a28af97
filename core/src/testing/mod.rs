//! Beside both flows: what programs use in tests of their own. Only with the feature `testing`.
//!
//! [`audit`] looks for what a template and its workers have that they should not: descriptors of a careless
//! library, blocked signals, threads, a toolkit that came to life before the fork.
//!
//! [`Faults`] make forks, sockets and processes fail where they would by themselves, once in a while.

mod audit;
mod look;

pub use crate::fault::{Faults, Stage};
pub use audit::{Audit, audit, audit_then};
