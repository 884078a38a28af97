//! A person in front of a viewer that runs: keys go in, and what is on the screen is looked at.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::Desktop;

/// Until something on the screen that does not come is said to be missing.
const PATIENCE: Duration = Duration::from_secs(120);

/// A viewer that runs, and a person who uses it.
pub struct Hand<'a> {
    desktop: &'a Desktop,
    viewer: Child,
    window: String,
}

/// What is on the screen.
pub struct Screen(image::RgbaImage);

impl<'a> Hand<'a> {
    /// Starts the viewer, and gives its window the keyboard as soon as there is one.
    pub fn start(desktop: &'a Desktop, mut viewer: Command) -> Self {
        let mut viewer = viewer.spawn().expect("the viewer starts");
        let begun = Instant::now();
        let window = loop {
            let found = desktop.run(&["xdotool", "search", "--onlyvisible", "--class", "tine"]);
            if let Some(window) = found.lines().last() {
                break window.to_owned();
            }
            let ended = viewer.try_wait().expect("the viewer can be waited for");
            assert!(ended.is_none(), "no window, and the viewer has ended: {ended:?}");
            assert!(begun.elapsed() < PATIENCE, "no window");
        };
        let hand = Self { desktop, viewer, window };
        hand.focus();
        hand
    }

    /// Gives the window the keyboard, as a window manager would when a dialog goes.
    pub fn focus(&self) {
        self.desktop.run(&["xdotool", "windowfocus", "--sync", &self.window]);
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: &[&str]) {
        let mut command = vec!["xdotool", "key", "--delay", "50"];
        command.extend(keys);
        self.desktop.run(&command);
    }

    /// Clicks with the left button, `times` in a row.
    pub fn click(&self, at: (u32, u32), times: &str) {
        self.point_at(at);
        self.desktop.run(&["xdotool", "click", "--repeat", times, "--delay", "50", "1"]);
    }

    /// Clicks once with a button: 3 is the right one, 4 and 5 are the wheel's.
    pub fn press_button(&self, at: (u32, u32), button: &str) {
        self.point_at(at);
        self.desktop.run(&["xdotool", "click", button]);
    }

    /// Holds a key down, or lets it go.
    pub fn hold(&self, key: &str, is_down: bool) {
        self.desktop.run(&["xdotool", if is_down { "keydown" } else { "keyup" }, key]);
    }

    fn point_at(&self, (x, y): (u32, u32)) {
        let (x, y) = (x.to_string(), y.to_string());
        self.desktop.run(&["xdotool", "mousemove", "--window", &self.window, &x, &y]);
    }

    /// Moves the window.
    pub fn put_window(&self, (x, y): (u32, u32)) {
        let (x, y) = (x.to_string(), y.to_string());
        self.desktop.run(&["xdotool", "windowmove", "--sync", &self.window, &x, &y]);
    }

    /// Drags from one point of the screen to another.
    pub fn drag(&self, from: (u32, u32), to: (u32, u32)) {
        self.take_to(from, to);
        self.let_go();
    }

    /// Lets go of what is being dragged.
    pub fn let_go(&self) {
        self.desktop.run(&["xdotool", "mouseup", "1"]);
    }

    /// Drags from one point of the screen to another, and holds it there.
    pub fn take_to(&self, from: (u32, u32), to: (u32, u32)) {
        let go = |x: u32, y: u32| {
            self.desktop.run(&["xdotool", "mousemove", "--sync", &x.to_string(), &y.to_string()]);
        };
        let part = |from: u32, to: u32, tenths: u32| (from * (10 - tenths) + to * tenths) / 10;
        go(from.0, from.1);
        self.desktop.run(&["xdotool", "mousedown", "1"]);
        for tenths in 1..=10 {
            go(part(from.0, to.0, tenths), part(from.1, to.1, tenths));
        }
        go(to.0 + 1, to.1);
    }

    /// Looks at the screen until it is as expected, with a hand that trembles while it holds what is dragged: a
    /// program that takes up the drag late learns from the next motion where it is.
    #[track_caller]
    pub fn see_while_dragging(
        &self,
        (x, y): (u32, u32),
        what: &str,
        is_there: impl Fn(&Screen) -> bool,
    ) -> Screen {
        let look = || {
            for x in [x, x + 1] {
                self.desktop.run(&[
                    "xdotool",
                    "mousemove",
                    "--sync",
                    &x.to_string(),
                    &y.to_string(),
                ]);
            }
            self.look()
        };
        Screen::wait_for(what, look, is_there)
    }

    /// Looks at the screen until it is as expected.
    #[track_caller]
    pub fn see(&self, what: &str, is_there: impl Fn(&Screen) -> bool) -> Screen {
        Screen::wait_for(what, || self.look(), is_there)
    }

    /// The viewer's process id.
    pub fn pid(&self) -> u32 {
        self.viewer.id()
    }

    /// Closes the window by its key, and waits for the end.
    #[track_caller]
    pub fn close(mut self) {
        self.press(&["ctrl+w"]);
        let status = self.viewer.wait().expect("the viewer can be waited for");
        assert!(status.success(), "{status}");
    }

    fn look(&self) -> Screen {
        // Not compressed, which takes longer than everything else.
        let path = self.desktop.path("screen.ppm");
        let written = path.to_str().expect("a temporary folder has a plain name");
        self.desktop.run(&["import", "-window", "root", written]);
        Screen::open(&path)
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        // One that was closed has ended; in a test that fails it ends with its desktop.
        let _ended = self.viewer.kill();
        let _reaped = self.viewer.wait();
    }
}

impl Screen {
    /// A screenshot.
    pub fn open(path: &Path) -> Self {
        Self(image::open(path).expect("a screenshot").into_rgba8())
    }

    /// Looks until it is as expected.
    #[track_caller]
    pub fn wait_for(what: &str, look: impl Fn() -> Self, is_there: impl Fn(&Self) -> bool) -> Self {
        let begun = Instant::now();
        loop {
            let screen = look();
            if is_there(&screen) {
                return screen;
            }
            if begun.elapsed() > PATIENCE {
                let path = std::env::temp_dir().join("tine-viewer-unseen.png");
                screen.0.save(&path).expect("a screenshot in the temporary folder");
                panic!("{what} does not come; see {}", path.display());
            }
        }
    }

    /// How many pixels have this colour, but for a little.
    pub fn pixels_of(&self, color: [u8; 3]) -> usize {
        self.places_of(color).count()
    }

    /// Whether so many pixels have this colour.
    pub fn has(&self, color: [u8; 3], pixels: usize) -> bool {
        self.pixels_of(color) >= pixels
    }

    /// The middle of all pixels of this colour.
    pub fn middle_of(&self, color: [u8; 3]) -> (u32, u32) {
        let count = self.pixels_of(color).max(1) as u64;
        let (x, y) = self
            .places_of(color)
            .fold((0, 0), |sum, (x, y)| (sum.0 + u64::from(x), sum.1 + u64::from(y)));
        ((x / count) as u32, (y / count) as u32)
    }

    fn places_of(&self, color: [u8; 3]) -> impl Iterator<Item = (u32, u32)> {
        self.0.enumerate_pixels().filter_map(move |(x, y, pixel)| {
            let near = pixel.0.iter().zip(color).all(|(is, wanted)| is.abs_diff(wanted) <= 3);
            near.then_some((x, y))
        })
    }
}
