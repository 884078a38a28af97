//! What is seen of a picture, where the processor draws: it is scaled here, in one go and no more of it than the window
//! shows. Cairo would do so a piece at a time, and GDK would first copy all pixels of each piece.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use gtk4::{gdk, glib, graphene};
use tine_viewer::layout::{Layout, PixelFormat, Size};

use crate::level::part;
use crate::texture::straight;
use crate::zoom::Pair;

/// A picture that is reduced more is not looked at pixel by pixel: that would take longer than a frame. There are
/// halved ones soon.
const MOST: f64 = 2.01;

/// A part of a picture, and the size to draw it in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// In the picture's pixels.
    corner: Pair,
    size: Pair,
    /// In those of the screen.
    to: Size,
}

impl View {
    /// What is visible of a picture of this size that fills `area`, and where that lies. The areas have `scale` pixels
    /// of the screen in each of their units, and begin and end on one.
    pub fn of(
        picture: Size,
        area: &graphene::Rect,
        visible: &graphene::Rect,
        scale: f64,
    ) -> Option<(Self, graphene::Rect)> {
        let span = |picture, [area, visible]: [_; 2]| Span::of(picture, area, visible, scale);
        let across = span(picture.width, [area, visible].map(|rect| (rect.x(), rect.width())))?;
        let down = span(picture.height, [area, visible].map(|rect| (rect.y(), rect.height())))?;
        let view = Self {
            corner: (across.from, down.from),
            size: (across.length, down.length),
            to: Size::new(across.pixels, down.pixels),
        };
        let place = |pixels: u32| (f64::from(pixels) / scale) as f32;
        let (width, height) = (place(across.pixels), place(down.pixels));
        Some((view, graphene::Rect::new(across.at, down.at, width, height)))
    }

    /// Draws it.
    pub fn draw(
        &self,
        resizer: &mut Resizer,
        octets: &glib::Bytes,
        layout: Layout,
    ) -> Option<gdk::Texture> {
        if self.size == (f64::from(self.to.width), f64::from(self.to.height)) {
            let corner = (self.corner.0.round() as u32, self.corner.1.round() as u32);
            return Some(texture(octets, layout, corner, self.to));
        }
        let reduced =
            (self.size.0 / f64::from(self.to.width)).max(self.size.1 / f64::from(self.to.height));
        let way = match reduced > MOST {
            true => ResizeAlg::Nearest,
            false => ResizeAlg::Convolution(FilterType::Bilinear),
        };
        let (drawn, layout) =
            scale(resizer, octets, layout, (self.corner, self.size), self.to, way)?;
        Some(texture(&drawn, layout, (0, 0), self.to))
    }
}

/// A part of a picture, in its own pixels, for the processor to draw.
fn texture(octets: &glib::Bytes, layout: Layout, corner: (u32, u32), size: Size) -> gdk::Texture {
    let [left, top, stride, depth] =
        [corner.0, corner.1, layout.stride, layout.format.bytes_per_pixel()].map(|n| n as usize);
    let straight = straight(&octets[top * stride + left * depth..], Layout { size, ..layout });
    straight.unwrap_or_else(|| part(octets, layout, corner, (size.width, size.height)))
}

/// Half of a picture's width and height, from which it is drawn when it is reduced as much; `None` if its rows have
/// gaps.
pub fn half(octets: &glib::Bytes, layout: Layout) -> Option<(glib::Bytes, Layout)> {
    let Size { width, height } = layout.size;
    let all = ((0.0, 0.0), (f64::from(width), f64::from(height)));
    let to = Size::new(width.div_ceil(2), height.div_ceil(2));
    scale(&mut Resizer::new(), octets, layout, all, to, ResizeAlg::Convolution(FilterType::Box))
}

fn scale(
    resizer: &mut Resizer,
    octets: &[u8],
    layout: Layout,
    ((left, top), (width, height)): (Pair, Pair),
    to: Size,
    way: ResizeAlg,
) -> Option<(glib::Bytes, Layout)> {
    let pixel = match layout.format {
        PixelFormat::Rgb8 => PixelType::U8x3,
        PixelFormat::Rgba8Premultiplied => PixelType::U8x4,
    };
    let octets = octets.get(..layout.len() as usize)?;
    // It refuses rows with gaps.
    let source = ImageRef::new(layout.size.width, layout.size.height, octets, pixel).ok()?;
    let mut target = Image::new(to.width, to.height, pixel);
    let options = ResizeOptions::new().crop(left, top, width, height).resize_alg(way);
    resizer.resize(&source, &mut target, &options.use_alpha(false)).ok()?;
    let stride = to.width * layout.format.bytes_per_pixel();
    Some((glib::Bytes::from_owned(target.into_vec()), Layout { size: to, stride, ..layout }))
}

/// One direction of a view.
struct Span {
    /// Where it begins, in the areas' units.
    at: f32,
    /// How many pixels of the screen it has.
    pixels: u32,
    /// Where it begins in the picture, and its length there.
    from: f64,
    length: f64,
}

