//! Beneath both flows: without the feature `testing`, nothing fails but by itself.

/// See `fault.rs`.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Born,
    Preparing,
    Entering,
    Leaving,
    Asked,
    Told,
}

pub(crate) fn socket() -> rustix::io::Result<bool> {
    Ok(false)
}

pub(crate) fn fork() -> rustix::io::Result<()> {
    Ok(())
}

pub(crate) fn process_at(_: Stage) {}

pub(crate) fn template_at(_: Stage) {}
