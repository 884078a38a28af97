//! Reads folders in a thread of its own, so that a slow disk never holds the window, and tells of
//! the names in pieces: the first screen at once, the rest as it comes, the order at the end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use lexical_sort::natural_lexical_cmp;

use crate::catalog::{Catalog, Chunk};

/// Names in the first piece: what fills a screen, and is there at once.
const FIRST: usize = 1024;
/// Names in each later piece: few enough for a frame to take in.
const LATER: usize = 16 * 1024;

/// What is taken for a picture, from its name alone: no file is touched while listing.
const EXTENSIONS: [&str; 18] = [
    "apng", "bmp", "gif", "ico", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm",
    "ppm", "qoi", "tif", "tiff", "webp",
];

/// Something to list.
#[derive(Clone, Debug)]
pub enum Source {
    /// All pictures in this folder, except the one named, which is known already.
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
    /// That was all: the ids in the order to show them, unless it is that of the ids.
    Done(Option<Vec<u32>>),
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
    known: Catalog,
    sources: Vec<Source>,
    tell: impl FnMut(Found) -> bool + Send + 'static,
) -> io::Result<()> {
    let mut listing = Listing { catalog: known, names: Vec::new(), tell };
    let run = move || {
        // Nobody listens any more: there is nothing to clean up.
        let _stopped = listing.run(sources);
    };
    thread::Builder::new().name("listing".into()).spawn(run).map(drop)
}

/// Nobody listens any more.
struct Stopped;

struct Listing<T> {
    catalog: Catalog,
    /// Found in the current folder and not yet told.
    names: Vec<OsString>,
    tell: T,
}

impl<T: FnMut(Found) -> bool> Listing<T> {
    fn run(&mut self, sources: Vec<Source>) -> Result<(), Stopped> {
        for source in sources {
            match source {
                Source::Folder(folder, known) => self.read(&folder, known)?,
                Source::File(file) => self.add_file(&file)?,
            }
        }
        let order = self.order();
        self.tell(Found::Done(order))
    }

    fn read(&mut self, folder: &Path, known: Option<OsString>) -> Result<(), Stopped> {
        let shared: Arc<Path> = folder.into();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.tell(Found::Unreadable(folder.into(), error)),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.names.push(entry.file_name()),
                Err(error) => {
                    self.tell(Found::Unreadable(folder.into(), error))?;
                    break;
                }
            }
            let last = self.names.len() - 1;
            if !is_picture(&self.names[last]) || known.as_ref() == Some(&self.names[last]) {
                self.names.pop();
            } else if self.names.len() == if self.catalog.len() == 0 { FIRST } else { LATER } {
                self.publish(&shared)?;
            }
        }
        self.publish(&shared)
    }

    fn add_file(&mut self, file: &Path) -> Result<(), Stopped> {
        let (folder, name) = split(file);
        self.names.push(name);
        self.publish(&folder.into())
    }

    fn publish(&mut self, folder: &Arc<Path>) -> Result<(), Stopped> {
        if self.names.is_empty() {
            return Ok(());
        }
        let mut names = std::mem::take(&mut self.names);
        names.sort_by(|a, b| natural_lexical_cmp(&a.to_string_lossy(), &b.to_string_lossy()));
        let chunk = Arc::new(Chunk::new(self.catalog.len(), Arc::clone(folder), names));
        self.catalog.push(Arc::clone(&chunk));
        self.tell(Found::Names(chunk))
    }

    /// The ids by name, or `None` if that is the order they have.
    fn order(&self) -> Option<Vec<u32>> {
        let mut order: Vec<u32> = (0..self.catalog.len()).collect();
        order.sort_by(|&a, &b| {
            let names = [a, b].map(|id| self.catalog.name(id).to_string_lossy());
            natural_lexical_cmp(&names[0], &names[1]).then(a.cmp(&b))
        });
        (!order.is_sorted()).then_some(order)
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

/// Whether a name is that of a picture. Hidden files are not shown.
fn is_picture(name: &OsString) -> bool {
    let extension = Path::new(name).extension().map(OsStrExt::as_bytes).unwrap_or_default();
    !name.as_bytes().starts_with(b".")
        && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists without a thread; the names in the order to show them, and how many pieces they came in.
    fn listed(known: Catalog, sources: Vec<Source>) -> (Vec<OsString>, usize, usize) {
        let mut catalog = known.clone();
        let (mut pieces, mut unreadable, mut order) = (0, 0, None);
        let tell = |found| {
            match found {
                Found::Names(chunk) => {
                    catalog.push(chunk);
                    pieces += 1;
                }
                Found::Unreadable(..) => unreadable += 1,
                Found::Done(ids) => order = ids,
            }
            true
        };
        let mut listing = Listing { catalog: known, names: Vec::new(), tell };
        assert!(listing.run(sources).is_ok());
        let order = order.unwrap_or_else(|| (0..catalog.len()).collect());
        let names = order.into_iter().map(|id| catalog.name(id).to_owned()).collect();
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
    fn numbers_sort_as_numbers_and_case_does_not_matter() {
        let names =
            ["b10.png", "B9.PNG", "a.jpg", "ä.png", "c.txt", ".hidden.png", "noext", "z.webp"];
        let folder = folder_with(names.map(String::from));
        let (names, ..) =
            listed(Catalog::default(), vec![Source::Folder(folder.path().into(), None)]);
        assert_eq!(names, ["a.jpg", "ä.png", "B9.PNG", "b10.png", "z.webp"]);
    }

    #[test]
    fn many_names_come_in_pieces_and_in_order_at_last() {
        let count = FIRST + LATER + 10;
        let folder = folder_with((0..count).map(|number| format!("{number}.png")));
        let (names, pieces, _) =
            listed(Catalog::default(), vec![Source::Folder(folder.path().into(), None)]);
        assert_eq!(pieces, 3);
        let expected: Vec<_> =
            (0..count).map(|number| OsString::from(format!("{number}.png"))).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_known_file_is_listed_once_and_other_sources_follow() {
        let folder = folder_with(["1.png", "2.png", "3.png"].map(String::from));
        let mut known = Catalog::default();
        known.push(Arc::new(Chunk::new(0, folder.path().into(), [OsString::from("2.png")])));
        let sources = vec![
            Source::Folder(folder.path().into(), Some("2.png".into())),
            Source::Folder(folder.path().join("missing"), None),
            Source::File(folder.path().join("0.odd")),
        ];
        let (names, _, unreadable) = listed(known, sources);
        assert_eq!(names, ["0.odd", "1.png", "2.png", "3.png"]);
        assert_eq!(unreadable, 1);
    }

    #[test]
    fn listing_ends_when_nobody_listens() {
        let folder = folder_with(["1.png".into()]);
        let mut listing =
            Listing { catalog: Catalog::default(), names: Vec::new(), tell: |_| false };
        assert!(listing.run(vec![Source::Folder(folder.path().into(), None)]).is_err());
    }

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(split(Path::new("a.png")), (".".into(), "a.png".into()));
        assert_eq!(split(Path::new("/x/a.png")), ("/x".into(), "a.png".into()));
    }
}
