//! The viewer on Wayland, by keys: sway without a screen, and wtype.

mod desktop;

use desktop::{Desktop, Sway, write_plain};
use std::fs;

const RED: [u8; 3] = [220, 30, 40];
const GREEN: [u8; 3] = [20, 180, 60];
const BLUE: [u8; 3] = [30, 60, 210];

/// More pixels than a tile has, and less than a picture in the window.
const LARGE: usize = 200 * 200;
/// Most of a tile.
const TILE: usize = 140 * 140;

/// K3: whole grid by keyboard, type-ahead, zoom, rotate, fullscreen, trash with undo:
/// all of it by Wayland's own input.
#[test]
fn pictures_are_gone_through_with_keys() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("colours");
    for (name, (width, height), color) in
        [("a.png", (1000, 800), RED), ("b.png", (600, 600), GREEN), ("c.png", (900, 600), BLUE)]
    {
        write_plain(&folder.join(name), width, height, color);
    }
    let sway = Sway::start(&desktop);
    let mut viewer = sway.view(&folder);
    sway.see("three tiles", |screen| {
        [RED, GREEN, BLUE].iter().all(|color| screen.has(*color, TILE / 2))
    });
    sway.press(&["c", "-k", "Return"]);
    sway.see("the blue one", |screen| screen.has(BLUE, LARGE) && !screen.has(RED, 100));
    sway.press(&["-k", "BackSpace", "-k", "BackSpace"]);
    let upright = sway.see("the red one", |screen| screen.has(RED, LARGE) && !screen.has(GREEN, 9));
    sway.press(&["-k", "F11"]);
    let windowed = upright.pixels_of(RED);
    sway.see("more room for it", |screen| screen.has(RED, windowed * 11 / 10));
    sway.press(&["-k", "F11"]);
    sway.see("as it was", |screen| screen.pixels_of(RED).abs_diff(windowed) < windowed / 20);
    sway.press(&["-M", "ctrl", "r", "-m", "ctrl"]);
    let turned = sway.see("it turned", |screen| {
        screen.has(RED, LARGE) && screen.pixels_of(RED) < windowed * 9 / 10
    });
    sway.press(&["-k", "plus", "-k", "plus"]);
    sway.see("it larger", |screen| screen.has(RED, turned.pixels_of(RED) + 1000));
    sway.press(&["-k", "Delete"]);
    sway.see("the next one", |screen| screen.has(GREEN, LARGE) && !screen.has(RED, 100));
    assert!(!folder.join("a.png").exists());
    sway.press(&["-k", "Escape", "-M", "ctrl", "z", "-m", "ctrl"]);
    sway.see("all of them", |screen| {
        [RED, GREEN, BLUE].iter().all(|color| screen.has(*color, TILE / 2))
    });
    assert!(folder.join("a.png").exists());
    sway.press(&["-M", "ctrl", "w", "-m", "ctrl"]);
    let status = viewer.wait().expect("the viewer can be waited for");
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
}
