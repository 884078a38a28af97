//! Reads folders in a thread of its own, so that a slow disk never holds the window, and tells of the
//! names in pieces. No file is touched: a name and what the folder says of it are enough.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};

use crate::catalog::{Catalog, Chunk, Kind};
use crate::natural::push_key;

/// Names in a piece: more than most folders have, and few enough for a frame to take in.
const PIECE: usize = 16 * 1024;
/// A slow disk's names are told after this time, however few they are.
const PATIENCE: Duration = Duration::from_millis(300);
/// Octets that the kernel fills with entries in one call.
const BUFFER: usize = 256 * 1024;

/// What is taken for a picture, from its name alone: no file is touched while listing.
const EXTENSIONS: [&str; 26] = [
    "apng", "avif", "bmp", "dds", "exr", "gif", "hdr", "ico", "jfif", "jpe", "jpeg", "jpg", "jxl",
    "pam", "pbm", "pgm", "png", "pnm", "ppm", "qoi", "svg", "svgz", "tga", "tif", "tiff", "webp",
];

/// Something to list.
#[derive(Clone, Debug)]
pub enum Source {
    /// All pictures and folders in this folder, except the name that is known already.
    Folder(PathBuf, Option<OsString>),
    /// This file, whatever its name.
    File(PathBuf),
}

/// News of the listing.
#[derive(Debug)]
pub enum Found {
    /// More names, sorted among themselves.
    Names(Arc<Chunk>),
    /// A folder that cannot be read, or not to its end.
    Unreadable(PathBuf, io::Error),
    /// That was all.
    Done,
}

/// Lists `sources` in a thread of its own, which ends when all is told, or when `tell` says so by
/// returning false.
///
/// `known` are the names that have ids already; new ids follow on.
///
/// # Errors
///
/// No thread can be started.
pub fn list(
    known: &Catalog,
    sources: Vec<Source>,
    tell: impl FnMut(Found) -> bool + Send + 'static,
) -> io::Result<()> {
    let mut listing = Listing::new(known.len(), tell);
    let run = move || {
        // Nobody listens any more: there is nothing to clean up.
        let _stopped = listing.run(sources);
    };
    thread::Builder::new().name("listing".into()).spawn(run).map(drop)
}

/// Nobody listens any more.
struct Stopped;

struct Listing<T> {
    /// The next id.
    next: u32,
    /// Found in the current folder and not yet told.
    pictures: Vec<OsString>,
    folders: Vec<OsString>,
    told_at: Instant,
    tell: T,
}

impl<T: FnMut(Found) -> bool> Listing<T> {
    fn new(next: u32, tell: T) -> Self {
        let (pictures, folders) = (Vec::new(), Vec::new());
        Self { next, pictures, folders, told_at: Instant::now(), tell }
    }

    fn run(&mut self, sources: Vec<Source>) -> Result<(), Stopped> {
        for source in sources {
            match source {
                Source::Folder(folder, known) => self.list_folder(&folder, known.as_deref())?,
                Source::File(file) => self.add_file(&file)?,
            }
        }
        self.tell(Found::Done)
    }

    fn list_folder(&mut self, folder: &Path, known: Option<&OsStr>) -> Result<(), Stopped> {
        let shared: Arc<Path> = folder.into();
        match self.read(&shared, known) {
            Ok(read) => read?,
            Err(errno) => self.tell(Found::Unreadable(folder.into(), errno.into()))?,
        }
        self.publish(&shared)
    }

    /// Reads to the end or to the kernel's error; what was found before it counts.
    fn read(
        &mut self,
        folder: &Arc<Path>,
        known: Option<&OsStr>,
    ) -> rustix::io::Result<Result<(), Stopped>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&**folder, flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut entries = RawDir::new(directory.as_fd(), buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if known != Some(name) {
                self.add(directory.as_fd(), name, entry.file_type());
            }
            if self.is_piece()
                && let Err(stopped) = self.publish(folder)
            {
                return Ok(Err(stopped));
            }
        }
        Ok(Ok(()))
    }

    fn add(&mut self, directory: BorrowedFd<'_>, name: &OsStr, file_type: FileType) {
        let follow = || rustix::fs::statat(directory, name, AtFlags::empty());
        match kind(name, file_type, follow) {
            Some(Kind::Picture) => self.pictures.push(name.into()),
            Some(Kind::Folder) => self.folders.push(name.into()),
            None => {}
        }
    }

    fn is_piece(&self) -> bool {
        let count = self.pictures.len() + self.folders.len();
        // A look at the clock costs as much as an entry.
        count >= PIECE || count % 64 == 63 && self.told_at.elapsed() > PATIENCE
    }

    fn add_file(&mut self, file: &Path) -> Result<(), Stopped> {
        let (folder, name) = split(file);
        self.pictures.push(name);
        self.publish(&folder.into())
    }

    fn publish(&mut self, folder: &Arc<Path>) -> Result<(), Stopped> {
        for kind in [Kind::Folder, Kind::Picture] {
            let found = match kind {
                Kind::Folder => &mut self.folders,
                Kind::Picture => &mut self.pictures,
            };
            if found.is_empty() {
                continue;
            }
            let mut names = std::mem::take(found);
            names.sort_by_cached_key(|name| {
                let mut key = Vec::new();
                push_key(&mut key, name);
                key
            });
            let chunk = Chunk::new(self.next, kind, Arc::clone(folder), names);
            self.next += chunk.len();
            self.tell(Found::Names(Arc::new(chunk)))?;
        }
        self.told_at = Instant::now();
        Ok(())
    }

    fn tell(&mut self, found: Found) -> Result<(), Stopped> {
        if (self.tell)(found) { Ok(()) } else { Err(Stopped) }
    }
}

