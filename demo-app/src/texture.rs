//! From a worker's sealed memory to something that GTK draws.

use gtk4::{gdk, glib};
use tine::Shared;
use tine_viewer::protocol::{Drawing, PixelFormat};

use crate::level::Level;

/// Makes a texture of what a worker has drawn, without copying it. Works in any thread.
///
/// # Errors
///
/// The memory cannot be mapped; in words for people.
pub fn texture(drawing: Drawing) -> Result<gdk::Texture, String> {
    let layout = drawing.layout;
    let format = match layout.format {
        PixelFormat::Rgb8 => gdk::MemoryFormat::R8g8b8,
        PixelFormat::Rgba8Premultiplied => gdk::MemoryFormat::R8g8b8a8Premultiplied,
    };
    let (size, stride) = (layout.size, layout.stride as usize);
    Shared::from_fd(drawing.into())
        .and_then(|pixels| tine_gtk4::texture(pixels, size.width, size.height, stride, format))
        .map_err(|error| error.to_string())
}

/// Makes a picture of what a worker has drawn, without copying it, however large it is.
///
/// # Errors
///
/// As of [`texture`].
pub fn level(drawing: Drawing) -> Result<Level, String> {
    let layout = drawing.layout;
    let pixels = Shared::from_fd(drawing.into()).map_err(|error| error.to_string())?;
    Level::new(&glib::Bytes::from_owned(pixels), layout)
}
