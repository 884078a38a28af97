//! A Wayland desktop for one test: sway without a screen, keys by wtype, and a virtual mouse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Desktop, Pointer, Screen};

/// Until what does not start is said to hang.
const PATIENCE: Duration = Duration::from_secs(60);
const SCREEN: (u32, u32) = (900, 650);
const CONFIG: &str = "output HEADLESS-1 resolution 900x650\n\
                      output * bg #202020 solid_color\n\
                      default_border none\n\
                      xwayland disable\n";

/// What sway calls a viewer's window.
const APP: &str = "\"app_id\": \"io.github.tine.Viewer\"";

/// A desktop that ends with the test. Home, bus and pictures are those of an X desktop beside it.
pub struct Sway<'a> {
    desktop: &'a Desktop,
    sway: Child,
    /// Holds a keyboard, so that there is one all the time: keys are lost that come before a program has taken up
    /// the first one.
    keyboard: Option<Child>,
    display: String,
    control: PathBuf,
}

impl<'a> Sway<'a> {
    /// Starts the compositor.
    pub fn start(desktop: &'a Desktop) -> Self {
        let folder = desktop.path("runtime");
        let config = desktop.path("sway.conf");
        fs::write(&config, CONFIG).expect("a file in the test's folder");
        // sway 1.7 wants to be nobody who could become root again.
        let is_root = rustix::process::getuid().is_root();
        let mut command = Command::new(if is_root { "unshare" } else { "sway" });
        if is_root {
            command.args(["--user", "sway"]);
        }
        let sway = command
            .arg("--config")
            .arg(&config)
            .envs([("WLR_BACKENDS", "headless"), ("WLR_LIBINPUT_NO_DEVICES", "1")])
            .envs([("WLR_RENDERER", "pixman")])
            .env("XDG_RUNTIME_DIR", &folder)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sway starts");
        let display =
            await_entry(&folder, |name| name.starts_with("wayland-") && !name.ends_with(".lock"));
        let control = folder.join(await_entry(&folder, |name| name.starts_with("sway-ipc.")));
        let mut this = Self { desktop, sway, keyboard: None, display, control };
        let mut keyboard = Command::new("wtype");
        this.on_wayland(&mut keyboard);
        let keyboard = keyboard.args(["-k", "Shift_L", "-s", "86400000"]).spawn();
        this.keyboard = Some(keyboard.expect("wtype starts"));
        this
    }

    /// Starts the viewer, and waits until it has a window that has the keyboard. There may be others.
    pub fn view(&self, args: &[&Path]) -> Child {
        let windows = || self.control(&["-t", "get_tree"]).matches(APP).count();
        let before = windows();
        let mut viewer = self.desktop.viewer();
        self.on_wayland(&mut viewer);
        let viewer = viewer.args(args).spawn().expect("the viewer starts");
        let begun = Instant::now();
        while windows() == before {
            assert!(begun.elapsed() < PATIENCE, "no window");
        }
        viewer
    }

    /// Asks all windows to close, as their buttons do.
    pub fn close_all(&self) {
        self.control(&["[app_id=.*] kill"]);
    }

    /// Plugs a mouse in. Programs that are running may not have taken it up yet.
    pub fn pointer(&self) -> Pointer {
        Pointer::new(&self.desktop.path("runtime").join(&self.display), SCREEN)
    }

    /// Has wtype press keys: `-k Right`, or text.
    pub fn press(&self, args: &[&str]) {
        let mut wtype = Command::new("wtype");
        self.on_wayland(&mut wtype);
        let status = wtype.args(args).status().expect("wtype starts");
        assert!(status.success(), "wtype {args:?}: {status}");
    }

    /// Looks at the screen until it is as expected.
    #[track_caller]
    pub fn see(&self, what: &str, is_there: impl Fn(&Screen) -> bool) -> Screen {
        Screen::wait_for(what, || self.look(), |_| (), is_there)
    }

    fn look(&self) -> Screen {
        let path = self.desktop.path("sway.ppm");
        let mut grim = Command::new("grim");
        self.on_wayland(&mut grim);
        // Not compressed, which takes longer than everything else.
        let status = grim.args(["-t", "ppm"]).arg(&path).status().expect("grim starts");
        assert!(status.success(), "grim: {status}");
        Screen::open(&path)
    }

    fn control(&self, args: &[&str]) -> String {
        let output = Command::new("swaymsg")
            .arg("--socket")
            .arg(&self.control)
            .args(args)
            .output()
            .expect("swaymsg starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn on_wayland(&self, command: &mut Command) {
        self.desktop.at_home(command);
        command
            .env_remove("DISPLAY")
            .env("GDK_BACKEND", "wayland")
            .env("WAYLAND_DISPLAY", &self.display);
    }
}

impl Drop for Sway<'_> {
    fn drop(&mut self) {
        for process in self.keyboard.iter_mut().chain([&mut self.sway]) {
            // One that has ended by itself is as good.
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }
}

/// Waits for a socket in the folder.
#[track_caller]
fn await_entry(folder: &Path, is_meant: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        if let Some(name) = names.find(|name| is_meant(name)) {
            return name;
        }
        assert!(begun.elapsed() < PATIENCE, "sway does not start");
        std::thread::yield_now();
    }
}
