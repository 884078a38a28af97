//! A person in front of a viewer that runs: keys go in, and what is on the screen is looked at.

use std::cell::{Cell, RefCell};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::screen::{Eyes, PATIENCE};
use super::{Desktop, Screen};

/// How often a hand trembles that holds something.
const TREMBLE: Duration = Duration::from_millis(100);

/// A viewer that runs, and a person who uses it.
pub struct Hand<'a> {
    desktop: &'a Desktop,
    eyes: Eyes,
    viewer: RefCell<Child>,
    window: String,
}

impl<'a> Hand<'a> {
    /// Starts the viewer, and gives its window the keyboard as soon as there is one.
    pub fn start(desktop: &'a Desktop, mut viewer: Command) -> Self {
        // Into a corner, where nothing is told of what it points at.
        desktop.run(&["xdotool", "mousemove", "--sync", "1919", "1199"]);
        let eyes = desktop.eyes();
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
            // A viewer that has ended draws nothing.
            eyes.wait(TREMBLE);
        };
        let hand = Self { desktop, eyes, viewer: RefCell::new(viewer), window };
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

    /// Presses keys faster than the viewer draws.
    pub fn press_at_once(&self, keys: &[&str]) {
        let mut command = vec!["xdotool", "key", "--delay", "0"];
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

    /// Opens the menu of what is there, and presses a letter of it when it can be seen: before, letters are for what is
    /// under it. Comes back when it is gone.
    #[track_caller]
    pub fn choose(&self, at: (u32, u32), letter: &str) {
        let menu = self.new_window("no menu", || self.press_button(at, "3"));
        self.press(&[letter]);
        self.wait_until("the menu stays", || !self.eyes.windows().contains(&menu));
    }

    /// Does what leads to a dialog, and gives it the keyboard as a window manager would.
    #[track_caller]
    pub fn open_dialog(&self, open: impl FnOnce()) {
        let dialog = self.new_window("no dialog", open).to_string();
        self.desktop.run(&["xdotool", "windowfocus", "--sync", &dialog]);
    }

    /// Does what leads to another window, and waits for it.
    #[track_caller]
    fn new_window(&self, trouble: &str, open: impl FnOnce()) -> u32 {
        let before = self.eyes.windows();
        let new = Cell::new(None);
        open();
        self.wait_until(trouble, || {
            new.set(self.eyes.windows().into_iter().find(|window| !before.contains(window)));
            new.get().is_some()
        });
        new.get().expect("it was waited for")
    }

    /// Waits until it is so.
    #[track_caller]
    pub fn wait_until(&self, trouble: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let windows = self.eyes.windows();
            assert!(begun.elapsed() < PATIENCE, "{trouble}; windows: {windows:?}");
            self.eyes.wait(TREMBLE);
        }
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

    /// Makes the window so wide, as far as it goes.
    pub fn widen_window_to(&self, width: u32) {
        self.desktop.run(&["xdotool", "windowsize", &self.window, &width.to_string(), "650"]);
    }

    /// How wide the window is, and how narrow a window manager may make it.
    pub fn window_widths(&self) -> (u32, u32) {
        self.eyes.widths(self.window.parse().expect("xdotool writes a number"))
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
        let (x, beside, y) = (x.to_string(), (x + 1).to_string(), y.to_string());
        let look = || {
            for x in [&x, &beside] {
                self.desktop.run(&["xdotool", "mousemove", "--sync", x, &y]);
            }
            self.eyes.look()
        };
        Screen::wait_for(what, look, |_| self.wait(what, TREMBLE), is_there)
    }

    /// Looks at the screen until it is as expected.
    #[track_caller]
    pub fn see(&self, what: &str, is_there: impl Fn(&Screen) -> bool) -> Screen {
        Screen::wait_for(what, || self.eyes.look(), |left| self.wait(what, left), is_there)
    }

    /// Waits until something is drawn. A viewer that has ended draws nothing more.
    #[track_caller]
    fn wait(&self, what: &str, left: Duration) {
        let ended = self.viewer.borrow_mut().try_wait().expect("the viewer can be waited for");
        assert!(ended.is_none(), "{what} does not come, and the viewer has ended: {ended:?}");
        self.eyes.wait(left);
    }

    /// Presses keys, again and again until the screen is as expected: for what a person would try again.
    #[track_caller]
    pub fn see_while_pressing(
        &self,
        keys: &[&str],
        what: &str,
        is_there: impl Fn(&Screen) -> bool,
    ) -> Screen {
        let look = || {
            self.press(keys);
            self.eyes.look()
        };
        Screen::wait_for(what, look, |_| self.wait(what, TREMBLE), is_there)
    }

    /// The viewer's process id.
    pub fn pid(&self) -> u32 {
        self.viewer.borrow().id()
    }

    /// Closes the window by its key, and waits for the end.
    #[track_caller]
    pub fn close(self) {
        self.press(&["ctrl+w"]);
        let status = self.viewer.borrow_mut().wait().expect("the viewer can be waited for");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        // One that was closed has ended; in a test that fails it ends with its desktop.
        let _ended = self.viewer.get_mut().kill();
        let _reaped = self.viewer.get_mut().wait();
    }
}
