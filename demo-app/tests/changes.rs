//! What happens to folders and pictures while they are shown.

mod desktop;

use desktop::colours::{
    BLUE, COLORS, GREEN, LARGE, RED, TILE, colours, see_grid, see_large, view, write_colours,
};
use desktop::{Desktop, Hand, Reader, write_plain};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

#[track_caller]
fn see_nothing(hand: &Hand<'_>) {
    hand.see("no tiles", |screen| COLORS.iter().all(|color| !screen.has(*color, 100)));
}

/// K3: a folder that is renamed is gone, and shown again when it has its name back.
#[test]
fn a_folder_is_renamed_and_back() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let away = desktop.path("away");
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    for _ in 0..5 {
        fs::rename(&folder, &away).unwrap();
        see_nothing(&hand);
        fs::rename(&away, &folder).unwrap();
        see_grid(&hand);
        // It is the one that is watched.
        fs::remove_file(folder.join("b.png")).unwrap();
        hand.see("no green tile", |screen| !screen.has(GREEN, 100) && screen.has(RED, TILE));
        write_plain(&folder.join("b.png"), 400, 400, GREEN);
        see_grid(&hand);
    }
    hand.close();
}

/// K3: the same of a folder far above it; what comes there instead is shown.
#[test]
fn a_folder_above_is_renamed_and_back() {
    let desktop = Desktop::start();
    let (above, away) = (desktop.path("above"), desktop.path("away"));
    let folder = desktop.pictures("above/one/two/colours");
    write_colours(&folder);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    for _ in 0..3 {
        fs::rename(&above, &away).unwrap();
        see_nothing(&hand);
        fs::rename(&away, &above).unwrap();
        see_grid(&hand);
        fs::remove_file(folder.join("b.png")).unwrap();
        hand.see("no green tile", |screen| !screen.has(GREEN, 100) && screen.has(RED, TILE));
        write_plain(&folder.join("b.png"), 400, 400, GREEN);
        see_grid(&hand);
    }
    // Another one comes to be, step by step.
    fs::rename(&above, &away).unwrap();
    see_nothing(&hand);
    write_plain(&desktop.pictures("above/one/two/colours").join("x.png"), 400, 400, BLUE);
    hand.see("a blue tile", |screen| screen.has(BLUE, TILE) && !screen.has(RED, 100));
    // And what is in between goes.
    fs::rename(desktop.path("above/one"), desktop.path("above/other")).unwrap();
    see_nothing(&hand);
    hand.close();
}

/// K3: another folder that takes a folder's name is shown instead of it, and watched.
#[test]
fn a_folder_is_deleted_and_made_again() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    for _ in 0..3 {
        fs::remove_dir_all(&folder).unwrap();
        see_nothing(&hand);
        fs::create_dir(&folder).unwrap();
        write_colours(&folder);
        see_grid(&hand);
    }
    // With other pictures, and some of the same names.
    let new = desktop.pictures("new");
    write_plain(&new.join("b.png"), 400, 400, RED);
    write_plain(&new.join("d.png"), 400, 400, BLUE);
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(&new, &folder).unwrap();
    hand.see("red and blue tiles", |screen| {
        screen.has(RED, TILE) && screen.has(BLUE, TILE) && !screen.has(GREEN, 100)
    });
    write_plain(&folder.join("e.png"), 400, 400, GREEN);
    see_grid(&hand);
    hand.close();
}

/// K3: a name may be that of a folder now, or of a picture; and folders that go are no pictures less.
#[test]
fn a_name_is_a_folder_s_and_a_picture_s() {
    let desktop = Desktop::start();
    let reader = Reader::start(&desktop);
    let folder = colours(&desktop);
    let (name, other) = (folder.join("a.png"), folder.join("other"));
    fs::create_dir(&other).unwrap();
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    for _ in 0..3 {
        fs::remove_dir(&other).unwrap();
        fs::remove_file(&name).unwrap();
        fs::create_dir(&name).unwrap();
        hand.see("no red tile", |screen| !screen.has(RED, 100) && screen.has(GREEN, TILE));
        reader.hear_text("2 pictures");
        fs::remove_dir(&name).unwrap();
        write_plain(&name, 400, 400, RED);
        fs::create_dir(&other).unwrap();
        see_grid(&hand);
        reader.hear_text("3 pictures");
    }
    fs::remove_dir(&other).unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    see_nothing(&hand);
    reader.hear_text("No Pictures");
    write_colours(&folder);
    see_grid(&hand);
    reader.hear_text("3 pictures");
    hand.close();
}