impl Span {
    fn of(picture: u32, area: (f32, f32), visible: (f32, f32), scale: f64) -> Option<Self> {
        let [area, visible] = [area, visible]
            .map(|(start, length)| (f64::from(start), f64::from(start) + f64::from(length)));
        let all = ((area.1 - area.0) * scale).round();
        let each = f64::from(picture) / all;
        // What lies beside it has a part in its first and last pixels.
        let beside = ((2.0 / each).ceil() + 1.0) / scale;
        let (start, end) = (area.0.max(visible.0 - beside), area.1.min(visible.1 + beside));
        let pixels = ((end - start) * scale).round();
        if !(pixels >= 1.0 && all >= 1.0) {
            return None;
        }
        let from = ((start - area.0) * scale).round() * each;
        let length = (pixels * each).min(f64::from(picture) - from);
        (length > 0.0).then_some(Self { at: start as f32, pixels: pixels as u32, from, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gtk4::prelude::*;

    const SIZE: Size = Size::new(64, 48);

    fn rect(x: f32, y: f32, width: f32, height: f32) -> graphene::Rect {
        graphene::Rect::new(x, y, width, height)
    }

    /// Red says the column, green the row.
    fn picture() -> (glib::Bytes, Layout) {
        let pixel = |at: u32| [(at % SIZE.width * 4) as u8, (at / SIZE.width * 5) as u8, 9];
        let octets: Vec<u8> = (0..SIZE.width * SIZE.height).flat_map(pixel).collect();
        let octets = glib::Bytes::from_owned(octets);
        (octets, Layout { size: SIZE, stride: 3 * SIZE.width, format: PixelFormat::Rgb8 })
    }

    /// Red and green of what is drawn, row by row.
    fn drawn(view: View) -> Vec<(u8, u8)> {
        let (octets, layout) = picture();
        let texture = view.draw(&mut Resizer::new(), &octets, layout).unwrap();
        let row = texture.width() as usize * 4;
        let mut pixels = vec![0; row * texture.height() as usize];
        texture.download(&mut pixels, row);
        // Blue, green, red, alpha on the machines there are.
        pixels.as_chunks::<4>().0.iter().map(|pixel| (pixel[2], pixel[1])).collect()
    }

    #[test]
    fn each_pixel_is_its_own_at_natural_size() {
        let (area, visible) = (rect(-20.0, -10.0, 64.0, 48.0), rect(-10.0, -5.0, 20.0, 10.0));
        let (view, at) = View::of(SIZE, &area, &visible, 1.0).unwrap();
        // With what lies beside it.
        assert_eq!(at, rect(-13.0, -8.0, 26.0, 16.0));
        let drawn = drawn(view);
        assert_eq!(drawn.len(), 26 * 16);
        for (place, pixel) in drawn.into_iter().enumerate() {
            let (x, y) = (7 + place % 26, 2 + place / 26);
            assert_eq!(pixel, (x as u8 * 4, y as u8 * 5));
        }
    }

    #[test]
    fn no_more_is_drawn_than_is_seen_and_it_lies_where_it_did() {
        for zoom in [0.3, 0.6, 1.7, 20.0] {
            let side = |pixels: u32| (pixels as f32 * zoom).round();
            let area = rect(-side(64) / 2.0, -side(48) / 2.0, side(64), side(48));
            let visible = rect(-6.0, -4.0, 12.0, 8.0);
            let (view, at) = View::of(SIZE, &area, &visible, 2.0).unwrap();
            assert!(view.to.width <= 2 * (12 + 2 * 44) && view.to.height <= 2 * (8 + 2 * 44));
            let drawn = drawn(view);
            // The pixel in the middle of the view is that in the middle of the picture.
            let middle =
                |start: f32, end: f32| ((0.0 - start) * 2.0).min((end - start) * 2.0) as usize;
            let x = middle(at.x(), at.x() + at.width());
            let y = middle(at.y(), at.y() + at.height());
            let (red, green) = drawn[y * view.to.width as usize + x];
            assert!(
                red.abs_diff(32 * 4) < 16 && green.abs_diff(24 * 5) < 20,
                "{zoom}: {red} {green}"
            );
        }
    }

    #[test]
    fn what_is_out_of_sight_is_not_drawn() {
        assert!(
            View::of(SIZE, &rect(0.0, 0.0, 64.0, 48.0), &rect(200.0, 0.0, 9.0, 9.0), 1.0).is_none()
        );
        assert!(
            View::of(SIZE, &rect(0.0, 0.0, 0.0, 48.0), &rect(0.0, 0.0, 9.0, 9.0), 1.0).is_none()
        );
    }

    #[test]
    fn a_half_has_the_means_of_four() {
        let (octets, layout) = picture();
        let (half, layout) = half(&octets, layout).unwrap();
        assert_eq!((layout.size, layout.stride), (Size::new(32, 24), 96));
        for (place, pixel) in half.as_chunks::<3>().0.iter().enumerate() {
            let (x, y) = (place % 32, place / 32);
            let (red, green) = (x * 8 + 2, y * 10 + 2);
            assert!(pixel[0].abs_diff(red as u8) <= 1 && pixel[1].abs_diff(green as u8) <= 1);
        }
    }
}
