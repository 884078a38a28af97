//! The thumbnail cache that all programs of a desktop share, by freedesktop's Thumbnail Managing Standard.
//!
//! ```text
//! files thread   Original::of(path, file) ─ Cache::find ─▶ a file for a worker to decode, a known failure,
//!                                                          or nothing: the worker makes a thumbnail as well
//! saver thread   Saver ◀── what the worker encoded or could not decode ── main loop
//!                  └ waits while the picture may still be being written
//! ```
//!
//! Nothing here runs on the main loop. Another program's thumbnails are untrusted: their keys are read
//! here, within bounds, and their pixels are decoded by a worker like any picture. Of what a worker
//! encoded only the compressed pixels are taken, as they are; everything else in a file that other
//! programs will read is written here.

mod original;
mod place;
mod png;
mod saver;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File};
use std::io::{self, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use tine_viewer::layout::Size;

pub use original::Original;
pub use saver::Saver;

/// Where failures are kept: of this version, because the next may know better.
const FAILURES: &str = concat!("fail/tine-viewer-", env!("CARGO_PKG_VERSION"));
/// Beside the pictures, on media that bring their thumbnails along. Only ever read.
const SHARED: &str = ".sh_thumbnails";
/// The longest file that is taken for a thumbnail, in octets.
const LONGEST: u64 = 16 << 20;

/// The sizes of thumbnails, the side of the square that they fit into in pixels, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 128.
    Normal,
    /// 256.
    Large,
    /// 512.
    XLarge,
    /// 1024.
    XxLarge,
}

impl Class {
    const ALL: [Self; 4] = [Self::Normal, Self::Large, Self::XLarge, Self::XxLarge];

    /// The smallest that covers `side` pixels; `None` if none does.
    pub fn covering(side: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.side() >= side)
    }

    /// The side of the square in pixels.
    pub fn side(self) -> u32 {
        match self {
            Self::Normal => 128,
            Self::Large => 256,
            Self::XLarge => 512,
            Self::XxLarge => 1024,
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Large => "large",
            Self::XLarge => "x-large",
            Self::XxLarge => "xx-large",
        }
    }
}

/// What the cache knows of a picture.
#[derive(Debug)]
enum Found {
    /// A valid thumbnail of the wanted size or larger.
    Thumbnail(File),
    /// There can be none, as this version of the program found out before; in words for people.
    Failure(String),
    /// Nothing.
    Nothing,
}

/// A file for a worker, and what is to become of its answer.
#[derive(Debug)]
pub struct Errand {
    /// The picture, or a thumbnail of it that another program or an earlier run made.
    pub file: OwnedFd,
    /// It is a thumbnail. If that turns out to be broken, the picture is to be tried.
    pub is_cached: bool,
    /// What is to be kept of the picture.
    pub keep: Option<(Original, Class)>,
}

impl Errand {
    /// Without the cache: the picture itself, and nothing is kept.
    pub fn plain(file: OwnedFd) -> Self {
        Self { file, is_cached: false, keep: None }
    }
}

/// The cache of this user. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The folder `thumbnails`.
    root: Arc<Path>,
}

impl Cache {
    /// The cache where the desktop has it.
    pub fn of_user() -> Self {
        Self::at(place::thumbnails())
    }

    fn at(root: PathBuf) -> Self {
        Self { root: root.into() }
    }

    /// What a worker is to do for a tile of `class`, given the picture as it was opened. With `anew` no
    /// thumbnail is looked for.
    ///
    /// # Errors
    ///
    /// There can be none, as this version of the program found out before; in words for people.
    pub fn errand(
        &self,
        path: &Path,
        file: OwnedFd,
        class: Class,
        anew: bool,
    ) -> Result<Errand, String> {
        let Some(original) = Original::of(path, &file) else { return Ok(Errand::plain(file)) };
        let found = if anew { Found::Nothing } else { self.find(&original, class) };
        match found {
            Found::Thumbnail(cached) => {
                Ok(Errand { file: cached.into(), is_cached: true, keep: None })
            }
            Found::Failure(reason) => Err(reason),
            Found::Nothing => {
                let keep = self.may_keep(&original).then_some((original, class));
                Ok(Errand { file, is_cached: false, keep })
            }
        }
    }

