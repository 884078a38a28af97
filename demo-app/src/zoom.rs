//! Where a picture lies in the area that shows it: fitted into it, or at a scale of its own and moved
//! about. Numbers only.

/// A point, or a width and a height, in logical pixels.
pub type Pair = (f64, f64);

/// No picture is enlarged more.
const LARGEST: f64 = 20.0;
/// Each pixel of the picture is one of the screen.
pub const NATURAL: f64 = 1.0;
/// One step in or out.
pub const STEP: f64 = 1.25;

/// How a picture lies in its area.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    /// The picture's size when each of its pixels is one of the screen, turned as it is shown.
    picture: Pair,
    area: Pair,
    /// Its own scale; without one the picture is fitted into the area, and not enlarged.
    own: Option<f64>,
    /// The point of the picture in the middle of the area, as parts of its size.
    middle: Pair,
}

impl Default for Zoom {
    fn default() -> Self {
        Self { picture: (1.0, 1.0), area: (1.0, 1.0), own: None, middle: (0.5, 0.5) }
    }
}

impl Zoom {
    /// Another picture, or the same one turned: fitted into the area.
    pub fn set_picture(&mut self, size: Pair) {
        *self = Self {
            picture: (size.0.max(1.0), size.1.max(1.0)),
            area: self.area,
            ..Self::default()
        };
    }

    /// The same picture turns out to be of another size. One that is fitted stays so; of one that was scaled
    /// the same part is shown, unless its pixels were to be seen one by one.
    pub fn correct_picture(&mut self, size: Pair) {
        let (before, middle) = (*self, self.middle);
        self.set_picture(size);
        if let Some(scale) = before.own {
            let same = scale * before.picture.0 / self.picture.0;
            self.set_scale(if scale == NATURAL { scale } else { same }, None);
            self.middle = middle;
            self.keep_in();
        }
    }

    /// The area has this size now.
    pub fn set_area(&mut self, size: Pair) {
        self.area = (size.0.max(1.0), size.1.max(1.0));
        self.keep_in();
    }

    /// Pixels of the screen for a pixel of the picture.
    pub fn scale(&self) -> f64 {
        self.own.unwrap_or_else(|| self.fitting())
    }

    /// Whether the picture is fitted into the area.
    pub fn is_fitted(&self) -> bool {
        self.own.is_none()
    }

    /// Whether there is more of the picture than the area shows.
    pub fn is_larger_than_area(&self) -> bool {
        let (width, height) = self.size();
        width > self.area.0 + 0.5 || height > self.area.1 + 0.5
    }

    /// Fits the picture into the area.
    pub fn fit(&mut self) {
        self.own = None;
        self.middle = (0.5, 0.5);
    }

    /// Scales the picture, with the point of it that lies at `at` staying there. `None` is the middle.
    pub fn set_scale(&mut self, scale: f64, at: Option<Pair>) {
        let at = at.unwrap_or((self.area.0 / 2.0, self.area.1 / 2.0));
        let scale = scale.clamp(self.fitting().min(1.0), LARGEST);
        let (point, size) = (self.point(at), (self.picture.0 * scale, self.picture.1 * scale));
        self.own = Some(scale);
        let middle = |point: f64, at: f64, area: f64, size: f64| point - (at - area / 2.0) / size;
        self.middle = (
            middle(point.0, at.0, self.area.0, size.0),
            middle(point.1, at.1, self.area.1, size.1),
        );
        self.keep_in();
    }

    /// Moves the picture.
    pub fn pan(&mut self, by: Pair) {
        let (width, height) = self.size();
        self.middle = (self.middle.0 - by.0 / width, self.middle.1 - by.1 / height);
        self.keep_in();
    }

    /// The picture's top left corner in the area.
    pub fn corner(&self) -> Pair {
        let (width, height) = self.size();
        (self.area.0 / 2.0 - self.middle.0 * width, self.area.1 / 2.0 - self.middle.1 * height)
    }

