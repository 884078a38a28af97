//! The viewer as a person uses it: with keys and pointer, looking at the screen.

mod desktop;

use desktop::colours::{BLUE, GREEN, LARGE, RED, TILE, see_grid, see_large, view};
use desktop::{Desktop, Hand, Reader, Screen, write_plain};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Width and height of a thumbnail.
const SIDE: usize = 160;

/// Three pictures of a colour each: a.png, b.png and c.png; the latter the largest file and the oldest.
fn colours(desktop: &Desktop) -> PathBuf {
    let folder = desktop.pictures("colours");
    for (name, side, color) in [("a.png", 400, RED), ("b.png", 600, GREEN), ("c.png", 800, BLUE)] {
        write_plain(&folder.join(name), side, side, color);
    }
    folder
}

#[test]
fn pictures_are_opened_and_left_and_gone_through() {
    let desktop = Desktop::start();
    let hand = view(&desktop, &colours(&desktop));
    see_grid(&hand);
    hand.press(&["Home", "Return"]);
    see_large(&hand, RED);
    for (key, color) in [
        ("Right", GREEN),
        ("space", BLUE),
        ("BackSpace", GREEN),
        ("Home", RED),
        ("End", BLUE),
        ("Left", GREEN),
    ] {
        hand.press(&[key]);
        see_large(&hand, color);
    }
    hand.press(&["Escape"]);
    see_grid(&hand);
    // Where it came from has the keyboard.
    hand.press(&["Return"]);
    see_large(&hand, GREEN);
    hand.close();
}

#[test]
fn typing_goes_to_a_name_and_a_double_click_opens() {
    let desktop = Desktop::start();
    let hand = view(&desktop, &colours(&desktop));
    see_grid(&hand);
    hand.press(&["c", "Return"]);
    see_large(&hand, BLUE);
    hand.press(&["Escape"]);
    let middle = hand
        .see("the grid", |screen| (TILE..LARGE).contains(&screen.pixels_of(GREEN)))
        .middle_of(GREEN);
    hand.click(middle, "2");
    see_large(&hand, GREEN);
    hand.close();
}

#[test]
fn a_picture_is_zoomed_and_turned() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("halves");
    let halves =
        image::RgbImage::from_fn(1600, 400, |x, _| image::Rgb(if x < 800 { RED } else { BLUE }));
    halves.save(folder.join("a.png")).unwrap();
    let hand = view(&desktop, &folder.join("a.png"));
    let whole = hand.see("both halves", |screen| screen.has(RED, LARGE) && screen.has(BLUE, LARGE));
    let (red, blue) = (whole.middle_of(RED), whole.middle_of(BLUE));
    assert!(red.0 + 100 < blue.0 && red.1.abs_diff(blue.1) < 5, "{red:?} {blue:?}");
    let fitted = whole.pixels_of(RED);
    hand.press(&["1"]);
    hand.see("each pixel", |screen| screen.has(RED, fitted * 3 / 2));
    // To its right end, and no further: the window shows a little more than half of it.
    hand.press(&["Right"; 12]);
    hand.see("the right half", |screen| {
        screen.has(BLUE, 3 * fitted) && screen.has(RED, 100) && !screen.has(RED, fitted / 2)
    });
    hand.press(&["0", "ctrl+r"]);
    hand.see("red above blue", |screen| {
        let (red, blue) = (screen.middle_of(RED), screen.middle_of(BLUE));
        screen.has(RED, 1000) && red.1 + 100 < blue.1 && red.0.abs_diff(blue.0) < 5
    });
    hand.close();
}

#[test]
fn trash_can_be_undone() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    hand.press(&["Home", "Right", "Delete"]);
    hand.see("no green tile", |screen| !screen.has(GREEN, 100) && screen.has(BLUE, TILE));
    assert!(!folder.join("b.png").exists());
    hand.press(&["ctrl+z"]);
    see_grid(&hand);
    assert!(folder.join("b.png").exists());
    // One after the other, and back again: the last one first.
    hand.press(&["Home", "Delete"]);
    hand.see("no red tile", |screen| !screen.has(RED, 100) && screen.has(GREEN, TILE));
    hand.press(&["Home", "Delete"]);
    hand.see("the blue tile alone", |screen| !screen.has(GREEN, 100) && screen.has(BLUE, TILE));
    hand.press(&["ctrl+z"]);
    hand.see("the green tile again", |screen| screen.has(GREEN, TILE) && !screen.has(RED, 100));
    hand.press(&["ctrl+z"]);
    see_grid(&hand);
    // All of them, and one of them from the picture itself.
    hand.press(&["Home", "Return"]);
    see_large(&hand, RED);
    hand.press(&["Delete"]);
    see_large(&hand, GREEN);
    hand.press(&["Escape", "ctrl+a", "Delete"]);
    hand.see("no tiles", |screen| [RED, GREEN, BLUE].iter().all(|color| !screen.has(*color, 100)));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    hand.close();
}

