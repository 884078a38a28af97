//! Under both flows: the only unsafe code, what the C library has and no safe crate binds.
//!
//! Each file allows `unsafe` for itself and says at its top what makes it sound. What a platform must
//! provide is Linux 5.11 (epoll_pwait2) and later: memfd, pidfd, close_range, signalfd.

mod apart;
pub(crate) mod code;
pub(crate) mod descriptors;
pub(crate) mod destructors;
mod environment;
pub(crate) mod epoll;
mod executed;
mod fork;
pub(crate) mod handler;
pub(crate) mod heap;
pub(crate) mod library;
pub(crate) mod loader;
pub(crate) mod map;
pub(crate) mod message;
pub(crate) mod pidfd;
pub(crate) mod plugin;
pub(crate) mod program;
mod raw;
pub(crate) mod relay;
pub(crate) mod rights;
mod sandbox;
mod signals;
pub(crate) mod stamp;
pub(crate) mod startup;
mod threads;
pub(crate) mod title;
pub(crate) mod toolkit;

pub(crate) use apart::Apart;
pub(crate) use environment::{
    is_environment, is_locale, locale, remove_variable, replace_environment, set_locale,
    set_variable, tzset,
};
pub(crate) use executed::{has_executed, is_numbered_alike};
pub(crate) use fork::{
    Forked, Reaped, ended, exit_now, fork, fork_with, give_way, group, on_exit, reap, umask,
};
pub(crate) use sandbox::{leave_namespaces, limit};
pub(crate) use signals::{child_signals, default_signals, ignore_broken_pipes, signal};
pub(crate) use threads::{is_single_threaded, look_up as look_up_threads};
