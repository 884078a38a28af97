//! A folder of 200,000 pictures, used like any other: rows K3 and B7 of the features. The bench `viewer` does
//! the same with a million.

mod desktop;

use desktop::colours::{BLUE, GREEN, RED, TILE};
use desktop::{Desktop, Hand, Reader, write_plain};
use std::fs;
use std::path::Path;

const FILES: usize = 200_000;
/// ext4 allows 65,000 names for a file.
const NAMES_PER_FILE: usize = 50_000;
/// A picture before which half of them come.
const HALF: &str = "0100000-half.png";

const YELLOW: [u8; 3] = [240, 200, 20];
/// What is behind a selected picture: a fifth of the accent colour on the window's.
const SELECTED: [u8; 3] = [207, 224, 245];

/// The processor's time that the main loop may take at a stretch, in ms: of a program that is not optimised, on a
/// machine that does other things too. What an optimised one may take, the bench `viewer` looks at.
const LONGEST: f64 = 50.0;
/// In KiB.
const MEMORY: f64 = 300.0 * 1024.0;

/// All are red but one in the middle, green, and the last one, blue.
fn huge(folder: &Path) {
    for first in (0..FILES).step_by(NAMES_PER_FILE) {
        let original = folder.join(format!(".{first}.png"));
        write_plain(&original, 200, 200, RED);
        for number in first..FILES.min(first + NAMES_PER_FILE) {
            let name = folder.join(format!("{number:07}.png"));
            fs::hard_link(&original, name).expect("one more name");
        }
    }
    write_plain(&folder.join(HALF), 200, 200, GREEN);
    write_plain(&folder.join("last.png"), 200, 200, BLUE);
}

#[track_caller]
fn see_only(hand: &Hand<'_>, color: [u8; 3], what: &str) {
    hand.see(what, |screen| {
        let others = [RED, GREEN, BLUE].into_iter().filter(|other| *other != color);
        screen.has(color, TILE) && others.into_iter().all(|other| !screen.has(other, 100))
    });
}

fn type_in(hand: &Hand<'_>, text: &str) {
    let keys = text.chars().map(|key| if key == '-' { "minus".into() } else { key.to_string() });
    let keys: Vec<String> = keys.collect();
    hand.press(&keys.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_huge_folder_is_used_like_any_other() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("huge");
    huge(&folder);
    let mut viewer = desktop.viewer();
    // Without a graphics card Mesa would imitate one: to compile its programs holds the main loop for longer than
    // anything that the viewer does.
    viewer.env("GSK_RENDERER", "cairo");
    viewer.args(["--size", "900x650", "--report"]).arg(desktop.path("report.json")).arg(&folder);
    let reader = Reader::start(&desktop);
    let hand = Hand::start(&desktop, viewer);
    see_only(&hand, RED, "the first pictures");

    hand.press(&["Next", "Next", "Next"]);
    // As long as the folder is being listed, the last one is another one each time.
    hand.see_while_pressing(&["End"], "the last picture", |screen| screen.has(BLUE, TILE));
    hand.press(&["Prior", "Prior", "Home"]);
    see_only(&hand, RED, "the first pictures again");
    type_in(&hand, "0100000-");
    hand.see("the one in the middle", |screen| screen.has(GREEN, TILE) && screen.has(RED, TILE));

    hand.press(&["ctrl+f"]);
    type_in(&hand, "half");
    see_only(&hand, GREEN, "only what is filtered");
    hand.press(&["Escape"]);
    hand.see("all pictures", |screen| screen.has(RED, TILE));

    hand.press(&["Home", "ctrl+a"]);
    hand.see("a selection", |screen| screen.has(SELECTED, TILE));

    // Nothing is made of what nobody has asked for; it comes piece by piece.
    hand.press(&["ctrl+c"]);
    reader.hear_text(&format!("{} files copied", FILES + 2));
    let paste = ["xclip", "-selection", "clipboard", "-o", "-target", "text/uri-list"];
    let pasted = desktop.run(&paste);
    assert_eq!(pasted.lines().count(), FILES + 2);
    assert!(pasted.lines().nth(FILES).is_some_and(|uri| uri.starts_with("file:///")));

    let new = folder.join(".new.png");
    write_plain(&new, 200, 200, YELLOW);
    fs::rename(&new, folder.join("zz-new.png")).unwrap();
    hand.press(&["End"]);
    hand.see("the new picture", |screen| screen.has(YELLOW, TILE) && screen.has(BLUE, TILE));

    // All of it to the trash.
    let count = FILES + 3;
    reader.hear_text(&format!("{}\u{2009}{:03} pictures", count / 1000, count % 1000));
    hand.press(&["ctrl+a", "Delete"]);
    reader.hear_text(&format!("{count} files moved to the trash"));
    reader.hear_text("No Pictures");
    assert!(!folder.join(HALF).exists() && !folder.join("0000000.png").exists());

    hand.close();
    let report = fs::read(desktop.path("report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name} in {report}"));
    assert_eq!(number("pictures"), 0.0);
    assert_eq!(number("thumbnails_failed"), 0.0, "{report}");
    assert!(number("main_loop_work_ms_max") <= LONGEST, "{report}");
    assert!(number("app_peak_rss_kib") <= MEMORY, "{report}");
}
