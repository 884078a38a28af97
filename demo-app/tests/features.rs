//! What a viewer does beyond showing pictures: films, slideshows, one process for all, drag and drop, clipboard.

mod desktop;

use desktop::colours::{ACCENT, BLUE, COLORS, GREEN, LARGE, RED, TILE, colours, see_large, view};
use desktop::{Desktop, Hand, Reader, Screen, Told, descendants, write_plain};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A picture that is red on the left and blue on the right.
fn write_halves(path: &Path, width: u32, height: u32) {
    let halves = image::RgbImage::from_fn(width, height, |x, _| {
        image::Rgb(if x < width / 2 { RED } else { BLUE })
    });
    halves.save(path).expect("a picture in the test's folder");
}

/// K3: an animated GIF moves in the single view, from its end to its start again, and is still when it is left.
#[test]
fn a_film_runs() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("films");
    let mut gif =
        GifEncoder::new_with_speed(fs::File::create(folder.join("film.gif")).unwrap(), 10);
    gif.set_repeat(Repeat::Infinite).unwrap();
    for [r, g, b] in COLORS {
        let picture = RgbaImage::from_pixel(400, 300, image::Rgba([r, g, b, 255]));
        let delay = Delay::from_numer_denom_ms(700, 1);
        gif.encode_frame(Frame::from_parts(picture, 0, 0, delay)).unwrap();
    }
    drop(gif);
    let hand = view(&desktop, &folder.join("film.gif"));
    for color in [RED, GREEN, BLUE, RED, GREEN] {
        see_large(&hand, color);
    }
    hand.press(&["Escape"]);
    hand.see("its first frame as a tile", |screen| {
        screen.has(RED, 100 * 100) && !screen.has(GREEN, 100) && !screen.has(BLUE, 100)
    });
    hand.close();
}

/// K3: a slideshow goes on by itself, begins again after the last, and ends with Escape.
#[test]
fn a_show_goes_on_by_itself() {
    let desktop = Desktop::start();
    let hand = view(&desktop, &colours(&desktop));
    hand.see("tiles", |screen| COLORS.iter().all(|color| screen.has(*color, 100 * 100)));
    hand.press(&["End", "F5"]);
    for color in [BLUE, RED, GREEN] {
        see_large(&hand, color);
    }
    hand.press(&["Escape", "Escape", "Escape"]);
    hand.see("tiles", |screen| COLORS.iter().all(|color| screen.has(*color, 100 * 100)));
    hand.close();
}

/// K3: single instance: a second start hands its file to the first one, and is done.
#[test]
fn a_second_start_is_shown_by_the_first() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder.join("a.png"));
    see_large(&hand, RED);
    let second = desktop.viewer().arg(folder.join("c.png")).output().unwrap();
    assert!(second.status.success() && second.stderr.is_empty(), "{second:?}");
    hand.see("its picture", |screen| screen.has(BLUE, LARGE));
}

/// K3: drag out, and drop onto the window: from one viewer to another, as between any two programs.
#[test]
fn a_tile_is_dragged_into_another_window() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let other = desktop.pictures("other");
    write_plain(&other.join("x.png"), 400, 400, BLUE);
    let second = view(&desktop, &other);
    second.see("its tile", |screen| screen.has(BLUE, 100 * 100));
    second.put_window((1000, 0));
    // With a report it is a process of its own.
    let mut viewer = desktop.viewer();
    viewer.args(["--size", "900x650", "--report"]).arg(desktop.path("report.json")).arg(&folder);
    let hand = Hand::start(&desktop, viewer);
    let tiles = hand.see("all tiles", |screen| COLORS.iter().all(|color| screen.has(*color, 9000)));
    hand.take_to(tiles.middle_of(GREEN), (1500, 400));
    // The window says that it would take it.
    hand.see_while_dragging((1500, 400), "a frame", |screen| screen.has(ACCENT, 2000));
    hand.let_go();
    // It is large there, and a tile here.
    hand.see("what was dropped", |screen| screen.has(GREEN, 2 * LARGE));
}

