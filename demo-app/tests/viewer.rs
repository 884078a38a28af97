//! The viewer as a person sees it: what its window shows and what it reports, on whole and on broken
//! pictures.

mod desktop;

use desktop::colours::{BLUE, GREEN, RED};
use desktop::{Desktop, Seen, write_plain};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use tine_viewer::chunk;

/// Pixels of a thumbnail of a large square picture.
const TILE: usize = 160 * 160;

#[track_caller]
fn assert_counts(seen: &Seen, ok: u32, failed: u32) {
    let counts = ["pictures", "thumbnails_ok", "thumbnails_failed"].map(|name| seen.number(name));
    assert_eq!(counts, [ok + failed, ok, failed].map(f64::from), "{}", seen.report);
}

#[test]
fn pictures_of_a_folder_are_on_screen() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("colours");
    write_plain(&folder.join("red.png"), 640, 640, RED);
    write_plain(&folder.join("green.png"), 640, 320, GREEN);
    write_plain(&folder.join("blue.png"), 16, 16, BLUE);
    fs::write(folder.join("notes.txt"), "no picture").unwrap();
    let seen = desktop.view(&[&folder]);
    assert_counts(&seen, 3, 0);
    let around = |expected: usize| expected * 98 / 100..=expected * 102 / 100;
    assert!(around(TILE).contains(&seen.pixels_of(RED)), "{} red", seen.pixels_of(RED));
    assert!(around(TILE / 2).contains(&seen.pixels_of(GREEN)), "{} green", seen.pixels_of(GREEN));
    // Small pictures are not enlarged.
    assert!(around(256).contains(&seen.pixels_of(BLUE)), "{} blue", seen.pixels_of(BLUE));
}

#[test]
fn the_report_is_measured() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("some");
    for number in 0..40 {
        write_plain(&folder.join(format!("{number}.png")), 300, 200, RED);
    }
    let seen = desktop.view(&[&folder]);
    assert_counts(&seen, 40, 0);
    let (first, total) = (seen.number("seconds_to_first_thumbnail"), seen.number("seconds_total"));
    assert!(0.0 < first && first <= total, "{first} of {total} s");
    let (p99, max) = (seen.number("main_loop_stall_ms_p99"), seen.number("main_loop_stall_ms_max"));
    assert!(0.0 < p99 && p99 <= max && max < total * 1e3, "p99 {p99} ms, max {max} ms");
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!((1.0..=processors as f64).contains(&seen.number("workers_started")));
    assert_eq!(seen.number("workers_crashed"), 0.0);
    for rung in ["no new privileges", "seccomp"] {
        assert_eq!(seen.report["posture"][rung], "holds", "{}", seen.report);
    }
    assert_eq!((seen.number("retries"), seen.number("cancelled")), (0.0, 0.0), "{}", seen.report);
    let (app, template, worker) = (
        seen.number("app_peak_rss_kib"),
        seen.number("template_private_kib"),
        seen.number("worker_private_kib_max"),
    );
    // A worker has decoded, the template has not, and neither has ever seen the toolkit.
    assert!(0.0 < template && template < worker && worker < app, "{}", seen.report);
}

#[test]
fn all_kinds_of_pictures_and_of_trouble_are_told_apart() {
    let desktop = Desktop::start();
    let folder = desktop.path("generated");
    let made = Command::new(env!("CARGO_BIN_EXE_tine-pictures")).arg(&folder).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let seen = desktop.view(&[&folder]);
    let failures: BTreeMap<_, _> = seen.failures().into_iter().collect();
    for file in manifest["files"].as_array().unwrap() {
        let (name, expected) = (file["name"].as_str().unwrap(), file["expect"].as_str().unwrap());
        match (expected, failures.get(name)) {
            ("ok", Some(reason)) => panic!("{name} is whole, and fails: {reason}"),
            ("broken", None) => panic!("{name} is shown, and {}", file["why"]),
            _ => {}
        }
    }
    assert!(failures.values().all(|reason| !reason.is_empty()), "{failures:?}");
    assert_eq!(seen.number("workers_crashed"), 0.0, "{failures:?}");
}

#[test]
fn what_is_no_picture_costs_one_tile() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("trouble");
    write_plain(&folder.join("0-good.png"), 400, 400, GREEN);
    fs::write(folder.join("1-garbage.jpg"), "garbage").unwrap();
    fs::create_dir(folder.join("2-directory.png")).unwrap();
    symlink("nowhere", folder.join("3-dangling.png")).unwrap();
    let pipe = Command::new("mkfifo").arg(folder.join("4-pipe.png")).status().unwrap();
    assert!(pipe.success());
    fs::write(folder.join("5-bomb.png"), png_claiming(60_000, 60_000)).unwrap();
    write_plain(&folder.join("6-good.png"), 400, 400, BLUE);
    let whole = fs::read(folder.join("6-good.png")).unwrap();
    fs::write(folder.join("7-truncated.png"), &whole[..whole.len() / 2]).unwrap();
    // Root may read everything.
    let secret = folder.join("8-secret.png");
    write_plain(&secret, 400, 400, RED);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let may_read_all = fs::read(&secret).is_ok();

    let seen = desktop.view(&[&folder]);
    let failures = seen.failures();
    let names: Vec<_> = failures.iter().map(|failure| failure.0.as_str()).collect();
    let mut expected =
        vec!["1-garbage.jpg", "3-dangling.png", "4-pipe.png", "5-bomb.png", "7-truncated.png"];
    if !may_read_all {
        expected.push("8-secret.png");
        assert_eq!(failures[5].1, "permission denied");
    }
    assert_eq!(names, expected, "{failures:?}");
    // 2-directory.png is a folder to go into, whatever its name.
    assert_eq!(failures[1].1, "does not exist");
    assert_eq!(failures[2].1, "is a pipe");
    assert_eq!(seen.number("workers_crashed"), 0.0);
    assert!(seen.pixels_of(GREEN) > TILE * 9 / 10 && seen.pixels_of(BLUE) > TILE * 9 / 10);
}