/// K3: sort by time, multi-select: what is selected stays so, and keeps the keyboard, when others change their places.
#[test]
fn selected_pictures_change_their_places() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let set_time = |name: &str, seconds: u64| {
        let file = File::open(folder.join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    for (name, seconds) in [("a.png", 300), ("b.png", 200), ("c.png", 100)] {
        set_time(name, seconds);
    }
    let config = desktop.pictures("config/tine-viewer");
    fs::write(config.join("settings.ini"), "[viewer]\nsort=time\n").unwrap();
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    let selected = |name: &str| {
        reader.hear(name, |told| told.name == name && told.states == "focused+selected");
    };
    hand.press(&["Home", "Right"]);
    selected("b.png");
    // It is the first one now.
    set_time("c.png", 400);
    hand.see("another order", |screen| screen.middle_of(BLUE).0 < screen.middle_of(RED).0);
    selected("b.png");
    hand.press(&["Left"]);
    selected("a.png");
    set_time("a.png", 500);
    hand.see("another order", |screen| screen.middle_of(RED).0 < screen.middle_of(BLUE).0);
    hand.press(&["Delete"]);
    hand.see("no red tile", |screen| !screen.has(RED, 100) && screen.has(GREEN, TILE));
    hand.close();
}

/// K3: from a picture whose file is gone keys lead to those that were beside it.
#[test]
fn a_picture_that_is_gone_can_be_left() {
    let desktop = Desktop::start();
    let reader = Reader::start(&desktop);
    for (key, color) in [("Right", BLUE), ("Left", RED)] {
        let hand = view(&desktop, &colours(&desktop).join("b.png"));
        see_large(&hand, GREEN);
        // Its neighbours are listed, and it has some.
        hand.see_while_pressing(&["Right"], "the next", |screen| screen.has(BLUE, LARGE));
        hand.press(&["Left"]);
        see_large(&hand, GREEN);
        fs::remove_file(desktop.path("colours/b.png")).unwrap();
        // Nothing is seen of that. What can be read is asked for in the viewer's own thread, and takes longer.
        (0..3).for_each(|_| drop(reader.all()));
        hand.press(&[key]);
        see_large(&hand, color);
        hand.close();
    }
}

/// K3: a picture is shown as it is now: overwritten in place, replaced by another file, gone and back.
#[test]
fn a_picture_in_view_is_overwritten() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder.join("b.png"));
    see_large(&hand, GREEN);
    write_plain(&folder.join("b.png"), 400, 400, RED);
    see_large(&hand, RED);
    write_plain(&desktop.path("other.png"), 400, 400, BLUE);
    fs::rename(desktop.path("other.png"), folder.join("b.png")).unwrap();
    see_large(&hand, BLUE);
    fs::remove_file(folder.join("b.png")).unwrap();
    write_plain(&folder.join("b.png"), 400, 400, GREEN);
    see_large(&hand, GREEN);
    hand.close();
}

/// K3: a picture whose time is set is looked at anew: what other programs keep of it is of no use any more.
#[test]
fn a_picture_is_touched() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("one");
    let path = folder.join("a.png");
    write_plain(&path, 800, 800, RED);
    let set_age = |seconds| {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        File::open(&path).unwrap().set_modified(then).unwrap();
    };
    set_age(100);
    let hand = view(&desktop, &folder);
    hand.see("its tile", |screen| screen.has(RED, TILE));
    let large = desktop.path("cache/thumbnails/large");
    let kept = || {
        let kept = fs::read_dir(&large).into_iter().flatten().flatten();
        kept.map(|entry| fs::read(entry.path()).unwrap_or_default()).next()
    };
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed().as_secs() < 60, "{what}");
            std::thread::yield_now();
        }
    };
    wait("its thumbnail is not kept", &|| kept().is_some_and(|octets| !octets.is_empty()));
    let before = kept();
    set_age(50);
    wait("it is not looked at anew", &|| {
        kept().is_some_and(|octets| !octets.is_empty()) && kept() != before
    });
    hand.close();
}

/// K3: nobody waits for a picture that is gone before it has come; one in its place is shown instead.
#[test]
fn a_picture_goes_while_it_loads() {
    let desktop = Desktop::start();
    let reader = Reader::start(&desktop);
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    let signal = |pids: &[u32], signal: Signal| {
        for pid in pids {
            // One that has nothing to do may have left.
            let _gone = Pid::from_raw(*pid as i32).map(|pid| kill_process(pid, signal));
        }
    };
    // The viewer is the child of `timeout`, the template the viewer's, the workers the template's.
    let held = [2, 3].map(|generations| desktop::descendants(hand.pid(), generations)).concat();
    assert!(!held.is_empty(), "no template");
    signal(&held, Signal::STOP);
    // What is new has no thumbnail, and is not loaded ahead.
    write_plain(&folder.join("0.png"), 3000, 3000, RED);
    hand.see_while_pressing(&["Home"], "a place for it", |screen| screen.pixels_of(RED) < LARGE);
    hand.press(&["Home", "Return"]);
    hand.see("nothing yet", |screen| COLORS.iter().all(|color| !screen.has(*color, 100)));
    fs::remove_file(folder.join("0.png")).unwrap();
    reader.hear_text("does not exist");
    write_plain(&folder.join("0.png"), 3000, 3000, GREEN);
    hand.see("nothing yet", |screen| COLORS.iter().all(|color| !screen.has(*color, 100)));
    write_plain(&desktop.path("other.png"), 3000, 3000, BLUE);
    fs::rename(desktop.path("other.png"), folder.join("0.png")).unwrap();
    signal(&held, Signal::CONT);
    see_large(&hand, BLUE);
    hand.close();
}

/// K3: a `file:` URI is as good as a path; a file with such a name comes first.
#[test]
fn uris_are_arguments() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("a b ü");
    write_colours(&folder);
    let uri = gtk4::glib::filename_to_uri(folder.join("b.png"), None).unwrap();
    assert!(uri.contains("a%20b%20%C3%BC"), "{uri}");
    let hand = view(&desktop, Path::new(&*uri));
    see_large(&hand, GREEN);
    hand.press(&["Right"]);
    see_large(&hand, BLUE);
    hand.close();
    fs::create_dir(desktop.path("file:")).unwrap();
    write_plain(&desktop.path("file:/red.png"), 400, 400, RED);
    let mut viewer = desktop.viewer();
    viewer.args(["--size", "900x650", "file:/red.png"]).current_dir(desktop.path(""));
    let hand = Hand::start(&desktop, viewer);
    see_large(&hand, RED);
    hand.close();
    let gone = desktop.viewer().arg("file:///no/such%20file.png").output().unwrap();
    let told = String::from_utf8_lossy(&gone.stderr);
    assert!(!gone.status.success() && told.contains("/no/such file.png: "), "{told}");
}