    /// Looks for a thumbnail of `class` or larger, then for a failure.
    fn find(&self, original: &Original, class: Class) -> Found {
        let classes = || Class::ALL.into_iter().filter(move |larger| *larger >= class);
        let own = classes().map(|class| (self.path(class.folder(), original), false));
        let shared = classes().filter_map(|class| {
            let name = original.name_beside()?;
            Some((original.folder()?.join(SHARED).join(class.folder()).join(name), true))
        });
        for (path, is_shared) in own.chain(shared) {
            if let Some((file, _)) = valid(&path, original, is_shared) {
                return Found::Thumbnail(file);
            }
        }
        match valid(&self.path(FAILURES, original), original, false) {
            Some((_, keys)) => Found::Failure(keys.reason()),
            None => Found::Nothing,
        }
    }

    /// Whether anything may be written about `original`: not of what lies in the cache itself, nor of
    /// what nobody else sees under the same name.
    fn may_keep(&self, original: &Original) -> bool {
        !original.is_in(&self.root) && !place::is_private(original.path())
    }

    /// Keeps what a worker encoded of a picture of this size.
    ///
    /// # Errors
    ///
    /// - [`io::ErrorKind::InvalidData`] if it is no thumbnail of that picture.
    /// - What the system says of the folder or the disk.
    pub fn keep(
        &self,
        original: &Original,
        class: Class,
        picture: Size,
        encoded: &[u8],
    ) -> io::Result<()> {
        let size = picture.fit_into(Size::new(class.side(), class.side()));
        let pixels = png::compressed_pixels(encoded, size)?;
        let keys = original.keys().with("Thumb::Image::Width", picture.width.to_string());
        let keys = keys.with("Thumb::Image::Height", picture.height.to_string());
        self.write(class.folder(), original, &png::file(size, &keys, &pixels))
    }

    /// Notes that there can be no thumbnail.
    ///
    /// # Errors
    ///
    /// What the system says of the folder or the disk.
    pub fn keep_failure(&self, original: &Original, reason: &str) -> io::Result<()> {
        let keys = original.keys().with(png::REASON, reason);
        self.write(FAILURES, original, &png::empty_file(&keys)?)
    }

    fn path(&self, folder: &str, original: &Original) -> PathBuf {
        self.root.join(folder).join(original.name())
    }

    /// As a whole or not at all, and for nobody else to read.
    fn write(&self, folder: &str, original: &Original, octets: &[u8]) -> io::Result<()> {
        let path = self.path(folder, original);
        let folder = self.root.join(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        // With mode 0600; gone if it is not persisted.
        let mut partial = tempfile::Builder::new().prefix(".tine-viewer-").tempfile_in(&folder)?;
        io::Write::write_all(&mut partial, octets)?;
        partial.persist(path)?;
        Ok(())
    }
}

/// The file and its keys, if it is a thumbnail of the original as that is now.
///
/// Beside the pictures a URI is relative: its last part counts.
fn valid(path: &Path, original: &Original, is_shared: bool) -> Option<(File, png::Keys)> {
    let mut file = open(path)?;
    let keys = png::Keys::read(&mut file).ok()?;
    file.rewind().ok()?;
    let uri = keys.get(png::URI)?;
    let is_its = match is_shared {
        true => last_part(uri) == last_part(original.uri()),
        false => uri == original.uri(),
    };
    // Tumbler adds microseconds, which not every program sees.
    let seconds = keys.get(png::MTIME)?.split('.').next()?;
    (is_its && seconds.parse() == Ok(original.mtime())).then_some((file, keys))
}

fn last_part(uri: &str) -> Option<&str> {
    uri.rsplit('/').next()
}

/// Opens a regular file that is not too long. Anybody may have put something else into its place: a pipe would wait
/// for who writes to it, to open a device may do something, and a link may lead anywhere.
fn open(path: &Path) -> Option<File> {
    let is_good = |about: &Stat| {
        FileType::from_raw_mode(about.st_mode) == FileType::RegularFile
            && u64::try_from(about.st_size).is_ok_and(|octets| octets <= LONGEST)
    };
    rustix::fs::lstat(path).ok().filter(is_good)?;
    // It may have been replaced just now.
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | careful, Mode::empty());
    let file = file.ok()?;
    rustix::fs::fstat(&file).ok().filter(is_good)?;
    Some(file.into())
}
