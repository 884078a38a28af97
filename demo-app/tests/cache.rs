//! The thumbnail cache between programs: what GIO and tumbler make of ours, and what the viewer makes of
//! theirs.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod desktop;

use desktop::colours::{GREEN, RED};
use desktop::{Desktop, Hand, write_plain};
use gtk4::{gio, glib, prelude::*};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

const TUMBLER: &str = "org.freedesktop.thumbnails.Thumbnailer1";

/// Left alone for a minute, as files are that are not being written.
fn settle(path: &Path) {
    File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

/// A settled picture of one colour.
fn picture(path: &Path, color: [u8; 3]) {
    write_plain(path, 800, 800, color);
    settle(path);
}

impl Desktop {
    /// A command that has the viewer's cache and bus.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address);
        command
    }

    /// What GIO, and so every GTK program, says of a picture's thumbnail.
    fn gio(&self, path: &Path) -> String {
        let output = self.command("gio").args(["info", "-a", "thumbnail::*"]).arg(path).output();
        String::from_utf8(output.expect("gio").stdout).unwrap()
    }

    /// Has tumbler make thumbnails, and waits until it says that it has.
    fn tumble(&self, pictures: &[&Path]) {
        let environment = format!("XDG_CACHE_HOME={}", self.path("cache").display());
        let update = self.command("dbus-update-activation-environment").arg(environment).status();
        assert!(update.expect("dbus-update-activation-environment").success());
        let uris: Vec<_> =
            pictures.iter().map(|path| gio::File::for_path(path).uri().to_string()).collect();
        let types = vec!["image/png"; pictures.len()];
        let context = glib::MainContext::new();
        let tumbled = context.with_thread_default(|| {
            let bus = self.connect();
            let finished = Rc::new(Cell::new(false));
            let told = finished.clone();
            let tell = move |_: gio::DBusSignalRef| told.set(true);
            let _subscribed = bus.subscribe_to_signal(
                None,
                Some(TUMBLER),
                Some("Finished"),
                None,
                None,
                gio::DBusSignalFlags::NONE,
                tell,
            );
            let order = (uris, types, "large", "default", 0_u32).to_variant();
            let (path, flags) =
                (format!("/{}", TUMBLER.replace('.', "/")), gio::DBusCallFlags::NONE);
            bus.call_sync(
                Some(TUMBLER),
                &path,
                TUMBLER,
                "Queue",
                Some(&order),
                None,
                flags,
                -1,
                gio::Cancellable::NONE,
            )
            .expect("tumbler takes the order");
            while !finished.get() {
                context.iteration(true);
            }
        });
        tumbled.expect("a context of its own");
    }

    fn connect(&self) -> gio::DBusConnection {
        let flags = gio::DBusConnectionFlags::AUTHENTICATION_CLIENT
            | gio::DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
        let none = gio::Cancellable::NONE;
        gio::DBusConnection::for_address_sync(&self.bus_address, flags, None, none).expect("a bus")
    }
}

#[test]
fn thumbnails_are_made_once_and_failures_tried_once() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("twice");
    picture(&folder.join("red.png"), RED);
    picture(&folder.join("a b ü.png"), GREEN);
    write_plain(&folder.join("small.png"), 100, 100, RED);
    fs::write(folder.join("garbage.png"), "garbage").unwrap();
    settle(&folder.join("small.png"));
    settle(&folder.join("garbage.png"));
    let first = desktop.view(&[&folder]);
    assert_eq!(first.number("thumbnails_cached"), 0.0);
    let thumbnails = desktop.path("cache/thumbnails");
    let count = |folder: &str| fs::read_dir(thumbnails.join(folder)).unwrap().count();
    // The small one is its own thumbnail.
    assert_eq!(count("large"), 2);
    assert_eq!(count(concat!("fail/tine-viewer-", env!("CARGO_PKG_VERSION"))), 1);

    let second = desktop.view(&[&folder]);
    assert_eq!(second.number("thumbnails_cached"), 2.0);
    assert_eq!(second.failures(), first.failures());
    assert_eq!(second.failures().len(), 1);
    for color in [RED, GREEN] {
        assert_eq!(second.pixels_of(color), first.pixels_of(color));
    }
    assert_eq!(count("large"), 2);
}

