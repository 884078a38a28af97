//! What is on the screen, and eyes that look at it again as soon as something is drawn.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use x11rb::connection::Connection;
use x11rb::properties::WmSizeHints;
use x11rb::protocol::damage::{ConnectionExt as _, Damage, ReportLevel};
use x11rb::protocol::xproto::{
    AtomEnum, ConnectionExt as _, ImageFormat, MapState, Screen as Root,
};
use x11rb::rust_connection::RustConnection;

/// Until something that does not come is said to be missing.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Pixels that are compared with the ones before them, before they are counted one by one.
const BLOCK: usize = 32;
/// Octets of a pixel: blue, green, red, and one that says nothing.
const PIXEL: usize = 4;

/// Eyes on an X server's screen.
pub struct Eyes {
    server: RustConnection,
    root: Root,
    /// Tells once that something was drawn, and again after it was subtracted.
    damage: Damage,
}

/// What is on the screen.
#[derive(PartialEq, Eq)]
pub struct Screen {
    pixels: Vec<u8>,
    width: usize,
}

impl Eyes {
    /// Opens them.
    pub fn open(display: &str) -> Self {
        let (server, number) = RustConnection::connect(Some(display)).expect("the X server");
        let root = server.setup().roots[number].clone();
        let damage = server.generate_id().expect("ids of X are not used up");
        let version = server.damage_query_version(1, 1).map(|cookie| cookie.reply());
        version.expect("the X server").expect("it has the extension DAMAGE");
        server.damage_create(damage, root.root, ReportLevel::NON_EMPTY).expect("the X server");
        server.flush().expect("the X server");
        Self { server, root, damage }
    }

    /// Looks once.
    pub fn look(&self) -> Screen {
        let (width, height) = (self.root.width_in_pixels, self.root.height_in_pixels);
        let image =
            self.server.get_image(ImageFormat::Z_PIXMAP, self.root.root, 0, 0, width, height, !0);
        let image = image.expect("the X server").reply().expect("an image of the screen");
        let width = usize::from(width);
        assert_eq!(image.data.len(), PIXEL * width * usize::from(height), "octets of a pixel");
        Screen { pixels: image.data, width }
    }

    /// How wide a window is, and how narrow a window manager may make it.
    pub fn widths(&self, window: u32) -> (u32, u32) {
        let geometry = self.server.get_geometry(window).expect("the X server").reply();
        let hints = WmSizeHints::get_normal_hints(&self.server, window).expect("the X server");
        let hints = hints.reply().expect("the window's hints").unwrap_or_default();
        let narrowest = hints.min_size.map_or(1, |(width, _)| width as u32);
        (geometry.expect("the window's geometry").width.into(), narrowest)
    }

    /// Whether programs of any session are told on the screen where the bus of assistive tools is.
    pub fn has_reader(&self) -> bool {
        let name = self.server.intern_atom(false, b"AT_SPI_BUS").expect("the X server").reply();
        let name = name.expect("X knows names").atom;
        let any = AtomEnum::ANY;
        let told = self.server.get_property(false, self.root.root, name, any, 0, 1);
        told.expect("the X server").reply().is_ok_and(|told| !told.value.is_empty())
    }

    /// The windows that are on the screen, menus among them.
    pub fn windows(&self) -> Vec<u32> {
        let tree = self.server.query_tree(self.root.root).expect("the X server").reply();
        let is_shown = |window: &u32| {
            let state = self.server.get_window_attributes(*window).expect("the X server").reply();
            // One that has gone meanwhile is not shown.
            state.is_ok_and(|state| state.map_state == MapState::VIEWABLE)
        };
        tree.expect("the windows of X").children.into_iter().filter(is_shown).collect()
    }

    /// Waits until something is drawn that was not there when this ended before, or for that long.
    pub fn wait(&self, longest: Duration) {
        let end = Instant::now() + longest;
        loop {
            let event = self.server.poll_for_event().expect("the X server");
            let left = end.saturating_duration_since(Instant::now());
            if event.is_some() || left.is_zero() {
                break;
            }
            let mut server = [PollFd::new(self.server.stream(), PollFlags::IN)];
            let left = Timespec::try_from(left).expect("it is a few minutes");
            poll(&mut server, Some(&left)).expect("the X server's socket can be polled");
        }
        self.server.damage_subtract(self.damage, 0u32, 0u32).expect("the X server");
    }
}

