//! Beside both flows: what programs use in tests of their own. Only with the feature `testing`.
//!
//! [`audit`] looks for what a template and its workers have that they should not: descriptors of a careless
//! library, blocked signals, threads, a toolkit that came to life before the fork.

mod audit;
mod look;

pub use audit::{Audit, audit, audit_then};
