//! From a worker's sealed memory to something that GTK draws.

use gtk4::prelude::*;
use gtk4::{gdk, glib};
use tine_viewer::protocol::{Drawing, PixelFormat};

/// Makes a texture of what a worker has drawn.
///
/// The pixels are copied once: mapping the memory would take `unsafe`, which a crate that shows
/// pictures should not need. Works in any thread, and large pictures are better made in another.
///
/// # Errors
///
/// The memory cannot be read; in words for people.
pub fn texture(drawing: &Drawing) -> Result<gdk::Texture, String> {
    let pixels = drawing.to_bytes().map_err(|error| format!("no pixels: {error}"))?;
    let layout = &drawing.layout;
    let format = match layout.format {
        PixelFormat::Rgb8 => gdk::MemoryFormat::R8g8b8,
        PixelFormat::Rgba8Premultiplied => gdk::MemoryFormat::R8g8b8a8Premultiplied,
    };
    let (width, height) = (layout.size.width as i32, layout.size.height as i32);
    let pixels = glib::Bytes::from_owned(pixels);
    Ok(gdk::MemoryTexture::new(width, height, format, &pixels, layout.stride as usize).upcast())
}