/// The folder of a file and its name in there.
pub fn split(file: &Path) -> (PathBuf, OsString) {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_owned();
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    (folder.into(), name)
}

/// What a folder's entry stands for; `None` if it is not shown. Hidden files are not. `follow` tells what
/// it leads to, if the entry does not say.
pub fn kind(
    name: &OsStr,
    file_type: FileType,
    follow: impl FnOnce() -> rustix::io::Result<Stat>,
) -> Option<Kind> {
    if name.as_bytes().starts_with(b".") {
        return None;
    }
    let picture = is_picture(name).then_some(Kind::Picture);
    match file_type {
        FileType::Directory => Some(Kind::Folder),
        // A link named like a picture is taken for one: what it leads to need not be touched.
        FileType::Symlink | FileType::Unknown if picture.is_none() => {
            let file_type = FileType::from_raw_mode(follow().ok()?.st_mode);
            (file_type == FileType::Directory).then_some(Kind::Folder)
        }
        _ => picture,
    }
}

/// Whether a name is that of a picture.
pub fn is_picture(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().map(OsStrExt::as_bytes).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What is told of `sources`: names in the order of their ids, pieces, unreadable folders.
    fn listed(next: u32, sources: Vec<Source>) -> (Vec<OsString>, usize, usize) {
        let (mut names, mut pieces, mut unreadable) = (Vec::new(), 0, 0);
        let tell = |found| {
            match found {
                Found::Names(chunk) => {
                    names.extend(chunk.ids().map(|id| chunk.name(id).to_owned()));
                    pieces += 1;
                }
                Found::Unreadable(..) => unreadable += 1,
                Found::Done => {}
            }
            true
        };
        assert!(Listing::new(next, tell).run(sources).is_ok());
        (names, pieces, unreadable)
    }

    fn folder_with(names: impl IntoIterator<Item = String>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_come_first_and_others_are_left_out() {
        let names = ["b10.png", "B9.PNG", "c.txt", ".hidden.png", "noext", "z.webp"];
        let folder = folder_with(names.map(String::from));
        fs::create_dir(folder.path().join("x.png")).unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        std::os::unix::fs::symlink("x.png", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.gif")).unwrap();
        let (names, ..) = listed(0, vec![Source::Folder(folder.path().into(), None)]);
        assert_eq!(names, ["link", "x.png", "B9.PNG", "b10.png", "dangling.gif", "z.webp"]);
    }

    #[test]
    fn many_names_come_in_sorted_pieces() {
        let count = PIECE + 10;
        let folder = folder_with((0..count).map(|number| format!("{number}.png")));
        let (names, pieces, _) = listed(0, vec![Source::Folder(folder.path().into(), None)]);
        assert!(pieces >= 2, "{pieces}");
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_known_file_is_listed_once_and_other_sources_follow() {
        let folder = folder_with(["1.png", "2.png", "3.png"].map(String::from));
        let sources = vec![
            Source::Folder(folder.path().into(), Some("2.png".into())),
            Source::Folder(folder.path().join("missing"), None),
            Source::File(folder.path().join("0.odd")),
        ];
        let (names, _, unreadable) = listed(1, sources);
        assert_eq!(names, ["1.png", "3.png", "0.odd"]);
        assert_eq!(unreadable, 1);
    }

    #[test]
    fn listing_ends_when_nobody_listens() {
        let folder = folder_with(["1.png".into()]);
        let mut listing = Listing::new(0, |_| false);
        assert!(listing.run(vec![Source::Folder(folder.path().into(), None)]).is_err());
    }

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(split(Path::new("a.png")), (".".into(), "a.png".into()));
        assert_eq!(split(Path::new("/x/a.png")), ("/x".into(), "a.png".into()));
    }
}
