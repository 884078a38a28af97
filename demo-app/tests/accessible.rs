//! The viewer for those who do not see it: what assistive tools are told on the accessibility bus, and what
//! can be done by what they are told.

mod desktop;

use desktop::colours::{RED, view};
use desktop::{Desktop, Reader, write_plain};
use std::fs;
use std::time::{Duration, Instant};

/// K3: names for assistive tools: the tile that has the keyboard is called as its file is; what is no picture says
/// why; a picture as a whole has its name, too; buttons are told apart by what they do.
#[test]
fn tiles_pictures_and_buttons_are_named() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("named");
    fs::create_dir(folder.join("holidays")).unwrap();
    write_plain(&folder.join("a b.png"), 300, 200, RED);
    fs::write(folder.join("broken.jpg"), "garbage").unwrap();
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    let broken = "broken.jpg: not a picture: unknown format";
    for name in ["holidays, folder", "a b.png", broken] {
        reader.hear(name, |told| told.role == "table cell" && told.name == name);
    }
    hand.press(&["Home"]);
    for name in ["holidays, folder", "a b.png", broken] {
        reader.hear(name, |told| told.name == name && told.states == "focused+selected");
        hand.press(&["Right"]);
    }
    for button in ["Folder Above", "Open", "Filter by Name", "Main Menu"] {
        reader.hear(button, |told| told.role.ends_with("button") && told.name == button);
    }
    hand.press(&["Home", "Right", "Return"]);
    reader.hear("the picture", |told| told.role == "image" && told.name == "a b.png");
    hand.press(&["Right"]);
    reader.hear_text("not a picture: unknown format");
    reader.press("Back to the Folder");
    reader.hear(broken, |told| told.name == broken && told.states.contains("focused"));
    hand.close();
}

/// K3: whole grid by keyboard: Tab leads out of it, however many tiles there are, and back to the tile that it was at.
#[test]
fn tab_is_for_what_is_around_the_tiles() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("some");
    let names: Vec<_> = (0..9).map(|number| format!("{number}.png")).collect();
    names.iter().for_each(|name| write_plain(&folder.join(name), 30, 20, RED));
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    hand.press(&["Home", "Right"]);
    let hear = |name: &str, press: &[&str]| {
        hand.press(press);
        reader.hear(name, |told| told.name == name && told.states.contains("focused"));
    };
    hear("1.png", &[]);
    hear("Folder Above", &["Tab"]);
    hear("Open", &["Tab"]);
    hear("1.png", &["shift+Tab", "shift+Tab"]);
    hear("Main Menu", &["shift+Tab"]);
    hear("1.png", &["Tab"]);
    hand.close();
}

/// K3: properties with EXIF, and what an empty folder says of itself.
#[test]
fn properties_and_empty_folders_are_told() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("camera");
    fs::create_dir(folder.join("empty")).unwrap();
    fs::write(folder.join("x.png"), photograph()).unwrap();
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    reader.hear("the tile", |told| told.name == "x.png");
    hand.press(&["End", "alt+Return"]);
    for text in ["x.png", "30 × 20", "PNG", "Tine 1", "1/125 s", "f/2.8", "100"] {
        reader.hear_text(text);
    }
    hand.press(&["Escape"]);
    hand.focus();
    hand.press(&["Home", "Return"]);
    reader.hear_text("No Pictures");
    reader.hear("a way out", |told| told.role == "push button" && told.name == "Open Folder…");
    hand.close();
}

/// K3: the Workers page: each live worker has a row and a button that kills it, and a lost one is counted.
#[test]
fn a_worker_is_killed_by_its_button() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("one");
    write_plain(&folder.join("a.png"), 300, 200, RED);
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    reader.hear("the tile", |told| told.name == "a.png");
    hand.press(&["ctrl+shift+w"]);
    reader.press("Kill");
    reader.hear("a loss", |told| told.name.contains("1 lost"));
    hand.press(&["Escape"]);
    hand.focus();
    hand.close();
}

/// K3: without a session the viewer works, whether or not there is a bus of assistive tools: that of another session
/// on the same display.
#[test]
fn a_session_of_others_is_no_trouble() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("alone");
    write_plain(&folder.join("a.png"), 300, 200, RED);
    let _others = Reader::start(&desktop);
    let (eyes, begun) = (desktop.eyes(), Instant::now());
    while !eyes.has_reader() {
        assert!(begun.elapsed().as_secs() < 60, "X is not told of the bus");
        eyes.wait(Duration::from_millis(10));
    }
    for address in
        ["", "unix:path=/nonexistent,guid=00", "unix:abstract=/nonexistent;unix:path=/dev/null"]
    {
        let mut viewer = desktop.thorough_viewer(&[&folder]);
        viewer.env("DBUS_SESSION_BUS_ADDRESS", address);
        let seen = desktop.seen(&viewer.output().unwrap());
        assert_eq!(seen.number("thumbnails_ok"), 1.0, "{address:?}");
    }
}

/// A picture with what a camera writes into it.
fn photograph() -> Vec<u8> {
    use exif::{Field, In, Tag, Value};
    let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
    let fields = [
        field(Tag::Model, Value::Ascii(vec![b"Tine 1".to_vec()])),
        field(Tag::ExposureTime, Value::Rational(vec![(1, 125).into()])),
        field(Tag::FNumber, Value::Rational(vec![(28, 10).into()])),
        field(Tag::PhotographicSensitivity, Value::Short(vec![100])),
    ];
    let mut writer = exif::experimental::Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut exif = std::io::Cursor::new(Vec::new());
    writer.write(&mut exif, false).expect("it is written to memory");
    let mut octets = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut octets);
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif.into_inner())
        .expect("it is written to memory");
    image::RgbImage::new(30, 20).write_with_encoder(encoder).expect("it is written to memory");
    octets
}
