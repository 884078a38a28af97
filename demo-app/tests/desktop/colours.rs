//! Pictures of one colour each, which are easily told on a screen, and a viewer that shows them.

use std::path::{Path, PathBuf};

use super::{Desktop, Hand, write_plain};

pub const RED: [u8; 3] = [220, 30, 40];
pub const GREEN: [u8; 3] = [20, 180, 60];
pub const BLUE: [u8; 3] = [30, 60, 210];
pub const COLORS: [[u8; 3]; 3] = [RED, GREEN, BLUE];
/// Of the frame around a window that takes what is dragged.
pub const ACCENT: [u8; 3] = [53, 132, 228];

/// More pixels than a tile has, and less than a picture in the window.
pub const LARGE: usize = 200 * 200;
/// Most of a tile.
pub const TILE: usize = 140 * 140;

/// Writes a picture of each colour: a.png, b.png and c.png.
pub fn write_colours(folder: &Path) {
    for (name, color) in ["a.png", "b.png", "c.png"].into_iter().zip(COLORS) {
        write_plain(&folder.join(name), 400, 400, color);
    }
}

/// A folder of these.
pub fn colours(desktop: &Desktop) -> PathBuf {
    let folder = desktop.pictures("colours");
    write_colours(&folder);
    folder
}

/// Starts a viewer of such a size that three pictures are in its first row.
pub fn view<'a>(desktop: &'a Desktop, path: &Path) -> Hand<'a> {
    let mut viewer = desktop.viewer();
    viewer.args(["--size", "900x650"]).arg(path);
    Hand::start(desktop, viewer)
}

/// Looks until a tile of each colour is seen.
#[track_caller]
pub fn see_grid(hand: &Hand<'_>) {
    hand.see("three tiles", |screen| {
        COLORS.iter().all(|color| (TILE..LARGE).contains(&screen.pixels_of(*color)))
    });
}

/// Looks until one colour fills the window, and nothing is seen of the others.
#[track_caller]
pub fn see_large(hand: &Hand<'_>, color: [u8; 3]) {
    hand.see("one picture", |screen| {
        let others = COLORS.iter().filter(|other| **other != color);
        screen.has(color, LARGE) && others.into_iter().all(|other| !screen.has(*other, 100))
    });
}
