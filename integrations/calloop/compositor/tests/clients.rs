//! K5: the compositor with real clients: what is seen, what is told, and what no client can do to it.

mod desk;

use std::fs;
use std::process::Stdio;

use desk::{Desk, count, viewer};
use image::Rgb;
use rustix::process::{Pid, Signal, kill_process};

const RED: Rgb<u8> = Rgb([200, 30, 40]);
const BLUE: Rgb<u8> = Rgb([30, 60, 210]);
const GREEN: Rgb<u8> = Rgb([20, 180, 60]);
/// Behind the windows when there is no wallpaper.
const GREY: Rgb<u8> = Rgb([51, 51, 51]);
const SCREEN: usize = 800 * 600;
const SIMPLE_SHM: usize = 250 * 250;

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().expect("a number")).expect("not 0")
}

#[test]
fn the_screenshot_shows_the_wallpaper_and_the_window_on_it() {
    let desk = Desk::new();
    let picture = desk.picture(RED, BLUE);
    let mut compositor = desk.start(&["--wallpaper", &picture, "--", "weston-simple-shm"]);
    // Which of these comes first is open.
    let mut left = vec!["wallpaper shown", "window 250x250: simple-shm"];
    while !left.is_empty() {
        let line = compositor.wait_for("w");
        left.retain(|wanted| *wanted != format!("w{line}"));
    }
    let shot = compositor.screenshot();
    assert_eq!(*shot.get_pixel(0, 0), RED);
    assert_eq!(*shot.get_pixel(799, 599), BLUE);
    // The window is in the middle, half of it on either colour, and has neither of them itself.
    assert_eq!(count(&shot, RED), (SCREEN - SIMPLE_SHM) / 2);
    assert_eq!(count(&shot, BLUE), (SCREEN - SIMPLE_SHM) / 2);
    // Its frame is white, its middle is not.
    assert_eq!(*shot.get_pixel(275, 175), Rgb([255; 3]));
    assert_eq!(*shot.get_pixel(524, 424), Rgb([255; 3]));
    assert_ne!(*shot.get_pixel(400, 300), Rgb([255; 3]));

    fs::remove_file(desk.path("shot.png")).unwrap();
    let (status, said) = compositor.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert_eq!(count(&desk.screenshot(), RED), (SCREEN - SIMPLE_SHM) / 2);
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn other_clients_connect_by_name() {
    let desk = Desk::new();
    let compositor = desk.start(&[]);
    let info = desk.program("wayland-info").env("WAYLAND_DISPLAY", &compositor.name).output();
    let info = String::from_utf8(info.expect("wayland-info is installed").stdout).unwrap();
    for wanted in ["'xdg_wm_base'", "'wl_shm'", "'wl_seat'", "'wl_data_device_manager'"] {
        assert!(info.contains(wanted), "{wanted} in {info}");
    }
    assert!(info.contains("width: 800 px, height: 600 px"), "{info}");
    assert!(compositor.end().0.success());
    assert_eq!(count(&desk.screenshot(), GREY), SCREEN);
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn a_client_that_is_killed_takes_nothing_along() {
    let desk = Desk::new();
    let mut compositor = desk.start(&[]);
    let mut start = || {
        let mut client = desk.program("weston-simple-shm");
        client.env("WAYLAND_DISPLAY", &compositor.name).stdout(Stdio::null());
        let client = client.spawn().expect("weston is installed");
        compositor.wait_for("window 250x250: simple-shm");
        client
    };
    let (mut first, mut second) = (start(), start());
    first.kill().unwrap();
    first.wait().unwrap();
    compositor.wait_for("window gone: simple-shm");
    // The second is 32 pixels right and down of where the first was.
    let shot = compositor.screenshot();
    assert_eq!(*shot.get_pixel(275 + 31, 175 + 31), GREY);
    assert_eq!(*shot.get_pixel(275 + 32, 175 + 32), Rgb([255; 3]));
    second.kill().unwrap();
    second.wait().unwrap();
    compositor.wait_for("window gone: simple-shm");
    assert_eq!(count(&compositor.screenshot(), GREY), SCREEN);
    assert!(compositor.end().0.success());
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn how_its_client_ended_is_told_with_code_or_signal() {
    let desk = Desk::new();
    let mut compositor = desk.start(&["--", "weston-simple-shm"]);
    let client = pid(&compositor.wait_for("client "));
    compositor.wait_for("window 250x250: simple-shm");
    kill_process(client, Signal::KILL).unwrap();
    let (status, said) = compositor.wait();
    assert_eq!(status.code(), Some(128 + 9));
    let expected = format!("client: worker {client} (weston-simple-shm) was killed by SIGKILL");
    assert!(said.contains(&expected), "{expected} in {said:#?}");

    let (status, said) = desk.start(&["--", "sh", "-c", "exit 3"]).wait();
    assert_eq!(status.code(), Some(3), "{said:#?}");
    let (status, said) = desk.start(&["/no/such/client"]).wait();
    assert_eq!(status.code(), Some(127));
    assert!(said.iter().any(|line| line.contains("/no/such/client")), "{said:#?}");
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn garbage_is_no_wallpaper_and_no_matter() {
    let desk = Desk::new();
    let whole = fs::read(desk.picture(RED, BLUE)).unwrap();
    for (name, octets) in
        [("text", &b"no picture"[..]), ("cut.png", &whole[..whole.len() / 2]), ("empty.png", b"")]
    {
        let path = desk.path(name);
        fs::write(&path, octets).unwrap();
        let mut compositor = desk.start(&["--wallpaper", path.to_str().unwrap()]);
        let reason = compositor.wait_for("no wallpaper: ");
        assert!(reason.contains("decode) failed: "), "{name}: {reason}");
        assert_eq!(count(&compositor.screenshot(), GREY), SCREEN);
        assert!(compositor.end().0.success());
    }
    let nowhere = desk.path("nowhere");
    let mut command = desk.program(env!("CARGO_BIN_EXE_tine-compositor"));
    let output = command.arg("--wallpaper").arg(&nowhere).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(nowhere.to_str().unwrap()));
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn a_template_that_is_killed_is_made_anew() {
    let desk = Desk::new();
    let mut compositor = desk.start(&[]);
    let template = compositor.template();
    kill_process(template, Signal::KILL).unwrap();
    assert_eq!(count(&compositor.screenshot(), GREY), SCREEN);
    assert_ne!(compositor.template(), template);
    let running = desk.processes();
    assert!(running.iter().any(|process| process.contains("tine template")), "{running:#?}");
    assert!(compositor.end().0.success());
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn a_screenshot_that_cannot_be_written_is_told() {
    let desk = Desk::new();
    let mut compositor = desk.start(&["--screenshot", "/no/such/folder/shot.png"]);
    kill_process(compositor.pid(), Signal::USR1).unwrap();
    compositor.wait_for("no screenshot: ");
    assert!(compositor.end().0.success());
    assert_eq!(desk.processes(), [""; 0]);
}

#[test]
fn the_viewer_shows_its_thumbnails_inside() {
    let desk = Desk::new();
    let pictures = desk.path("pictures");
    fs::create_dir(&pictures).unwrap();
    image::RgbImage::from_pixel(640, 640, GREEN).save(pictures.join("green.png")).unwrap();
    let wallpaper = desk.picture(RED, BLUE);
    let viewer = viewer();
    let (viewer, pictures) = (viewer.to_str().unwrap(), pictures.to_str().unwrap());
    let args = ["--wallpaper", &wallpaper, "--", viewer, "--size", "500x400", pictures];
    let mut compositor = desk.start(&args);
    compositor.wait_for("window 500x400: ");
    // The window comes before its pictures do: each look takes as long as a screenshot does.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let mut shot = compositor.screenshot();
    while count(&shot, GREEN) < 160 * 160 * 98 / 100 || *shot.get_pixel(799, 599) != BLUE {
        assert!(std::time::Instant::now() < deadline, "{} green pixels", count(&shot, GREEN));
        shot = compositor.screenshot();
    }
    assert_eq!(*shot.get_pixel(0, 0), RED);
    let (status, said) = compositor.end();
    assert!(status.success(), "{said:#?}");
    assert_eq!(desk.processes(), [""; 0]);
}
