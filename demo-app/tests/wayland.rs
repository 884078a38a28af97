//! The viewer on Wayland, by keys and pointer: sway without a screen, wtype, and a virtual mouse.

mod desktop;

use desktop::colours::{ACCENT, BLUE, GREEN, LARGE, RED, TILE};
use desktop::{Desktop, Screen, Sway, write_plain};
use std::fs;

/// Behind a tile that is selected.
const SELECTED: [u8; 3] = [206, 223, 245];
/// Of the screen.
const MIDDLE: (u32, u32) = (450, 350);

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
    let mut viewer = sway.view(&[&folder]);
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

/// K3: a click selects, a double click opens and zooms, the wheel scrolls the grid and goes to the next picture,
/// dragging moves what is larger than the window: all of it by Wayland's own pointer.
#[test]
fn pictures_are_gone_through_with_the_pointer() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("many");
    let halves =
        image::RgbImage::from_fn(3000, 2000, |x, _| image::Rgb(if x < 1500 { RED } else { BLUE }));
    halves.save(folder.join("00.png")).unwrap();
    write_plain(&folder.join("01.png"), 600, 600, RED);
    for number in 2..60 {
        fs::hard_link(folder.join("01.png"), folder.join(format!("{number:02}.png"))).unwrap();
    }
    write_plain(&folder.join("60.png"), 600, 600, GREEN);
    let sway = Sway::start(&desktop);
    let mut pointer = sway.pointer();
    let mut viewer = sway.view(&[&folder]);
    let at_start = |screen: &Screen| screen.has(RED, 8 * TILE) && screen.has(BLUE, 8000);
    sway.see("the first tiles", at_start);
    pointer.scroll(MIDDLE, 60);
    let last = sway.see("the last tile", |screen| screen.has(GREEN, TILE) && !screen.has(BLUE, 9));
    let selected = |screen: &Screen| screen.has(SELECTED, 9000);
    assert!(!selected(&last), "nothing is selected");
    pointer.click(last.middle_of(GREEN), 1);
    sway.see("it selected", selected);
    pointer.scroll(MIDDLE, -60);
    let first = sway.see("the first tiles again", at_start);
    pointer.click(first.middle_of(BLUE), 2);
    let is_whole = |screen: &Screen| screen.has(RED, LARGE) && screen.has(BLUE, LARGE);
    let red = sway.see("both halves", is_whole).middle_of(RED);
    pointer.click(red, 2);
    sway.see("each pixel", |screen| screen.has(RED, 8 * LARGE) && !screen.has(BLUE, 100));
    for _ in 0..4 {
        pointer.take_to((700, 300), (100, 300));
        pointer.let_go();
    }
    sway.see("the other half", |screen| screen.has(BLUE, 8 * LARGE) && !screen.has(RED, 100));
    // Whether the whole picture has come or is still on its way.
    pointer.click(MIDDLE, 2);
    sway.see("both halves again", is_whole);
    pointer.scroll(MIDDLE, 1);
    sway.see("the next one", |screen| screen.has(RED, 3 * LARGE) && !screen.has(BLUE, 100));
    pointer.scroll(MIDDLE, -1);
    sway.see("the one before", is_whole);
    sway.press(&["-M", "ctrl", "w", "-m", "ctrl"]);
    let status = viewer.wait().expect("the viewer can be waited for");
    assert!(status.success(), "{status}");
}

/// K3: drag out, and drop onto the window: from one viewer to another, by Wayland's own means.
#[test]
fn a_tile_is_dragged_to_another_program() {
    let desktop = Desktop::start();
    let (here, there) = (desktop.pictures("here"), desktop.pictures("there"));
    write_plain(&here.join("a.png"), 600, 600, GREEN);
    write_plain(&there.join("x.png"), 600, 600, BLUE);
    let sway = Sway::start(&desktop);
    let mut pointer = sway.pointer();
    let mut first = sway.view(&[&here]);
    sway.see("its tile", |screen| screen.has(GREEN, TILE));
    // With a report it is a process of its own.
    let report = desktop.path("report.json");
    let mut second = sway.view(&["--report".as_ref(), &report, &there]);
    let tiles =
        sway.see("both, side by side", |screen| screen.has(GREEN, TILE) && screen.has(BLUE, TILE));
    let (from, to) = (tiles.middle_of(GREEN), tiles.middle_of(BLUE));
    assert!(from.0 < 450 && to.0 > 450, "{from:?} {to:?}");
    pointer.take_to(from, (to.0, 500));
    sway.see("a frame", |screen| screen.has(ACCENT, 1000));
    pointer.let_go();
    sway.see("what was dropped", |screen| screen.has(GREEN, 2 * LARGE) && !screen.has(BLUE, 9));
    sway.close_all();
    for viewer in [&mut first, &mut second] {
        let status = viewer.wait().expect("the viewer can be waited for");
        assert!(status.success(), "{status}");
    }
}
