//! What is remembered from one start to the next, in a key file: `tine-viewer/settings.ini` in the
//! folder for configuration.

use gtk4::glib;
use std::path::{Path, PathBuf};

use crate::arrange::Sort;
use crate::files::write_whole;
use crate::grid;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Width and height of the window, in logical pixels, when it fills nothing.
    pub window: (i32, i32),
    /// Whether it fills the screen.
    pub maximized: bool,
    /// By what pictures are sorted.
    pub sort: Sort,
    /// The other way round.
    pub reversed: bool,
    /// Width and height of thumbnails, in logical pixels.
    pub side: i32,
    /// Light or dark.
    pub style: Style,
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As the rest of the desktop.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Style {
    const ALL: [(&str, Self); 3] =
        [("system", Self::System), ("light", Self::Light), ("dark", Self::Dark)];

    /// From its word in settings and actions.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.0 == word).map(|known| known.1)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        let [system, light, dark] = Self::ALL.map(|known| known.0);
        match self {
            Self::System => system,
            Self::Light => light,
            Self::Dark => dark,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: (1100, 760),
            maximized: false,
            sort: Sort::default(),
            reversed: false,
            side: grid::SIDE,
            style: Style::default(),
        }
    }
}

/// The group of the key file.
const GROUP: &str = "viewer";
/// No thumbnail is smaller or larger, in logical pixels.
const SIDES: std::ops::RangeInclusive<i32> = 64..=320;
/// No window is remembered that is smaller or larger, in logical pixels.
const WINDOWS: std::ops::RangeInclusive<i32> = 200..=20_000;

impl Settings {
    /// What was remembered. What is missing, or makes no sense, is as at the first start.
    pub fn load() -> Self {
        let file = glib::KeyFile::new();
        match file.load_from_file(path(), glib::KeyFileFlags::NONE) {
            Ok(()) => Self::read(&file),
            Err(_) => Self::default(),
        }
    }

    /// Remembers this. A home that cannot be written to keeps what it has.
    ///
    /// # Errors
    ///
    /// What the kernel says of the folder or the disk.
    pub fn save(&self) -> std::io::Result<()> {
        let path = path();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        write_whole(&path, self.write().to_data().as_bytes())
    }

    fn read(file: &glib::KeyFile) -> Self {
        let default = Self::default();
        let number = |key, range: &std::ops::RangeInclusive<i32>| {
            file.integer(GROUP, key).ok().filter(|number| range.contains(number))
        };
        let word = |key| file.string(GROUP, key).ok();
        let size = number("width", &WINDOWS).zip(number("height", &WINDOWS));
        Self {
            window: size.unwrap_or(default.window),
            maximized: file.boolean(GROUP, "maximized").unwrap_or(default.maximized),
            sort: word("sort").and_then(|word| Sort::from_word(&word)).unwrap_or(default.sort),
            reversed: file.boolean(GROUP, "reversed").unwrap_or(default.reversed),
            side: number("thumbnails", &SIDES).unwrap_or(default.side),
            style: word("style").and_then(|word| Style::from_word(&word)).unwrap_or_default(),
        }
    }

    fn write(&self) -> glib::KeyFile {
        let file = glib::KeyFile::new();
        file.set_integer(GROUP, "width", self.window.0);
        file.set_integer(GROUP, "height", self.window.1);
        file.set_boolean(GROUP, "maximized", self.maximized);
        file.set_string(GROUP, "sort", self.sort.word());
        file.set_boolean(GROUP, "reversed", self.reversed);
        file.set_integer(GROUP, "thumbnails", self.side);
        file.set_string(GROUP, "style", self.style.word());
        file
    }
}

fn path() -> PathBuf {
    Path::new(&glib::user_config_dir()).join("tine-viewer/settings.ini")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let settings = Settings {
            window: (800, 600),
            maximized: true,
            sort: Sort::Size,
            reversed: true,
            side: 256,
            style: Style::Dark,
        };
        assert_eq!(Settings::read(&settings.write()), settings);
    }

    #[test]
    fn nonsense_is_as_at_the_first_start() {
        let file = glib::KeyFile::new();
        assert_eq!(Settings::read(&file), Settings::default());
        let nonsense = "[viewer]\nwidth=-5\nheight=9\nsort=colour\nthumbnails=1000000\nstyle=\n";
        file.load_from_data(nonsense, glib::KeyFileFlags::NONE).unwrap();
        assert_eq!(Settings::read(&file), Settings::default());
    }
}
