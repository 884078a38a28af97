//! Under both flows: the only unsafe code, each file with its own argument for it.

pub(crate) mod epoll;
pub(crate) mod stamp;