    /// The picture's size in the area.
    pub fn size(&self) -> Pair {
        (self.picture.0 * self.scale(), self.picture.1 * self.scale())
    }

    fn fitting(&self) -> f64 {
        (self.area.0 / self.picture.0).min(self.area.1 / self.picture.1).min(1.0)
    }

    /// The part of the picture at a point of the area.
    fn point(&self, at: Pair) -> Pair {
        let ((x, y), (width, height)) = (self.corner(), self.size());
        ((at.0 - x) / width, (at.1 - y) / height)
    }

    /// No side of the picture comes further into the area than it must.
    fn keep_in(&mut self) {
        let (width, height) = self.size();
        let keep = |middle: f64, area: f64, size: f64| {
            let half = area / 2.0 / size;
            if half >= 0.5 { 0.5 } else { middle.clamp(half, 1.0 - half) }
        };
        self.middle =
            (keep(self.middle.0, self.area.0, width), keep(self.middle.1, self.area.1, height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoom(picture: Pair, area: Pair) -> Zoom {
        let mut zoom = Zoom::default();
        zoom.set_area(area);
        zoom.set_picture(picture);
        zoom
    }

    #[test]
    fn a_picture_is_fitted_and_never_enlarged_for_it() {
        let large = zoom((4000.0, 2000.0), (1000.0, 1000.0));
        assert_eq!((large.scale(), large.corner()), (0.25, (0.0, 250.0)));
        let small = zoom((100.0, 50.0), (1000.0, 1000.0));
        assert_eq!((small.scale(), small.corner()), (1.0, (450.0, 475.0)));
        assert!(!large.is_larger_than_area() && !small.is_larger_than_area());
    }

    #[test]
    fn the_point_under_the_pointer_stays() {
        let mut zoom = zoom((4000.0, 2000.0), (1000.0, 1000.0));
        let at = (300.0, 600.0);
        zoom.set_scale(1.0, Some(at));
        let before = zoom.point(at);
        zoom.set_scale(2.0, Some(at));
        let after = zoom.point(at);
        assert!((before.0 - after.0).abs() < 1e-9 && (before.1 - after.1).abs() < 1e-9);
        assert!(zoom.is_larger_than_area());
    }

    #[test]
    fn it_is_moved_to_its_sides_and_no_further() {
        let mut zoom = zoom((4000.0, 500.0), (1000.0, 1000.0));
        zoom.set_scale(1.0, None);
        zoom.pan((1e6, 1e6));
        assert_eq!(zoom.corner(), (0.0, 250.0));
        zoom.pan((-1e6, -100.0));
        assert_eq!(zoom.corner(), (-3000.0, 250.0));
        zoom.set_area((5000.0, 1000.0));
        assert_eq!(zoom.corner(), (500.0, 250.0));
    }

    #[test]
    fn who_came_closer_before_the_size_was_known_stays_there() {
        let area = (1000.0, 1000.0);
        let mut fitted = zoom((5120.0, 2560.0), area);
        fitted.correct_picture((4000.0, 2000.0));
        assert_eq!(fitted, zoom((4000.0, 2000.0), area));
        let mut closer = zoom((5120.0, 2560.0), area);
        closer.set_scale(0.5, None);
        closer.pan((300.0, 100.0));
        let (corner, size) = (closer.corner(), closer.size());
        closer.correct_picture((4000.0, 2000.0));
        assert_eq!((closer.corner(), closer.size()), (corner, size));
        closer.set_scale(NATURAL, None);
        closer.correct_picture((3000.0, 1500.0));
        assert_eq!(closer.size(), (3000.0, 1500.0));
    }

    #[test]
    fn the_scale_has_limits() {
        let mut zoom = zoom((4000.0, 2000.0), (1000.0, 1000.0));
        zoom.set_scale(0.0, None);
        assert_eq!(zoom.scale(), 0.25);
        zoom.set_scale(1e9, None);
        assert_eq!(zoom.scale(), LARGEST);
        zoom.fit();
        assert!(zoom.is_fitted());
    }
}
