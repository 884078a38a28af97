//! A picture at one size, as textures beside each other. Of a large one the graphics card gets what is in
//! view, a piece at a time, and not a hundred million pixels in the middle of a frame.

use gtk4::prelude::*;
use gtk4::{gdk, glib, graphene};
use tine_viewer::layout::Layout;

use crate::seen;
use crate::texture::memory_format;

/// Width and height of a piece, in pixels. Larger ones take longer than a frame to reach the graphics
/// card, of smaller ones there are many in view.
const PIECE: u32 = 1024;

/// Pixels of a picture of which no halved one is made.
const SMALL: u64 = 2 << 20;

/// A picture at one size.
#[derive(Clone, Debug)]
pub struct Level {
    whole: gdk::Texture,
    /// The octets that it lies in, if they are at hand.
    pixels: Option<(glib::Bytes, Layout)>,
    /// None if the whole is no larger than a piece or two.
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    left: u32,
    top: u32,
    texture: gdk::Texture,
}

impl From<gdk::Texture> for Level {
    fn from(whole: gdk::Texture) -> Self {
        Self { whole, pixels: None, pieces: Vec::new() }
    }
}

impl Level {
    /// The picture that lies in `octets` as `layout` says. Nothing is copied.
    ///
    /// # Errors
    ///
    /// There are less octets than that; in words for people.
    pub fn new(octets: &glib::Bytes, layout: Layout) -> Result<Self, String> {
        let (width, height) = (layout.size.width, layout.size.height);
        if (octets.len() as u64) < layout.len() || layout.is_empty() {
            return Err(format!("{} octets are no {width}×{height} pixels", octets.len()));
        }
        let mut pieces = Vec::new();
        if layout.size.pixels() > 2 * u64::from(PIECE * PIECE) {
            for top in (0..height).step_by(PIECE as usize) {
                for left in (0..width).step_by(PIECE as usize) {
                    let size = (PIECE.min(width - left), PIECE.min(height - top));
                    let texture = part(octets, layout, (left, top), size);
                    pieces.push(Piece { left, top, texture });
                }
            }
        }
        let whole = part(octets, layout, (0, 0), (width, height));
        Ok(Self { whole, pixels: Some((octets.clone(), layout)), pieces })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.whole.width() as u32
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.whole.height() as u32
    }

    /// All of it, in its own pixels.
    pub fn area(&self) -> graphene::Rect {
        graphene::Rect::new(0.0, 0.0, self.width() as f32, self.height() as f32)
    }

    /// All of it.
    pub fn whole(&self) -> &gdk::Texture {
        &self.whole
    }

    /// The octets that it lies in, if they are at hand.
    pub fn pixels(&self) -> Option<(&glib::Bytes, Layout)> {
        self.pixels.as_ref().map(|(octets, layout)| (octets, *layout))
    }

    /// The same at half the size, half of that, and so on, until it is small enough to be drawn as a whole. It takes
    /// longer than a frame.
    pub fn halves(&self) -> Vec<Self> {
        let mut halves = Vec::new();
        let mut last = self.pixels.clone();
        while let Some((octets, layout)) = last.filter(|(_, layout)| layout.size.pixels() > SMALL) {
            last = seen::half(&octets, layout);
            halves
                .extend(last.iter().filter_map(|(octets, layout)| Self::new(octets, *layout).ok()));
        }
        halves
    }

    /// Draws what of it is to be seen. `place` gives the place of a part of the picture, in its pixels.
    pub fn draw(
        &self,
        snapshot: &gtk4::Snapshot,
        visible: &graphene::Rect,
        place: impl Fn(&graphene::Rect) -> graphene::Rect,
    ) {
        let one = [Piece { left: 0, top: 0, texture: self.whole.clone() }];
        let pieces = if self.pieces.is_empty() { &one[..] } else { &self.pieces };
        for Piece { left, top, texture } in pieces {
            let (width, height) = (texture.width() as f32, texture.height() as f32);
            let area = place(&graphene::Rect::new(*left as f32, *top as f32, width, height));
            if area.intersection(visible).is_some() {
                snapshot.append_texture(texture, &area);
            }
        }
    }
}

/// A part of the picture, which lies in the same octets. It is within the layout.
pub fn part(
    octets: &glib::Bytes,
    layout: Layout,
    (left, top): (u32, u32),
    (width, height): (u32, u32),
) -> gdk::Texture {
    let (depth, stride) = (layout.format.bytes_per_pixel() as usize, layout.stride as usize);
    let start = top as usize * stride + left as usize * depth;
    let end = start + (height as usize - 1) * stride + width as usize * depth;
    let octets = glib::Bytes::from_bytes(octets, start..end);
    gdk::MemoryTexture::new(
        width as i32,
        height as i32,
        memory_format(layout.format),
        &octets,
        stride,
    )
    .upcast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tine_viewer::layout::{PixelFormat, Size};

    fn layout(width: u32, height: u32) -> Layout {
        Layout { size: Size::new(width, height), stride: 3 * width, format: PixelFormat::Rgb8 }
    }

    #[test]
    fn pieces_cover_the_picture_and_share_its_octets() {
        let layout = layout(2500, 1100);
        let mut pixels = vec![0; layout.len() as usize];
        let at = (1050 * layout.stride + 2400 * 3) as usize;
        pixels[at..at + 3].copy_from_slice(&[1, 2, 3]);
        let level = Level::new(&glib::Bytes::from_owned(pixels), layout).unwrap();
        assert_eq!((level.width(), level.height(), level.pieces.len()), (2500, 1100, 6));
        let sizes = level.pieces.iter().map(|piece| piece.texture.width() * piece.texture.height());
        assert_eq!(sizes.sum::<i32>(), 2500 * 1100);
        let last = &level.pieces[5];
        assert_eq!((last.left, last.top), (2048, 1024));
        let mut downloaded = vec![0; (last.texture.width() * last.texture.height() * 4) as usize];
        last.texture.download(&mut downloaded, 4 * last.texture.width() as usize);
        let at = (26 * 4 * last.texture.width() + 352 * 4) as usize;
        // Blue, green, red, alpha on the machines there are.
        assert_eq!(downloaded[at..at + 4], [3, 2, 1, 255]);
    }

    #[test]
    fn small_ones_are_one_piece_and_lies_are_refused() {
        let pixels = glib::Bytes::from_owned(vec![0; 3 * 100]);
        assert!(Level::new(&pixels, layout(10, 10)).unwrap().pieces.is_empty());
        assert!(Level::new(&pixels, layout(10, 11)).is_err());
        assert!(Level::new(&pixels, layout(10, 0)).is_err());
    }
}