/// K3. Names are octets, of no encoding.
#[test]
fn what_has_an_odd_name_comes_back_from_the_trash() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("odd");
    let path = folder.join(OsStr::from_bytes(b"a\n\xff%41\\x41.png"));
    write_plain(&folder.join("b.png"), 400, 400, GREEN);
    fs::rename(folder.join("b.png"), &path).unwrap();
    write_plain(&folder.join("b.png"), 400, 400, RED);
    let hand = view(&desktop, &folder);
    let see_both = || hand.see("both", |screen| screen.has(GREEN, TILE) && screen.has(RED, TILE));
    see_both();
    hand.press(&["Home", "Delete"]);
    hand.see("no green tile", |screen| !screen.has(GREEN, 100) && screen.has(RED, TILE));
    assert!(!path.exists());
    hand.press(&["ctrl+z"]);
    see_both();
    assert!(path.exists());
    hand.close();
}

/// K3: trash is for pictures: a folder stays, also when it is chosen with them, or has a name like one.
#[test]
fn folders_are_not_moved_to_the_trash() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    for name in ["below", "z.png"] {
        fs::create_dir(folder.join(name)).unwrap();
        write_plain(&folder.join(name).join("only.png"), 700, 700, RED);
    }
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    // Folders come first.
    hand.press(&["Home", "Delete"]);
    reader.hear_text("Folders stay where they are");
    // A picture's name becomes a folder's.
    fs::remove_file(folder.join("a.png")).unwrap();
    fs::create_dir(folder.join("a.png")).unwrap();
    write_plain(&folder.join("a.png/only.png"), 700, 700, RED);
    hand.see("no red tile", |screen| !screen.has(RED, 100));
    hand.press(&["ctrl+a", "Delete"]);
    hand.see("no tiles", |screen| [RED, GREEN, BLUE].iter().all(|color| !screen.has(*color, 100)));
    reader.hear_text("2 files moved to the trash");
    let mut left: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.png", "below", "z.png"]);
    assert!(left.iter().all(|name| folder.join(name).join("only.png").exists()));
    hand.press(&["ctrl+z"]);
    hand.see("two tiles", |screen| screen.has(GREEN, TILE) && screen.has(BLUE, TILE));
    hand.close();
}

/// K3. Each says so, and takes back what was said before, faster than a message comes or goes.
#[test]
fn trash_and_undo_follow_one_another_at_once() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    for number in 0..12 {
        write_plain(&folder.join(format!("d{number}.png")), 300, 300, RED);
    }
    let hand = view(&desktop, &folder.join("c.png"));
    see_large(&hand, BLUE);
    for _ in 0..3 {
        for _ in 0..12 {
            hand.press(&["Delete"]);
        }
        hand.see("no blue picture", |screen| !screen.has(BLUE, 100));
        hand.press(&["Escape"]);
        for pace in 0..12 {
            match pace % 3 {
                0 => hand.press_at_once(&["ctrl+z"]),
                _ => hand.press(&["ctrl+z"]),
            }
        }
        // All of them are back: it is the third of all.
        hand.press(&["Home"]);
        hand.see("the blue tile again", |screen| (TILE..LARGE).contains(&screen.pixels_of(BLUE)));
        hand.press(&["Right", "Right", "Return"]);
        see_large(&hand, BLUE);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 15);
    hand.close();
}

#[test]
fn names_are_filtered() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    fs::create_dir(folder.join("b and others")).unwrap();
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    // The letter comes before there is an entry to see.
    hand.press_at_once(&["ctrl+f", "b"]);
    hand.see("the green tile alone", |screen| {
        screen.has(GREEN, TILE) && !screen.has(RED, 100) && !screen.has(BLUE, 100)
    });
    reader.hear_text("1 of 3 pictures");
    hand.press(&["x"]);
    hand.see("nothing", |screen| [RED, GREEN, BLUE].iter().all(|color| !screen.has(*color, 100)));
    hand.press(&["Escape"]);
    see_grid(&hand);
    reader.hear_text("3 pictures");
    hand.close();
}

#[test]
fn order_and_size_are_remembered() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let settings = desktop.path("config/tine-viewer/settings.ini");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(&settings, "[viewer]\nsort=size\nthumbnails=96\nstyle=dark\n").unwrap();
    let hand = view(&desktop, &folder);
    let screen = hand.see("small tiles", |screen| {
        [RED, GREEN, BLUE]
            .iter()
            .all(|color| (80 * 80..100 * 100).contains(&screen.pixels_of(*color)))
    });
    // The largest file comes first.
    let [red, green, blue] = [RED, GREEN, BLUE].map(|color| screen.middle_of(color).0);
    assert!(blue < green && green < red, "{blue} {green} {red}");
    hand.close();
    let written = fs::read_to_string(&settings).unwrap();
    for line in ["sort=size", "thumbnails=96", "style=dark", "reversed=false", "maximized=false"] {
        assert!(written.contains(line), "{line} in {written}");
    }
}

