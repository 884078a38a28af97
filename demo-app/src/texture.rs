//! From a worker's sealed memory to something that GTK draws.

use gtk4::prelude::*;
use gtk4::{gdk, glib, gsk};
use std::sync::atomic::{AtomicBool, Ordering};
use tine::Shared;
use tine_viewer::layout::{Layout, PixelFormat};

use crate::level::Level;

/// Pixels that are turned into others here at most: that takes a few milliseconds.
const FEW: u64 = 4 << 20;

/// GTK draws with the processor. Until it is known it is thought to: what is good for that is as good for graphics
/// cards, but not the other way round.
static BY_PROCESSOR: AtomicBool = AtomicBool::new(true);

/// Says what draws textures from now on.
pub fn set_renderer(renderer: &gsk::Renderer) {
    BY_PROCESSOR.store(renderer.is::<gsk::CairoRenderer>(), Ordering::Relaxed);
}

/// Whether the processor draws, as far as is known.
pub fn is_by_processor() -> bool {
    BY_PROCESSOR.load(Ordering::Relaxed)
}

/// Makes a texture of what a worker has drawn, without copying it, unless GTK would do more than that each
/// time it draws it. Works in any thread.
///
/// # Errors
///
/// The memory does not hold so many pixels; in words for people.
pub fn texture(pixels: Shared, layout: Layout) -> Result<gdk::Texture, String> {
    let (size, stride) = (layout.size, layout.stride as usize);
    // A worker's word is not taken for it that the pixels are all there.
    if pixels.len() as u64 >= layout.len()
        && size.pixels() <= FEW
        && let Some(texture) = straight(pixels.as_ref(), layout)
    {
        return Ok(texture);
    }
    tine_gtk4::texture(pixels, size.width, size.height, stride, memory_format(layout.format))
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

/// The same in GDK's words.
pub fn memory_format(format: PixelFormat) -> gdk::MemoryFormat {
    match format {
        PixelFormat::Rgb8 => gdk::MemoryFormat::R8g8b8,
        PixelFormat::Rgba8Premultiplied => gdk::MemoryFormat::R8g8b8a8Premultiplied,
    }
}

/// The same pixels with colours that are not multiplied by their opacity, if some are to be seen through and the
/// processor draws: GDK 4.8 multiplies them again in a third of the time in which it brings any others, cairo's own
/// among them, through floating point. Of colours without opacity it makes cairo's at once. `pixels` are of this
/// layout.
pub fn straight(pixels: &[u8], layout: Layout) -> Option<gdk::Texture> {
    let row = layout.size.width as usize * 4;
    let has_opacity = layout.format == PixelFormat::Rgba8Premultiplied;
    if !has_opacity || !is_by_processor() || (layout.stride as usize) < row {
        return None;
    }
    let mut turned = Vec::with_capacity(row * layout.size.height as usize);
    for from in pixels.chunks(layout.stride as usize).take(layout.size.height as usize) {
        turned.extend(from.as_chunks::<4>().0[..row / 4].iter().flat_map(|pixel| divided(*pixel)));
    }
    let (width, height) = (layout.size.width as i32, layout.size.height as i32);
    let octets = glib::Bytes::from_owned(turned);
    let format = gdk::MemoryFormat::R8g8b8a8;
    Some(gdk::MemoryTexture::new(width, height, format, &octets, row).upcast())
}

/// A pixel whose colours, multiplied by its opacity and rounded, are these again.
fn divided([red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
    if alpha == 0 || alpha == 255 {
        return [red, green, blue, alpha];
    }
    let whole = u32::from(alpha);
    let by = |color: u8| ((u32::from(color) * 255 + whole / 2) / whole).min(255) as u8;
    [by(red), by(green), by(blue), alpha]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tine_viewer::layout::Size;

    /// What GTK draws, in any order of colours, is what came.
    #[test]
    fn colours_come_through() {
        let size = Size::new(256, 256);
        let layout = Layout { size, stride: 4 * 256, format: PixelFormat::Rgba8Premultiplied };
        // Each opacity with each colour that it may have.
        let pixel = |at: u32| {
            let (color, alpha) = (at % 256, at / 256);
            let (color, rest) = (color.min(alpha) as u8, alpha.saturating_sub(color) as u8);
            [color, rest, 0, alpha as u8]
        };
        let pixels: Vec<u8> = (0..65_536).flat_map(pixel).collect();
        let texture = straight(&pixels, layout).expect("nobody knows yet what draws");
        let mut drawn = vec![0; pixels.len()];
        texture.download(&mut drawn, 4 * 256);
        for (came, drawn) in pixels.as_chunks::<4>().0.iter().zip(drawn.as_chunks::<4>().0) {
            // Blue, green, red, alpha on the machines there are.
            assert_eq!(*drawn, [came[2], came[1], came[0], came[3]]);
        }
    }
}
