//! What the viewer shows that is no picture: why there is none, its keys, and what it is.

mod desktop;

use desktop::colours::{ACCENT, BLUE, GREEN, LARGE, RED, TILE, view};
use desktop::{Desktop, Hand, Reader, write_plain};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// From one tile to the next.
const CELL: u32 = 221;

/// The viewer without what root may do beyond others, who cannot read what is locked.
fn view_as_others<'a>(desktop: &'a Desktop, path: &Path) -> Hand<'a> {
    if !rustix::process::getuid().is_root() {
        return view(desktop, path);
    }
    let mut viewer = Command::new("setpriv");
    viewer.args([
        "--bounding-set=-dac_override,-dac_read_search",
        "timeout",
        "--kill-after=5",
        "300",
    ]);
    desktop.at_home(viewer.arg(env!("CARGO_BIN_EXE_tine-viewer")).arg(path));
    Hand::start(desktop, viewer)
}

/// K3: status pages for what cannot be read, for what is empty, and for names that nothing has; the way back.
#[test]
fn it_is_said_why_there_is_nothing_to_see() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("some");
    for name in ["1-locked", "2-empty"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::set_permissions(folder.join("1-locked"), fs::Permissions::from_mode(0o000)).unwrap();
    write_plain(&folder.join("a.png"), 300, 300, RED);
    let reader = Reader::start(&desktop);
    let hand = view_as_others(&desktop, &folder);
    reader.hear_text("a.png");
    hand.press(&["Home", "Return"]);
    reader.hear_text("This Folder Cannot Be Read");
    reader.hear("the reason", |told| told.name.ends_with("/1-locked: permission denied"));
    // Where one comes from has the keyboard: the next one is the empty one.
    hand.press(&["alt+Up"]);
    reader.hear("the way back", |told| {
        told.name == "1-locked, folder" && told.states.contains("focused")
    });
    hand.press(&["Right", "Return"]);
    reader.hear_text("There are no pictures here");
    hand.press(&["alt+Up"]);
    reader.hear_text("a.png");
    hand.press(&["ctrl+f", "z", "q"]);
    reader.hear_text("No Results Found");
    hand.press(&["Escape"]);
    reader.hear_text("a.png");
    hand.close();
    fs::set_permissions(folder.join("1-locked"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// K3: a folder that goes while it is shown is not an empty one; and what cannot be trashed stays, with the reason.
#[test]
fn what_goes_and_what_does_not_is_told() {
    let desktop = Desktop::start();
    let folder = desktop
        .pictures("a folder with a long name, so that it takes all of the room that there is");
    write_plain(&folder.join("a.png"), 300, 300, RED);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let reader = Reader::start(&desktop);
    let hand = view_as_others(&desktop, &folder);
    reader.hear_text("a.png");
    hand.press(&["Home", "Delete"]);
    reader.hear_text("Not moved to the trash: Permission denied");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let away = desktop.path("away");
    fs::rename(&folder, &away).unwrap();
    reader.hear_text("This Folder Cannot Be Read");
    reader.hear("the reason", |told| told.name.ends_with(": does not exist"));
    fs::create_dir(&folder).unwrap();
    reader.hear_text("There are no pictures here");
    fs::remove_dir(&folder).unwrap();
    reader.hear_text("This Folder Cannot Be Read");
    fs::rename(&away, &folder).unwrap();
    reader.hear_text("a.png");
    hand.close();
}

/// K3: a picture that cannot be trashed stays in view.
#[test]
fn who_cannot_trash_a_picture_still_sees_it() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("kept");
    write_plain(&folder.join("a.png"), 300, 300, RED);
    write_plain(&folder.join("b.png"), 300, 300, GREEN);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let reader = Reader::start(&desktop);
    let hand = view_as_others(&desktop, &folder);
    reader.hear_text("a.png");
    hand.press(&["Home", "Return"]);
    hand.see("the picture alone", |screen| screen.has(RED, LARGE) && !screen.has(GREEN, 100));
    hand.press(&["Delete"]);
    reader.hear_text("Not moved to the trash: Permission denied");
    hand.see("the picture alone", |screen| screen.has(RED, LARGE) && !screen.has(GREEN, 100));
    hand.close();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// K3: shortcuts window, about window; the keyboard is the grid's again afterwards.
#[test]
fn keys_and_makers_are_told() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("one");
    write_plain(&folder.join("a.png"), 300, 300, RED);
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    reader.hear_text("a.png");
    hand.press(&["F1"]);
    for key in ["Open Folder", "Fullscreen", "Rotate Right"] {
        reader.hear(key, |told| told.role == "label" && told.name == key);
    }
    hand.press(&["Escape"]);
    hand.focus();
    hand.press(&["F10", "a"]);
    reader.hear_text("Tine Viewer");
    reader.hear_text(env!("CARGO_PKG_VERSION"));
    hand.press(&["Escape"]);
    hand.focus();
    hand.press(&["Home", "Return"]);
    reader.hear("the picture", |told| told.role == "image" && told.name == "a.png");
    hand.close();
}

/// K3: the properties of several files are those of all together, and thumbnails grow and shrink by keys.
#[test]
fn several_files_are_summed_up() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("three");
    let octets: u64 = ["a.png", "b.png", "c.png"]
        .iter()
        .map(|name| {
            write_plain(&folder.join(name), 300, 300, RED);
            folder.join(name).metadata().unwrap().len()
        })
        .sum();
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    reader.hear_text("c.png");
    let tiles = |side: usize| 3 * side * side * 9 / 10..=3 * side * side;
    hand.see("tiles", |screen| tiles(160).contains(&screen.pixels_of(RED)));
    hand.press(&["ctrl+minus", "ctrl+minus"]);
    hand.see("smaller tiles", |screen| tiles(96).contains(&screen.pixels_of(RED)));
    hand.press(&["ctrl+plus"]);
    hand.see("larger tiles", |screen| tiles(128).contains(&screen.pixels_of(RED)));
    hand.press(&["ctrl+0"]);
    hand.see("tiles as at first", |screen| tiles(160).contains(&screen.pixels_of(RED)));
    hand.press(&["ctrl+a", "alt+Return"]);
    reader.hear_text("Number");
    reader.hear("three", |told| told.role == "label" && told.name == "3");
    let size = gtk4::glib::format_size(octets).to_string();
    reader.hear("their size", |told| told.role == "label" && told.name == size);
    hand.press(&["Escape"]);
    hand.focus();
    hand.close();
}

/// K3: open a folder by drop: it is shown instead of what was there.
#[test]
fn a_folder_is_dropped_on_the_window() {
    let desktop = Desktop::start();
    let (above, other) = (desktop.pictures("above"), desktop.pictures("other"));
    fs::create_dir(above.join("below")).unwrap();
    write_plain(&above.join("a.png"), 400, 400, RED);
    write_plain(&above.join("below/b.png"), 400, 400, BLUE);
    let second = view(&desktop, &other);
    second.put_window((1000, 0));
    // With a report it is a process of its own.
    let mut viewer = desktop.viewer();
    viewer.args(["--size", "900x650", "--report"]).arg(desktop.path("report.json")).arg(&above);
    let hand = Hand::start(&desktop, viewer);
    let (x, y) = hand.see("a tile", |screen| screen.has(RED, TILE)).middle_of(RED);
    hand.take_to((x - CELL, y), (1500, 400));
    // The window says that it would take it.
    hand.see_while_dragging((1500, 400), "a frame", |screen| screen.has(ACCENT, 2000));
    hand.let_go();
    hand.see("what is in it", |screen| screen.has(BLUE, TILE) && screen.has(RED, TILE));
    hand.close();
    second.focus();
    second.close();
}