impl Screen {
    /// A screenshot.
    pub fn open(path: &Path) -> Self {
        let image = image::open(path).expect("a screenshot").into_rgba8();
        let width = image.width() as usize;
        Self { pixels: with_red_and_blue_swapped(image.into_raw()), width }
    }

    /// Looks until it is as expected. `wait` ends when another look is worth it.
    #[track_caller]
    pub fn wait_for(
        what: &str,
        look: impl Fn() -> Self,
        wait: impl Fn(Duration),
        is_there: impl Fn(&Self) -> bool,
    ) -> Self {
        let begun = Instant::now();
        loop {
            // Before the look: who was stopped meanwhile looks once more.
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let screen = look();
            if is_there(&screen) {
                return screen;
            }
            if left.is_zero() {
                let path = std::env::temp_dir().join("tine-viewer-unseen.png");
                screen.save(&path);
                panic!("{what} does not come; see {}", path.display());
            }
            wait(left);
        }
    }

    fn save(self, path: &Path) {
        let (width, height) = (self.width, self.pixels.len() / PIXEL / self.width);
        let mut rgba = with_red_and_blue_swapped(self.pixels);
        rgba.chunks_exact_mut(PIXEL).for_each(|pixel| pixel[3] = u8::MAX);
        let image = image::RgbaImage::from_raw(width as u32, height as u32, rgba);
        let image = image.expect("width and height are its own");
        image.save(path).expect("a screenshot in the temporary folder");
    }

    /// How many pixels have this colour, but for a little.
    pub fn pixels_of(&self, color: [u8; 3]) -> usize {
        self.rows_of(color).iter().sum()
    }

    /// Whether so many pixels have this colour.
    pub fn has(&self, color: [u8; 3], pixels: usize) -> bool {
        self.pixels_of(color) >= pixels
    }

    /// The middle of all pixels of this colour.
    pub fn middle_of(&self, color: [u8; 3]) -> (u32, u32) {
        let (mut count, mut columns, mut rows) = (0, 0, 0);
        for (row, tally) in self.tally(color).into_iter().enumerate() {
            count += tally.count;
            columns += tally.places;
            rows += row * tally.count;
        }
        let count = count.max(1);
        ((columns / count) as u32, (rows / count) as u32)
    }

    /// How many pixels of each row have this colour.
    pub fn rows_of(&self, color: [u8; 3]) -> Vec<usize> {
        self.tally(color).into_iter().map(|row| row.count).collect()
    }

    /// The pixels of this colour, row by row.
    fn tally(&self, color: [u8; 3]) -> Vec<Tally> {
        let (mut before, mut known): (&[u8], _) = (&[], Tally::default());
        let mut tally = |pixels| {
            let mut row = Tally::default();
            for (number, block) in <[u8]>::chunks(pixels, PIXEL * BLOCK).enumerate() {
                // Most are as the one before, which is known at a fraction of what counting takes.
                if block != before {
                    (before, known) = (block, Tally::of(block, color));
                }
                row.count += known.count;
                row.places += number * BLOCK * known.count + known.places;
            }
            row
        };
        self.pixels.chunks_exact(PIXEL * self.width).map(&mut tally).collect()
    }
}

/// Pixels of one colour, in a row or in a part of it.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: usize,
    /// The sum of their places.
    places: usize,
}

impl Tally {
    /// Those that have this colour, but for a little.
    fn of(pixels: &[u8], [red, green, blue]: [u8; 3]) -> Self {
        let mut tally = Self::default();
        for (place, pixel) in pixels.chunks_exact(PIXEL).enumerate() {
            let is = |octet: usize, wanted: u8| pixel[octet].abs_diff(wanted) <= 3;
            if is(0, blue) && is(1, green) && is(2, red) {
                tally.count += 1;
                tally.places += place;
            }
        }
        tally
    }
}

fn with_red_and_blue_swapped(mut pixels: Vec<u8>) -> Vec<u8> {
    pixels.chunks_exact_mut(PIXEL).for_each(|pixel| pixel.swap(0, 2));
    pixels
}
