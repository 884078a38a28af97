//! The part of the viewer that never meets the toolkit: what its workers do, what travels between them
//! and the window, and the pool that they are.
//!
//! A worker may only use what is here, so that nothing of GTK runs in it.

pub mod chunk;
pub mod decoders;
pub mod layout;
pub mod message;
pub mod worker;
