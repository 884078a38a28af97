//! The part of the viewer that never meets the toolkit: what its workers do, and what travels
//! between them and the window.
//!
//! A worker may only use what is here, so that nothing of GTK runs in it.

pub mod protocol;
pub mod worker;