#[test]
fn a_changed_picture_and_a_broken_thumbnail_are_made_anew() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("changed");
    let (changed, broken) = (folder.join("changed.png"), folder.join("broken.png"));
    picture(&changed, RED);
    picture(&broken, GREEN);
    desktop.view(&[&folder]);
    let thumbnail = |path: &Path| {
        let told = desktop.gio(path);
        let path = told.lines().find_map(|line| line.trim().strip_prefix("thumbnail::path: "));
        path.unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    // The keys are whole, the pixels are not.
    let octets = fs::read(thumbnail(&broken)).unwrap();
    fs::write(thumbnail(&broken), &octets[..octets.len() - 200]).unwrap();
    write_plain(&changed, 800, 800, [0, 0, 255]);
    let seen = desktop.view(&[&folder]);
    assert_eq!(seen.number("thumbnails_ok"), 2.0);
    assert_eq!(seen.number("thumbnails_cached"), 0.0);
    assert_eq!(seen.pixels_of(RED), 0);
    assert!(seen.pixels_of([0, 0, 255]) > 20_000 && seen.pixels_of(GREEN) > 20_000);
}

#[test]
fn other_programs_find_ours() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("ours");
    let path = folder.join("100% ünïcödé (1).png");
    picture(&path, RED);
    desktop.view(&[&folder]);
    let told = desktop.gio(&path);
    assert!(told.contains("thumbnail::path: "), "{told}");
    assert!(told.contains("thumbnail::is-valid: TRUE"), "{told}");
    write_plain(&path, 800, 800, GREEN);
    let told = desktop.gio(&path);
    assert!(told.contains("thumbnail::is-valid: FALSE"), "{told}");
}

#[test]
fn those_of_other_programs_are_used() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("theirs");
    let (red, green) = (folder.join("red.png"), folder.join("green.png"));
    picture(&red, RED);
    picture(&green, GREEN);
    desktop.tumble(&[&red, &green]);
    let seen = desktop.view(&[&folder]);
    assert_eq!(seen.number("thumbnails_cached"), 2.0, "{}", desktop.gio(&red));
    assert!(seen.pixels_of(RED) > 20_000 && seen.pixels_of(GREEN) > 20_000);
}

/// K3: what lies in a cache file's place is neither opened nor followed, and costs no picture.
#[test]
fn what_is_no_file_in_the_cache_is_passed_over() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("faults");
    for name in ["directory", "link", "device", "pipe"] {
        picture(&folder.join(format!("{name}.png")), RED);
    }
    assert_eq!(desktop.view(&[&folder]).number("thumbnails_ok"), 4.0);
    let large = desktop.path("cache/thumbnails/large");
    let cached: Vec<_> = fs::read_dir(&large).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [directory, link, device, pipe] = &cached[..] else { panic!("{cached:?}") };
    fs::remove_file(directory).unwrap();
    fs::create_dir(directory).unwrap();
    let elsewhere = desktop.path("elsewhere.png");
    fs::rename(link, &elsewhere).unwrap();
    symlink(&elsewhere, link).unwrap();
    fs::remove_file(device).unwrap();
    symlink("/dev/zero", device).unwrap();
    fs::remove_file(pipe).unwrap();
    mkfifoat(CWD, pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let seen = desktop.view(&[&folder]);
    assert_eq!((seen.number("thumbnails_ok"), seen.number("thumbnails_cached")), (4.0, 0.0));
    // What was kept has taken their places, but for the directory's.
    let seen = desktop.view(&[&folder]);
    assert_eq!((seen.number("thumbnails_ok"), seen.number("thumbnails_cached")), (4.0, 3.0));
}

/// K3: a picture that may still be being copied is shown, and its thumbnail is kept when it has been left alone.
#[test]
fn what_was_just_written_is_kept_later() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("new");
    let path = folder.join("red.png");
    let mut viewer = desktop.viewer();
    viewer.arg(&folder);
    let hand = Hand::start(&desktop, viewer);
    write_plain(&path, 800, 800, RED);
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    hand.see("its tile", |screen| screen.has(RED, 100 * 100));
    let (large, begun) = (desktop.path("cache/thumbnails/large"), Instant::now());
    let kept = loop {
        let mut kept = fs::read_dir(&large).into_iter().flatten().flatten();
        if let Some(kept) = kept.find(|entry| entry.path().extension().is_some()) {
            break kept.metadata().unwrap().modified().unwrap();
        }
        assert!(begun.elapsed().as_secs() < 60, "it is not kept");
        std::thread::yield_now();
    };
    // The time of a file is that of the last tick, of which there are a hundred a second at least.
    let tick = Duration::from_millis(10);
    assert!(kept + tick >= written + Duration::from_secs(3));
    hand.close();
    assert_eq!(desktop.view(&[&folder]).number("thumbnails_cached"), 1.0);
}

