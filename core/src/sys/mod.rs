//! Under both flows: the only unsafe code, what the C library has and no safe crate binds.
//!
//! Each file allows `unsafe` for itself and says at its top what makes it sound. What a platform must
//! provide is Linux 5.9 (close_range) and later: memfd, pidfd, epoll, signalfd.

mod environment;
mod fork;
mod signals;

pub(crate) use environment::{locale, replace_environment, set_locale, tzset};
pub(crate) use fork::{Forked, Reaped, exit_now, fork, on_exit, reap};
pub(crate) use signals::{child_signals, default_signals};

pub(crate) mod descriptors;
pub(crate) mod toolkit;