/// K3: copy: file managers get the file, painting programs the picture.
#[test]
fn files_and_pictures_are_copied() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    hand.see("tiles", |screen| COLORS.iter().all(|color| screen.has(*color, 100 * 100)));
    let paste =
        |target: &str| desktop.run(&["xclip", "-selection", "clipboard", "-o", "-target", target]);
    hand.press(&["ctrl+a", "ctrl+c"]);
    reader.hear_text("3 files copied");
    let uris = paste("text/uri-list");
    assert_eq!(uris.lines().count(), 3, "{uris}");
    assert!(uris.lines().all(|uri| uri.starts_with("file:///")), "{uris}");
    hand.press(&["Home", "Return"]);
    see_large(&hand, RED);
    hand.press(&["ctrl+c"]);
    reader.hear_text("Copied");
    let uris = paste("text/uri-list");
    assert!(uris.trim().ends_with("/colours/a.png") && uris.lines().count() == 1, "{uris}");
    assert!(paste("TARGETS").contains("image/png"));
    hand.close();
}

/// K3: small progress of thumbnailing with cancel: all are made when asked for, until the button stops it.
#[test]
fn making_all_thumbnails_is_told_and_stopped() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("many");
    let picture = image::RgbImage::from_fn(1500, 1500, |x, y| {
        image::Rgb([(x * y) as u8, (x ^ y) as u8, (x * 7 + y * 13) as u8])
    });
    picture.save(folder.join("0.png")).unwrap();
    for number in 1..2000 {
        fs::hard_link(folder.join("0.png"), folder.join(format!("{number}.png"))).unwrap();
    }
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    reader.hear_text("2\u{2009}000 pictures");
    // The menu has a letter for it.
    hand.press(&["F10", "m"]);
    let progress = |told: &Told| told.name.ends_with(" of 2\u{2009}000 thumbnails");
    reader.hear("how far it is", progress);
    reader.press("Stop Making Thumbnails");
    let begun = std::time::Instant::now();
    while reader.all().iter().any(progress) {
        assert!(begun.elapsed().as_secs() < 60, "it does not stop");
    }
    hand.close();
}

/// K3: show in file manager and open with: by D-Bus as file managers have it, or in a sandbox by the portal, which
/// gets the file itself.
#[test]
fn files_are_shown_and_opened_elsewhere() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let mut services = Command::new("/usr/bin/python3");
    services.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/desktop/services.py"));
    desktop.at_home(&mut services);
    let mut services = services.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(services.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || lines.take_while(|line| tell.send(line.clone()).is_ok()).for_each(drop));
    assert_eq!(told.recv().as_deref(), Ok("ready"));
    let path = folder.join("b.png").canonicalize().unwrap();
    let path = path.to_str().unwrap();
    for is_sandboxed in [false, true] {
        let mut viewer = desktop.viewer();
        viewer.args(["--size", "900x650"]).arg(folder.join("b.png"));
        if is_sandboxed {
            viewer.env("GTK_USE_PORTAL", "1");
        }
        let hand = Hand::start(&desktop, viewer);
        see_large(&hand, GREEN);
        // The picture's menu, whose items have letters.
        let choose = |letter: &str| {
            hand.choose((450, 350), letter);
            told.recv_timeout(Duration::from_secs(120)).expect("a call")
        };
        match is_sandboxed {
            false => assert_eq!(choose("s"), format!("ShowItems file://{path}")),
            true => {
                assert_eq!(choose("s"), format!("OpenDirectory {path} {{'ask': True}}"));
                assert_eq!(choose("o"), format!("OpenFile {path} {{'ask': True}}"));
            }
        }
        hand.close();
    }
    services.kill().unwrap();
    services.wait().unwrap();
}

/// K3: open with asks for a program, and starts it with the picture, and with nothing that is the viewer's alone.
#[test]
fn another_program_opens_a_picture() {
    let desktop = Desktop::start();
    let path = colours(&desktop).join("b.png");
    let told = desktop.path("told");
    let (data, config) = (desktop.path("data"), desktop.path("config"));
    fs::create_dir_all(data.join("applications")).unwrap();
    let program = desktop.path("other");
    let script = "#!/bin/sh\n{ echo \"$1\"; env; } >\"$0.new\" && mv \"$0.new\" \"${0%/*}/told\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let entry = format!(
        "[Desktop Entry]\nType=Application\nName=Other\nExec={} %f\nMimeType=image/png;\n",
        program.display()
    );
    fs::write(data.join("applications/other.desktop"), entry).unwrap();
    fs::write(config.join("mimeapps.list"), "[Added Associations]\nimage/png=other.desktop;\n")
        .unwrap();
    let hand = view(&desktop, &path);
    see_large(&hand, GREEN);
    // Its menu is gone before the dialog is there, or the other way round.
    hand.open_dialog(|| hand.choose((450, 350), "o"));
    hand.press(&["Return"]);
    hand.wait_until("nothing is opened", || told.exists());
    let told = fs::read_to_string(told).unwrap();
    let mut lines = told.lines();
    assert_eq!(lines.next().map(Path::new), Some(path.as_path()));
    let own = lines.find(|line| line.starts_with("GSK_RENDERER="));
    assert_eq!(
        own.map(str::to_owned),
        std::env::var("GSK_RENDERER").ok().map(|own| format!("GSK_RENDERER={own}"))
    );
    hand.close();
}