#[test]
fn one_file_is_shown_large_and_its_folder_listed() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("one");
    write_plain(&folder.join("a.png"), 800, 500, RED);
    write_plain(&folder.join("b.png"), 300, 300, BLUE);
    let seen = desktop.view(&[&folder.join("a.png")]);
    assert_counts(&seen, 2, 0);
    // Pixel for pixel: it fits into the window.
    assert!(seen.pixels_of(RED) >= 800 * 500 * 99 / 100, "{} red", seen.pixels_of(RED));
    assert_eq!(seen.pixels_of(BLUE), 0);
}

#[test]
fn one_broken_file_is_explained() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("one-broken");
    fs::write(folder.join("a.png"), "garbage").unwrap();
    let seen = desktop.view(&[&folder.join("a.png")]);
    assert_counts(&seen, 0, 1);
}

#[test]
fn folders_and_files_mix() {
    let desktop = Desktop::start();
    let (first, second) = (desktop.pictures("first"), desktop.pictures("second"));
    write_plain(&first.join("a.png"), 200, 200, RED);
    write_plain(&second.join("b.png"), 200, 200, GREEN);
    write_plain(&second.join("c.png"), 200, 200, BLUE);
    let seen = desktop.view(&[&first, &second.join("c.png")]);
    assert_counts(&seen, 2, 0);
    assert_eq!(seen.pixels_of(GREEN), 0);
    assert!(seen.pixels_of(RED) > 0 && seen.pixels_of(BLUE) > 0);
}

#[test]
fn an_empty_folder_is_no_trouble() {
    let desktop = Desktop::start();
    let seen = desktop.view(&[&desktop.pictures("empty")]);
    assert_counts(&seen, 0, 0);
    assert!(seen.report["seconds_to_first_thumbnail"].is_null());
}

#[test]
fn what_is_missing_is_told_before_a_window_opens() {
    let desktop = Desktop::start();
    let missing = desktop.path("missing");
    let output = desktop.viewer().arg(&missing).env_remove("DISPLAY").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(missing.to_str().unwrap()), "{stderr}");
}

#[test]
fn without_a_bus_it_works_as_well() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("no-bus");
    write_plain(&folder.join("a.png"), 200, 200, RED);
    let mut viewer = desktop.thorough_viewer(&[&folder]);
    let output = viewer.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").output().unwrap();
    assert_counts(&desktop.seen(&output), 1, 0);
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("no-report");
    let mut viewer = desktop.viewer();
    viewer.arg("--exit-when-idle").arg("--report").arg(desktop.path("no/such/folder.json"));
    let output = viewer.arg(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/folder.json"));
}

/// Workers are killed while they work: others take over, and what each had begun is tried again. A picture
/// is lost only if two were killed over it.
///
/// FEATURES.md: B2, B3.
#[test]
fn killed_workers_are_replaced() {
    const KILLS: usize = 3;
    const PICTURES: usize = 24;
    let desktop = Desktop::start();
    let folder = desktop.pictures("killed");
    // Each takes a worker a while: the bytes are hard to compress and many.
    write_noise(&folder.join("0.png"), 1000);
    for number in 1..PICTURES {
        fs::hard_link(folder.join("0.png"), folder.join(format!("{number}.png"))).unwrap();
    }
    let mut viewer = desktop.thorough_viewer(&[&folder]);
    let viewer = viewer.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let timeout = viewer.id();
    let mut killed = Vec::new();
    while killed.len() < KILLS {
        // The viewer is the child of `timeout`, the template the viewer's, the workers the template's.
        let workers = desktop::descendants(timeout, 3);
        match workers.into_iter().find(|pid| !killed.contains(pid)) {
            Some(pid) => {
                desktop::kill(pid);
                killed.push(pid);
            }
            None => assert!(Path::new(&format!("/proc/{timeout}")).exists(), "it ended too early"),
        }
    }
    let seen = desktop.seen(&viewer.wait_with_output().unwrap());
    let failures = seen.failures();
    assert_eq!(seen.number("pictures"), PICTURES as f64);
    assert_eq!(seen.number("workers_crashed"), KILLS as f64);
    assert!(failures.len() <= KILLS / 2, "{failures:?}");
    assert!(seen.number("retries") <= KILLS as f64, "{}", seen.report);
    assert_eq!(seen.number("thumbnails_ok") as usize, PICTURES - failures.len());
    assert!(failures.iter().all(|failure| failure.1.contains("KILL")), "{failures:?}");
}

fn write_noise(path: &Path, side: u32) {
    let mut state: u32 = 1;
    let picture = image::RgbImage::from_fn(side, side, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [r, g, b, _] = state.to_be_bytes();
        image::Rgb([r, g, b])
    });
    picture.save(path).expect("a picture in the test's folder");
}

/// A PNG that claims a size and has next to nothing.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", &header[..]), (b"IDAT", b""), (b"IEND", b"")] {
        chunk::push(&mut png, name, data);
    }
    png
}
