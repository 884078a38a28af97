//! A desktop for one test: an X server without a screen, a session bus, and a home that is thrown
//! away. The viewer runs on it as a person would start it.

#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

pub mod colours;
mod hand;
mod pointer;
mod reader;
mod screen;
mod sway;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

pub use hand::Hand;
pub use pointer::Pointer;
pub use reader::{Reader, Told};
pub use screen::Screen;
pub use sway::Sway;

/// Seconds until a viewer that does not end is said to hang.
const DEADLINE: &str = "300";

/// A desktop that ends with the test.
pub struct Desktop {
    x_server: Child,
    bus: Child,
    display: String,
    /// Where the session's bus is.
    pub bus_address: String,
    /// What the test writes, and the viewer's home.
    folder: TempDir,
}

/// What a viewer left behind.
pub struct Seen {
    /// The figures of its report.
    pub report: serde_json::Value,
    /// The window as it was drawn.
    pub screenshot: image::RgbaImage,
}

impl Desktop {
    /// Starts the servers.
    pub fn start() -> Self {
        // `-noreset`: when the last client leaves, the server would begin anew, and who comes meanwhile is
        // turned away. `-r`: on a busy machine a key would be held down for so long that it is repeated.
        let x_args = ["-displayfd", "1", "-screen", "0", "1920x1200x24"];
        let x_args = x_args.into_iter().chain(["-nolisten", "tcp", "-noreset", "-r"]);
        let mut x_server = Command::new("Xvfb");
        let (x_server, number) = start(x_server.args(x_args));
        let display = format!(":{number}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        // And two clicks would come too late to be one double click.
        let settings = folder.path().join("config/gtk-4.0/settings.ini");
        fs::create_dir_all(settings.parent().expect("it is in a folder")).expect("a new folder");
        fs::write(settings, "[Settings]\ngtk-double-click-time=5000\n").expect("a new file");
        // On Wayland it is a setting of the desktop's.
        let keyfile = folder.path().join("config/glib-2.0/settings/keyfile");
        fs::create_dir_all(keyfile.parent().expect("it is in a folder")).expect("a new folder");
        let mouse = "[org/gnome/desktop/peripherals/mouse]\ndouble-click=5000\n";
        fs::write(keyfile, mouse).expect("a new file");
        let runtime = folder.path().join("runtime");
        fs::create_dir(&runtime).expect("a folder in the temporary one");
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("it is ours");
        // What the bus starts is to be at home here, too: desktops must not share a socket.
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--print-address=1"]);
        put_at_home(&mut bus, folder.path(), &display);
        let (bus, bus_address) = start(&mut bus);
        Self { x_server, bus, display, bus_address, folder }
    }

    /// Opens eyes on its screen.
    pub fn eyes(&self) -> screen::Eyes {
        screen::Eyes::open(&self.display)
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder for pictures.
    pub fn pictures(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder in the temporary one");
        path
    }

    /// The viewer on this desktop. `timeout` ends one that hangs, and answers 124 for it.
    pub fn viewer(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", DEADLINE, env!("CARGO_BIN_EXE_tine-viewer")]);
        self.at_home(&mut command);
        command
    }

    /// Has a program run on this desktop, and at home in the test's folder.
    pub fn at_home(&self, command: &mut Command) {
        put_at_home(command, self.folder.path(), &self.display);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address).stdin(Stdio::null());
    }

    /// Runs a program of this desktop to its end; gives what it prints.
    pub fn run(&self, command: &[&str]) -> String {
        let output = Command::new(command[0])
            .args(&command[1..])
            .env("DISPLAY", &self.display)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A viewer that tries all thumbnails of `paths`, and tells.
    pub fn thorough_viewer(&self, paths: &[&Path]) -> Command {
        let mut command = self.viewer();
        command.args(["--exit-when-idle", "--size", "1000x700"]);
        command.arg("--report").arg(self.path("report.json"));
        command.arg("--screenshot").arg(self.path("screenshot.png"));
        command.args(paths);
        command
    }

    /// What a thorough viewer left behind, which has ended with `output`.
    #[track_caller]
    pub fn seen(&self, output: &Output) -> Seen {
        assert!(output.status.success(), "{output:?}");
        let report = fs::read(self.path("report.json")).expect("a report");
        let screenshot = image::open(self.path("screenshot.png")).expect("a screenshot");
        Seen {
            report: serde_json::from_slice(&report).expect("a report is JSON"),
            screenshot: screenshot.into_rgba8(),
        }
    }

    /// Runs a thorough viewer to its end.
    #[track_caller]
    pub fn view(&self, paths: &[&Path]) -> Seen {
        let output = self.thorough_viewer(paths).output().expect("the viewer starts");
        self.seen(&output)
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for server in [&mut self.x_server, &mut self.bus] {
            // One that has ended by itself is as good.
            let _ended = server.kill();
            let _reaped = server.wait();
        }
    }
}

impl Seen {
    /// A figure of the report that must be a number.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        self.report[name].as_f64().unwrap_or_else(|| panic!("{name} in {}", self.report))
    }

    /// The file names of pictures that failed, sorted, with the reasons.
    pub fn failures(&self) -> Vec<(String, String)> {
        let failures = self.report["failures"].as_array().expect("an array of failures");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let name = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut failures: Vec<_> = failures
            .iter()
            .map(|failure| (name(text(&failure["path"])), text(&failure["reason"])))
            .collect();
        failures.sort();
        failures
    }

    /// How many pixels of the window have this colour, but for a little.
    pub fn pixels_of(&self, color: [u8; 3]) -> usize {
        let is = |pixel: &&image::Rgba<u8>| {
            pixel.0.iter().zip(color).all(|(is, wanted)| is.abs_diff(wanted) <= 3)
        };
        self.screenshot.pixels().filter(is).count()
    }
}

/// The environment of a session whose home is this folder.
fn put_at_home(command: &mut Command, home: &Path, display: &str) {
    command
        .env_remove("WAYLAND_DISPLAY")
        .env("GDK_BACKEND", "x11")
        .env("DISPLAY", display)
        .env("GSETTINGS_BACKEND", "keyfile")
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_RUNTIME_DIR", home.join("runtime"));
}

/// Starts a server that prints one line when it is ready.
fn start(command: &mut Command) -> (Child, String) {
    let mut server = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut line = String::new();
    let stdout = server.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a server's output can be read");
    assert!(!line.is_empty(), "{command:?} does not start");
    (server, line.trim().to_owned())
}

/// Writes a picture of one colour.
pub fn write_plain(path: &Path, width: u32, height: u32, [r, g, b]: [u8; 3]) {
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb([r, g, b]));
    picture.save(path).expect("a picture in the test's folder");
}

/// The processes so many generations below one.
pub fn descendants(pid: u32, generations: u32) -> Vec<u32> {
    if generations == 0 {
        return vec![pid];
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().expect("a process id"))
                .collect::<Vec<_>>()
        })
        .collect();
    children.into_iter().flat_map(|child| descendants(child, generations - 1)).collect()
}

/// Kills a process, unless it has ended by itself.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process has a number");
    let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}