/// K3: the base directory specification has a relative path ignored.
#[test]
fn a_relative_cache_folder_is_ignored() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("relative");
    picture(&folder.join("red.png"), RED);
    let mut viewer = desktop.thorough_viewer(&[&folder]);
    viewer.env("XDG_CACHE_HOME", "caches").current_dir(desktop.pictures("here"));
    let output = viewer.output().unwrap();
    assert_eq!(desktop.seen(&output).number("thumbnails_ok"), 1.0);
    assert!(!desktop.path("here/caches/thumbnails").exists());
    assert_eq!(fs::read_dir(desktop.path(".cache/thumbnails/large")).unwrap().count(), 1);
}

/// K3: on a full disk all pictures are shown; what is kept is whole, what was there stays, and nothing half done is left.
#[test]
fn a_full_disk_loses_nothing() {
    if !rustix::process::getuid().is_root() {
        println!("not tested: only root can mount a small disk");
        return;
    }
    let desktop = Desktop::start();
    let folder = desktop.pictures("many");
    let noise = image::RgbImage::from_fn(600, 600, |x, y| {
        image::Rgb([(x * y) as u8, (x ^ y) as u8, (x * 7 + y * 13) as u8])
    });
    noise.save(folder.join("0.png")).unwrap();
    settle(&folder.join("0.png"));
    for number in 1..12 {
        fs::hard_link(folder.join("0.png"), folder.join(format!("{number}.png"))).unwrap();
    }
    let settings = "[viewer]\nwidth=900\nheight=650\n";
    let config = desktop.pictures("brought/config/tine-viewer");
    fs::write(config.join("settings.ini"), settings).unwrap();
    fs::create_dir(desktop.path("small")).unwrap();
    // What is on the disk is taken away from it before it goes.
    let script = r#"
        cd "$1" && mount -t tmpfs -o size=512k small small && cp -r brought/. small || exit
        head -c "$2" /dev/zero > small/filler; left=left-$2; shift 2
        "$@"; status=$?
        cp -r small "$left"; exit $status"#;
    let on_small_disk = |filled: &str, viewer: &Command| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(desktop.path("")).arg(filled);
        command.arg(viewer.get_program()).args(viewer.get_args());
        desktop.at_home(&mut command);
        command.env("XDG_CACHE_HOME", desktop.path("small/cache"));
        command.env("XDG_CONFIG_HOME", desktop.path("small/config"));
        command
    };
    let left = |filled: &str| desktop.path(&format!("left-{filled}"));
    // There is room for a few thumbnails, for a part of one, or for none.
    for (filled, has_some) in [("200k", true), ("448k", false), ("600k", false)] {
        let output = on_small_disk(filled, &desktop.thorough_viewer(&[&folder])).output().unwrap();
        assert_eq!(desktop.seen(&output).number("thumbnails_ok"), 12.0, "{output:?}");
        let kept = fs::read_dir(left(filled).join("cache/thumbnails/large"));
        let kept: Vec<_> = kept.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(!kept.is_empty(), has_some, "{filled}: {kept:?}");
        kept.iter().for_each(|path| drop(image::open(path).unwrap()));
    }
    // The window is of another size than is remembered.
    let mut viewer = desktop.viewer();
    viewer.args(["--size", "700x500"]).arg(&folder);
    let hand = Hand::start(&desktop, on_small_disk("601k", &viewer));
    hand.close();
    let config = left("601k").join("config/tine-viewer");
    assert_eq!(fs::read_to_string(config.join("settings.ini")).unwrap(), settings);
    assert_eq!(fs::read_dir(&config).unwrap().count(), 1);
}

/// K3: the cache is a convenience: a picture is shown whatever is wrong with it.
#[test]
fn a_cache_that_cannot_be_written_is_no_trouble() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("no-cache");
    picture(&folder.join("red.png"), RED);
    fs::write(folder.join("garbage.png"), "garbage").unwrap();
    settle(&folder.join("garbage.png"));
    let cache = desktop.path("cache");
    let see = |fault: &str| {
        let seen = desktop.view(&[&folder]);
        assert_eq!(seen.number("thumbnails_ok"), 1.0, "{fault}");
        assert_eq!(seen.failures().len(), 1, "{fault}");
    };
    // Not even root makes a folder in a file.
    fs::write(&cache, "").unwrap();
    see("a file");
    fs::remove_file(&cache).unwrap();
    symlink("cache", &cache).unwrap();
    see("a link to itself");
    fs::remove_file(&cache).unwrap();
    symlink("/proc/self", &cache).unwrap();
    see("a file system without files");
    fs::remove_file(&cache).unwrap();
    fs::create_dir_all(cache.join("thumbnails")).unwrap();
    for name in ["large", "fail"] {
        mkfifoat(CWD, cache.join("thumbnails").join(name), Mode::RUSR | Mode::WUSR).unwrap();
    }
    see("pipes");
}
