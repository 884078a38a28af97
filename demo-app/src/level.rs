//! A picture at one size, as textures beside each other. Of a large one the graphics card gets what is in
//! view, a piece at a time, and not a hundred million pixels in the middle of a frame. Where the processor
//! draws, the pieces in view are kept in its order of colours, or GDK would put them into it in each frame.

use gtk4::prelude::*;
use gtk4::{gdk, glib, graphene};
use std::cell::RefCell;
use std::rc::Rc;
use tine_viewer::layout::{Layout, PixelFormat, Size};

use crate::texture::for_processor;

/// Width and height of a piece, in pixels. Larger ones take longer than a frame to reach the graphics
/// card, of smaller ones there are many in view.
const PIECE: u32 = 1024;

/// A picture at one size. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Level {
    whole: gdk::Texture,
    /// One, if the whole is no larger than a piece or two.
    pieces: Rc<[Piece]>,
}

#[derive(Debug)]
struct Piece {
    left: u32,
    top: u32,
    texture: gdk::Texture,
    /// Its pixels, which may be in another order than they are drawn in.
    pixels: Option<(glib::Bytes, Layout)>,
    /// The same in that order, while it is in view.
    drawn: RefCell<Option<gdk::Texture>>,
}

impl From<gdk::Texture> for Level {
    fn from(whole: gdk::Texture) -> Self {
        let drawn = RefCell::default();
        let piece = Piece { left: 0, top: 0, texture: whole.clone(), pixels: None, drawn };
        Self { whole, pieces: Rc::new([piece]) }
    }
}

impl Level {
    /// The picture that lies in `octets` as `layout` says. Nothing is copied before it is drawn.
    ///
    /// # Errors
    ///
    /// There are less octets than that; in words for people.
    pub fn new(octets: &glib::Bytes, layout: Layout) -> Result<Self, String> {
        let (width, height) = (layout.size.width, layout.size.height);
        if (octets.len() as u64) < layout.len() || layout.is_empty() {
            return Err(format!("{} octets are no {width}×{height} pixels", octets.len()));
        }
        let side = match layout.size.pixels() > 2 * u64::from(PIECE * PIECE) {
            true => PIECE,
            false => width.max(height),
        };
        let mut pieces = Vec::new();
        for top in (0..height).step_by(side as usize) {
            for left in (0..width).step_by(side as usize) {
                let size = Size::new(side.min(width - left), side.min(height - top));
                pieces.push(Piece::new(octets, layout, (left, top), size));
            }
        }
        let whole = texture(octets, layout);
        Ok(Self { whole, pieces: pieces.into() })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.whole.width() as u32
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.whole.height() as u32
    }

    /// All of it.
    pub fn whole(&self) -> &gdk::Texture {
        &self.whole
    }

    /// Draws what of it is to be seen. `place` gives the place of a part of the picture, in its pixels.
    pub fn draw(
        &self,
        snapshot: &gtk4::Snapshot,
        visible: &graphene::Rect,
        place: impl Fn(&graphene::Rect) -> graphene::Rect,
    ) {
        for (texture, area) in self.in_view(visible, place) {
            snapshot.append_texture(&texture, &area);
        }
    }

    /// The pieces that are to be seen, and where. Of the others no more is kept than their pixels.
    fn in_view(
        &self,
        visible: &graphene::Rect,
        place: impl Fn(&graphene::Rect) -> graphene::Rect,
    ) -> impl Iterator<Item = (gdk::Texture, graphene::Rect)> {
        self.pieces.iter().filter_map(move |piece| {
            let Size { width, height } = piece.size();
            let (left, top) = (piece.left as f32, piece.top as f32);
            let area = place(&graphene::Rect::new(left, top, width as f32, height as f32));
            if area.intersection(visible).is_none() {
                piece.drawn.take();
                return None;
            }
            Some((piece.to_draw(), area))
        })
    }

    /// Keeps no more of it than is needed to draw it again: another one is drawn instead.
    pub fn rest(&self) {
        self.pieces.iter().for_each(|piece| drop(piece.drawn.take()));
    }

    /// Whether it is the very same picture.
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.pieces, &other.pieces)
    }
}

impl Piece {
    /// A part of the picture, which lies in the same octets. It is within the layout.
    fn new(octets: &glib::Bytes, layout: Layout, (left, top): (u32, u32), size: Size) -> Self {
        let Layout { stride, format, .. } = layout;
        let depth = format.bytes_per_pixel();
        let start = top as usize * stride as usize + (left * depth) as usize;
        let rows = (size.height as usize - 1) * stride as usize;
        let end = start + rows + (size.width * depth) as usize;
        let (octets, layout) =
            (glib::Bytes::from_bytes(octets, start..end), Layout { size, ..layout });
        let texture = texture(&octets, layout);
        Self { left, top, texture, pixels: Some((octets, layout)), drawn: RefCell::default() }
    }

    fn size(&self) -> Size {
        Size::new(self.texture.width() as u32, self.texture.height() as u32)
    }

    fn to_draw(&self) -> gdk::Texture {
        let mut drawn = self.drawn.borrow_mut();
        if drawn.is_none() {
            *drawn =
                self.pixels.as_ref().and_then(|(octets, layout)| for_processor(octets, *layout));
        }
        drawn.as_ref().unwrap_or(&self.texture).clone()
    }
}

fn texture(octets: &glib::Bytes, layout: Layout) -> gdk::Texture {
    let format = match layout.format {
        PixelFormat::Rgb8 => gdk::MemoryFormat::R8g8b8,
        PixelFormat::Rgba8Premultiplied => gdk::MemoryFormat::R8g8b8a8Premultiplied,
    };
    let (width, height) = (layout.size.width as i32, layout.size.height as i32);
    gdk::MemoryTexture::new(width, height, format, octets, layout.stride as usize).upcast()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_in_view_is_kept_as_it_is_drawn() {
        let layout = layout(2500, 1100);
        let pixels = glib::Bytes::from_owned(vec![7; layout.len() as usize]);
        let level = Level::new(&pixels, layout).unwrap();
        let visible = graphene::Rect::new(1000.0, 0.0, 100.0, 100.0);
        let kept = || level.pieces.iter().map(|piece| piece.drawn.borrow().is_some());
        assert_eq!(level.in_view(&visible, |part| *part).count(), 2);
        assert_eq!(kept().collect::<Vec<_>>(), [true, true, false, false, false, false]);
        let elsewhere = graphene::Rect::new(2400.0, 1050.0, 10.0, 10.0);
        assert_eq!(level.in_view(&elsewhere, |part| *part).count(), 1);
        assert_eq!(kept().collect::<Vec<_>>(), [false, false, false, false, false, true]);
        level.rest();
        assert!(!kept().any(|is_kept| is_kept));
    }

    #[test]
    fn small_ones_are_one_piece_and_lies_are_refused() {
        let pixels = glib::Bytes::from_owned(vec![0; 3 * 100]);
        assert_eq!(Level::new(&pixels, layout(10, 10)).unwrap().pieces.len(), 1);
        assert!(Level::new(&pixels, layout(10, 11)).is_err());
        assert!(Level::new(&pixels, layout(10, 0)).is_err());
    }
}