#[test]
fn what_happens_in_the_folder_is_seen() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    hand.press(&["End"]);
    fs::remove_file(folder.join("b.png")).unwrap();
    hand.see("no green tile", |screen| !screen.has(GREEN, 100));
    write_plain(&folder.join("a.png"), 500, 500, GREEN);
    hand.see("red turned green", |screen| screen.has(GREEN, TILE) && !screen.has(RED, 100));
    write_plain(&folder.join("d.png"), 500, 500, RED);
    see_grid(&hand);
    // The picture that had the keyboard has it still.
    hand.press(&["Return"]);
    see_large(&hand, BLUE);
    hand.close();
}

#[test]
fn folders_are_entered_and_left() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    fs::create_dir(folder.join("below")).unwrap();
    write_plain(&folder.join("below/only.png"), 700, 700, RED);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    hand.press(&["Home", "Return"]);
    hand.see("what is below", |screen| screen.has(RED, TILE) && !screen.has(BLUE, 100));
    hand.press(&["alt+Up"]);
    see_grid(&hand);
    // Where one comes from has the keyboard.
    hand.press(&["Return"]);
    hand.see("what is below", |screen| screen.has(RED, TILE) && !screen.has(BLUE, 100));
    hand.close();
}

/// A folder with so many pictures, all alike and blue.
fn alike(desktop: &Desktop, count: usize) -> PathBuf {
    let folder = desktop.pictures("alike");
    write_plain(&folder.join("0.png"), 900, 900, BLUE);
    for number in 1..count {
        fs::hard_link(folder.join("0.png"), folder.join(format!("{number}.png")))
            .expect("a link in the temporary folder");
    }
    folder
}

/// Whether the screen shows two rows and a half of so many blue tiles, and no tile without its thumbnail.
fn has_full_rows(screen: &Screen, tiles: usize) -> bool {
    let rows = screen.rows_of(BLUE);
    let full = rows.iter().filter(|row| **row == tiles * SIDE).count();
    full > 2 * SIDE + SIDE / 2 && rows.iter().all(|row| [0, tiles * SIDE].contains(row))
}

/// K3: the window can be made wide, and narrow again.
#[test]
fn the_window_is_made_wide_and_narrow() {
    let desktop = Desktop::start();
    let hand = view(&desktop, &alike(&desktop, 60));
    hand.see("four columns", |screen| has_full_rows(screen, 4));
    hand.widen_window_to(1600);
    hand.see("eight columns", |screen| has_full_rows(screen, 8));
    hand.widen_window_to(500);
    hand.see("two columns", |screen| has_full_rows(screen, 2));
    let (width, narrowest) = hand.window_widths();
    assert!(width == 500 && narrowest < 500, "{width}, at least {narrowest}");
    hand.close();
}

/// A worker of the viewer that is at work, if one can be found in this time.
fn at_work(hand: &Hand<'_>, longest: Duration) -> Option<u32> {
    let begun = Instant::now();
    // The viewer is the child of `timeout`, the template the viewer's, the workers the template's. Those who have
    // not entered their function yet have another name, and those who have nothing to do sleep.
    let is_at_work = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.contains("(tine decode_wor) R ")
    };
    loop {
        let found = desktop::descendants(hand.pid(), 3).into_iter().find(is_at_work);
        if found.is_some() || begun.elapsed() > longest {
            return found;
        }
    }
}

/// Workers are killed while a person scrolls: their pictures are decoded by others, and nothing is lost.
/// What was scrolled past before it was begun is called off.
///
/// FEATURES.md: B2, B3.
#[test]
fn workers_are_killed_while_scrolling() {
    const KILLS: u64 = 4;
    let desktop = Desktop::start();
    let folder = alike(&desktop, 400);
    let mut viewer = desktop.viewer();
    let report = desktop.path("report.json");
    viewer.args(["--size", "900x650", "--report"]).arg(&report).arg(&folder);
    let hand = Hand::start(&desktop, viewer);
    let mut before = hand.see("the first tiles", |screen| has_full_rows(screen, 4));
    let mut killed = 0;
    while killed < KILLS {
        // Until nobody has anything to do, and past what was decoded ahead: of whom two workers die, that is given up.
        while at_work(&hand, Duration::from_millis(300)).is_some() {}
        hand.press(&["Page_Down"; 3]);
        hand.see("other names", |screen| *screen != before);
        if let Some(pid) = at_work(&hand, Duration::from_secs(2)) {
            desktop::kill(pid);
            killed += 1;
        }
        before = hand.see("all tiles in view", |screen| has_full_rows(screen, 4));
    }
    hand.press(&["End"]);
    hand.see("the last tiles", |screen| has_full_rows(screen, 4));
    hand.close();
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let ended = |how: &str| report["workers_ended"][how].as_u64().unwrap_or_default();
    // One may have been about to be killed by the viewer, or about to leave.
    let (died, put_down) = (ended("died"), ended("killed in a cancelled job"));
    assert!(0 < died && died <= KILLS && KILLS / 2 <= died + put_down, "{report}");
    assert_eq!(report["workers_crashed"], died, "{report}");
    assert!(report["cancelled"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(0), "{report}");
}
