//! From a worker's sealed memory to something that GTK draws.

use gtk4::prelude::*;
use gtk4::{gdk, glib, gsk};
use std::sync::atomic::{AtomicBool, Ordering};
use tine::Shared;
use tine_viewer::layout::{Layout, PixelFormat};

use crate::level::Level;

/// Pixels that are turned into others here at most: that takes a few milliseconds.
const FEW: u64 = 4 << 20;

/// GTK draws with the processor. Until it is known it is thought to: its order of colours is as good for graphics
/// cards, but not the other way round.
static BY_PROCESSOR: AtomicBool = AtomicBool::new(true);

/// Says what draws textures from now on.
pub fn set_renderer(renderer: &gsk::Renderer) {
    BY_PROCESSOR.store(renderer.is::<gsk::CairoRenderer>(), Ordering::Relaxed);
}

/// Makes a texture of what a worker has drawn, without copying it, unless GTK would do so each
/// time it draws it. Works in any thread.
///
/// # Errors
///
/// The memory does not hold so many pixels; in words for people.
pub fn texture(pixels: Shared, layout: Layout) -> Result<gdk::Texture, String> {
    let format = match layout.format {
        PixelFormat::Rgb8 => gdk::MemoryFormat::R8g8b8,
        PixelFormat::Rgba8Premultiplied => gdk::MemoryFormat::R8g8b8a8Premultiplied,
    };
    let (size, stride) = (layout.size, layout.stride as usize);
    // A worker's word is not taken for it that rows have no gaps.
    let is_plain = pixels.len() as u64 == layout.len()
        && stride == size.width as usize * layout.format.bytes_per_pixel() as usize;
    if is_plain
        && size.pixels() <= FEW
        && let Some(texture) = for_processor(pixels.as_ref(), layout)
    {
        return Ok(texture);
    }
    tine_gtk4::texture(pixels, size.width, size.height, stride, format)
        .map_err(|error| error.to_string())
}

/// Makes a picture of what a worker has drawn, without copying it, however large it is.
///
/// # Errors
///
/// As of [`texture`].
pub fn level(pixels: Shared, layout: Layout) -> Result<Level, String> {
    Level::new(&glib::Bytes::from_owned(pixels), layout)
}

/// The same pixels in the one order of colours that cairo knows, if it is what draws: to any other GDK 4.8
/// comes by way of floating point, whenever it draws. `pixels` are of this layout.
fn for_processor(pixels: &[u8], layout: Layout) -> Option<gdk::Texture> {
    if !BY_PROCESSOR.load(Ordering::Relaxed) {
        return None;
    }
    let row = layout.size.width as usize * 4;
    let mut turned = vec![0_u8; row * layout.size.height as usize];
    let rows = turned.chunks_exact_mut(row).zip(pixels.chunks(layout.stride as usize));
    for (to, from) in rows {
        let to = to.as_chunks_mut::<4>().0.iter_mut();
        match layout.format {
            PixelFormat::Rgb8 => {
                for (to, &[red, green, blue]) in to.zip(from.as_chunks::<3>().0) {
                    *to = [blue, green, red, 255];
                }
            }
            PixelFormat::Rgba8Premultiplied => {
                for (to, &[red, green, blue, alpha]) in to.zip(from.as_chunks::<4>().0) {
                    *to = [blue, green, red, alpha];
                }
            }
        }
    }
    // On little-endian machines cairo's own; elsewhere it is as slow as before.
    let format = gdk::MemoryFormat::B8g8r8a8Premultiplied;
    let (width, height) = (layout.size.width as i32, layout.size.height as i32);
    let octets = glib::Bytes::from_owned(turned);
    Some(gdk::MemoryTexture::new(width, height, format, &octets, row).upcast())
}