/// K3: a picture's menu from which is chosen before it can be seen comes again at the next click.
#[test]
fn a_menu_closed_at_once_comes_again() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("halves");
    write_halves(&folder.join("a.png"), 800, 800);
    let hand = view(&desktop, &folder.join("a.png"));
    let see_turned = |is_turned: bool| {
        hand.see("the picture as it was turned", |screen| {
            let (red, blue) = (screen.middle_of(RED), screen.middle_of(BLUE));
            screen.has(RED, LARGE) && (red.0.abs_diff(blue.0) < red.1.abs_diff(blue.1)) == is_turned
        });
    };
    see_turned(false);
    for _ in 0..10 {
        desktop.run(&["xdotool", "mousemove", "450", "350", "click", "3", "key", "r"]);
        see_turned(true);
        hand.choose((450, 350), "r");
        see_turned(false);
    }
    hand.close();
}

/// K3: Ctrl and the wheel zoom at the pointer; dragging moves what is larger than the window. Whether the processor
/// draws, or a graphics card.
#[test]
fn the_wheel_zooms_where_the_pointer_is() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("halves");
    write_halves(&folder.join("a.png"), 3000, 2000);
    for renderer in ["cairo", "gl"] {
        let mut viewer = desktop.viewer();
        viewer.args(["--size", "900x650"]).env("GSK_RENDERER", renderer);
        viewer.arg(folder.join("a.png"));
        zoom_and_drag(Hand::start(&desktop, viewer));
    }
}

/// K3: where there is no graphics card, nothing is loaded that imitates one; whoever asks for it gets it.
#[test]
fn what_imitates_a_graphics_card_is_left_out() {
    let has_card = fs::read_dir("/dev/dri").is_ok_and(|mut devices| devices.next().is_some());
    if has_card || Path::new("/dev/nvidiactl").exists() {
        println!("not tried: there is a graphics card");
        return;
    }
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    for (renderer, is_loaded) in [(None, false), (Some("gl"), true)] {
        let mut viewer = desktop.viewer();
        viewer.env_remove("GSK_RENDERER").args(["--size", "900x650"]).arg(&folder);
        renderer.map(|renderer| viewer.env("GSK_RENDERER", renderer));
        let hand = Hand::start(&desktop, viewer);
        hand.see("a tile", |screen| screen.has(RED, TILE));
        let [viewer] = descendants(hand.pid(), 1)[..] else { panic!("one viewer is timed") };
        let maps = fs::read_to_string(format!("/proc/{viewer}/maps")).unwrap();
        let mesa = ["_dri.so", "libgallium", "libLLVM"];
        assert_eq!(mesa.iter().any(|name| maps.contains(name)), is_loaded, "{renderer:?}");
        hand.close();
    }
}

fn zoom_and_drag(hand: Hand<'_>) {
    let whole = hand.see("both halves", |screen| screen.has(RED, LARGE) && screen.has(BLUE, LARGE));
    let (red, blue) = (whole.middle_of(RED), whole.middle_of(BLUE));
    // What is drawn from more pixels has another border between the two.
    let is_whole = |screen: &Screen| {
        let (x, y) = screen.middle_of(RED);
        screen.has(BLUE, LARGE) && x.abs_diff(red.0) <= 1 && y.abs_diff(red.1) <= 1
    };
    for (at, color, other) in [(red, RED, BLUE), (blue, BLUE, RED)] {
        hand.press(&["0"]);
        hand.see("both halves", is_whole);
        hand.hold("ctrl", true);
        for _ in 0..8 {
            hand.press_button(at, "4");
        }
        hand.hold("ctrl", false);
        hand.see("what the pointer is at", |screen| {
            screen.has(color, 4 * LARGE) && !screen.has(other, 1000)
        });
    }
    let middle = (450, 350);
    for _ in 0..6 {
        hand.drag(middle, (800, 350));
    }
    hand.see("what was to the left", |screen| screen.has(RED, 4 * LARGE));
    hand.close();
}
