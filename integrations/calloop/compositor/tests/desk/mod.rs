//! A compositor for one test, in a folder of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take before a test says that it hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// A folder for what a test writes, and for sockets.
pub struct Desk {
    folder: TempDir,
}

/// A compositor that runs.
pub struct Compositor<'a> {
    desk: &'a Desk,
    process: Child,
    lines: Receiver<String>,
    /// What it has said so far.
    said: Vec<String>,
    /// The name that clients connect by.
    pub name: String,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
        Desk { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program whose display is on this desk.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DISPLAY")
            // What the viewer's toolkit needs to know, and no bus that would outlive the test.
            .env("GDK_BACKEND", "wayland")
            .env("GSK_RENDERER", "cairo")
            .env("GTK_A11Y", "none")
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .stdin(Stdio::null());
        command
    }

    /// Starts a compositor of 800 × 600 pixels with these arguments, and waits until it listens.
    pub fn start(&self, args: &[&str]) -> Compositor<'_> {
        let mut compositor = Compositor::spawn(self, args);
        compositor.name = compositor.wait_for("listening on ");
        compositor
    }

    /// A picture as large as the screen, with these colours on its left and right half.
    pub fn picture(&self, left: Rgb<u8>, right: Rgb<u8>) -> String {
        let path = self.path("wallpaper.png");
        let side = |x, _| if x < 400 { left } else { right };
        RgbImage::from_fn(800, 600, side).save(&path).expect("a picture in the test's folder");
        path.to_str().expect("a plain name").into()
    }
}

impl Compositor<'_> {
    fn spawn<'a>(desk: &'a Desk, args: &[&str]) -> Compositor<'a> {
        let mut command = desk.program(env!("CARGO_BIN_EXE_tine-compositor"));
        command.args(["--size", "800x600", "--screenshot"]).arg(desk.path("shot.png")).args(args);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("built with this test");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Compositor { desk, process, lines, said: Vec::new(), name: String::new() }
    }

    /// Waits for a line that begins so, and gives the rest of it.
    #[track_caller]
    pub fn wait_for(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let Ok(line) = self.lines.recv_timeout(deadline - Instant::now()) else {
                panic!("no “{beginning}…” after {:#?}", self.said);
            };
            self.said.push(line.clone());
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.into();
            }
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// The process that the compositor forked first.
    pub fn template(&self) -> Pid {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("it runs");
        let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        first.and_then(Pid::from_raw).expect("the template runs")
    }

    /// Asks for a screenshot and gives it.
    #[track_caller]
    pub fn screenshot(&mut self) -> RgbImage {
        kill_process(self.pid(), Signal::USR1).expect("it runs");
        self.wait_for("screenshot ");
        self.desk.screenshot()
    }

    /// Waits for its end; nothing that it made is left then.
    #[track_caller]
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + DEADLINE;
        // Its standard output ends with it: clients write elsewhere, and workers end before.
        while let Ok(line) = self.lines.recv_timeout(deadline - Instant::now()) {
            self.said.push(line);
        }
        let status = self.process.wait().expect("our child");
        (status, std::mem::take(&mut self.said))
    }

    /// Tells it to end, and waits for that.
    #[track_caller]
    pub fn end(self) -> (ExitStatus, Vec<String>) {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        self.wait()
    }
}

impl Desk {
    /// The screenshot that was written last.
    #[track_caller]
    pub fn screenshot(&self) -> RgbImage {
        let shot = image::open(self.path("shot.png")).expect("a picture").into_rgb8();
        assert_eq!(shot.dimensions(), (800, 600));
        shot
    }

    /// What runs and was told of this folder: the compositor, its template, workers and clients.
    pub fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().expect("a plain name");
        let listed = fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok);
        let lines = listed.filter_map(|process| {
            // One that has ended meanwhile does not run.
            // A template and its workers have names of their own, and the environment that it was made in.
            let read = |name| fs::read(process.path().join(name)).ok();
            let environment = read("environ")?;
            let told = environment.windows(folder.len()).any(|part| part == folder.as_bytes());
            let line = String::from_utf8_lossy(&read("cmdline")?).replace('\0', " ");
            told.then(|| format!("{}: {line}", process.file_name().display()))
        });
        lines.collect()
    }
}

impl Drop for Compositor<'_> {
    fn drop(&mut self) {
        // It has ended by itself in tests that pass.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Pixels of this colour.
pub fn count(picture: &RgbImage, color: Rgb<u8>) -> usize {
    picture.pixels().filter(|pixel| **pixel == color).count()
}

/// The viewer's program, beside the compositor's; made first if it is not there.
pub fn viewer() -> PathBuf {
    let viewer = Path::new(env!("CARGO_BIN_EXE_tine-compositor")).with_file_name("tine-viewer");
    if !viewer.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--package", "tine-viewer", "--bin", "tine-viewer"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs this").success());
    }
    viewer
}
