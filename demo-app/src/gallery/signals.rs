//! Listening to a gallery until another one takes its place.

use super::Gallery;
use gtk4::glib;
use gtk4::prelude::*;

/// Handlers that are connected to a gallery until this is dropped.
pub struct Signals {
    gallery: Gallery,
    handlers: Vec<glib::SignalHandlerId>,
}

impl Signals {
    /// Nothing is listened to yet.
    pub fn of(gallery: &Gallery) -> Self {
        Self { gallery: gallery.clone(), handlers: Vec::new() }
    }

    /// Adds a handler.
    pub fn add(&mut self, connect: impl FnOnce(&Gallery) -> glib::SignalHandlerId) {
        self.handlers.push(connect(&self.gallery));
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            self.gallery.disconnect(handler);
        }
    }
}
