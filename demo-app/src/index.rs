//! The thread that looks through all names: to arrange them, and to find some among them. It takes what
//! a million names take, and the window does not wait for it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::fs::FileType;

use crate::arrange::{Arrangement, Known, fold};
use crate::catalog::{Catalog, Kind};
use crate::files::describe;
use crate::id_set::IdSet;
use crate::listing::kind;
use crate::monitor;

type Task = Box<dyn FnOnce(&mut Known) + Send>;

/// Looks through names, one task after the other. The thread ends when this is dropped.
pub struct Index {
    tasks: mpsc::Sender<Task>,
    /// The number of the arrangement that was asked for last.
    latest: Arc<AtomicU64>,
}

impl Index {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn start() -> io::Result<Self> {
        let (tasks, receiver) = mpsc::channel::<Task>();
        let run = move || {
            let mut known = Known::default();
            receiver.iter().for_each(|task| task(&mut known));
        };
        thread::Builder::new().name("index".into()).spawn(run)?;
        Ok(Self { tasks, latest: Arc::default() })
    }

    /// Tells the ids to show in order, or nothing if another arrangement was asked for before this
    /// one's turn came.
    pub fn arrange(
        &self,
        catalog: &Catalog,
        gone: &IdSet,
        wanted: &Arrangement,
        tell: impl FnOnce(Option<Vec<u32>>) + Send + 'static,
    ) {
        let number = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
        let latest = Arc::clone(&self.latest);
        let (catalog, gone, wanted) = (catalog.clone(), gone.clone(), wanted.clone());
        self.run(move |known| {
            let is_latest = latest.load(Ordering::Relaxed) == number;
            tell(is_latest.then(|| known.arrange(&catalog, &gone, &wanted)));
        });
    }

    /// Tells the first place from `from` on, and then from the start, whose name begins so. `order` are
    /// the ids by place; without it they are the places.
    pub fn find(
        &self,
        catalog: &Catalog,
        order: Option<Arc<Vec<u32>>>,
        from: u32,
        start: &str,
        tell: impl FnOnce(Option<u32>) + Send + 'static,
    ) {
        let (catalog, start) = (catalog.clone(), fold(start.as_ref()).into_owned());
        self.run(move |_| {
            let len = order.as_ref().map_or(catalog.len(), |order| order.len() as u32);
            let id = |place: u32| order.as_ref().map_or(place, |order| order[place as usize]);
            let mut places = (from..len).chain(0..from.min(len));
            tell(places.find(|place| fold(catalog.name(id(*place))).starts_with(&start)));
        });
    }

    /// Tells what has become of these names in a folder, or of all that are or were in it.
    pub fn look_at(
        &self,
        catalog: &Catalog,
        folder: &Path,
        what: monitor::News,
        tell: impl FnOnce(News) + Send + 'static,
    ) {
        let (catalog, folder) = (catalog.clone(), folder.to_owned());
        self.run(move |known| {
            let (names, trouble) = match what {
                monitor::News::Names(names) => (names, None),
                monitor::News::All => all(&catalog, &folder),
            };
            let news = News { trouble, ..look_at(&catalog, &folder, names) };
            for id in &news.there {
                known.forget(&catalog, *id);
            }
            tell(news);
        });
    }

    fn run(&self, task: impl FnOnce(&mut Known) + Send + 'static) {
        // The thread ends after the sender only; a task that panicked has said so.
        let _gone = self.tasks.send(Box::new(task));
    }
}

/// What has become of names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Known ones that are there: changed, or back.
    pub there: Vec<u32>,
    /// Known ones that are not, or something else now: a folder instead of a picture, or the other way round.
    pub gone: Vec<u32>,
    /// Pictures that are not known.
    pub pictures: Vec<OsString>,
    /// Folders that are not known.
    pub folders: Vec<OsString>,
    /// If all of it was looked at: why the folder cannot be read, in words; empty if it can.
    pub trouble: Option<String>,
}

fn look_at(catalog: &Catalog, folder: &Path, names: HashSet<OsString>) -> News {
    let mut news = News::default();
    let mut names: HashMap<OsString, Option<Now>> = names
        .into_iter()
        .map(|name| {
            let now = now(folder, &name);
            (name, now)
        })
        .collect();
    for chunk in catalog.chunks().filter(|chunk| chunk.folder() == folder) {
        for id in chunk.ids() {
            match names.get_mut(chunk.name(id)) {
                Some(Some(now)) if now.kind == chunk.kind() => {
                    now.is_new = false;
                    news.there.push(id);
                }
                Some(_) => news.gone.push(id),
                None => {}
            }
        }
    }
    for (name, now) in names {
        match now {
            Some(Now { kind: Kind::Picture, is_new: true }) => news.pictures.push(name),
            Some(Now { kind: Kind::Folder, is_new: true }) => news.folders.push(name),
            _ => {}
        }
    }
    news
}

/// All names that are in a folder, or were; and why it cannot be read, if that is so, or nothing.
fn all(catalog: &Catalog, folder: &Path) -> (HashSet<OsString>, Option<String>) {
    let known = catalog.chunks().filter(|chunk| chunk.folder() == folder);
    let known = known.flat_map(|chunk| chunk.ids().map(|id| chunk.name(id).to_owned()));
    let there = std::fs::read_dir(folder);
    let trouble = there.as_ref().err().map(describe).unwrap_or_default();
    let there = there.into_iter().flatten().flatten();
    (known.chain(there.map(|entry| entry.file_name())).collect(), Some(trouble))
}

/// What a name stands for now.
struct Now {
    kind: Kind,
    /// It is to be shown, and not known as what it is.
    is_new: bool,
}

/// What a name stands for now; `None` if it is gone.
fn now(folder: &Path, name: &OsStr) -> Option<Now> {
    let status = rustix::fs::lstat(folder.join(name)).ok()?;
    let file_type = FileType::from_raw_mode(status.st_mode);
    let shown = kind(name, file_type, || rustix::fs::stat(folder.join(name)));
    // What is not shown for its name is known only if somebody asked for it as a picture.
    Some(Now { kind: shown.unwrap_or(Kind::Picture), is_new: shown.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Chunk;

    fn catalog(names: &[&str]) -> Catalog {
        let mut catalog = Catalog::default();
        catalog.push(Arc::new(Chunk::new(0, Kind::Picture, Path::new("/").into(), names)));
        catalog
    }

    #[test]
    fn names_are_found_from_a_place_on_and_around() {
        let index = Index::start().unwrap();
        let catalog = catalog(&["a1", "b", "A2", "c"]);
        let (sender, receiver) = mpsc::channel();
        let find = |order: Option<Vec<u32>>, from, start| {
            let sender = sender.clone();
            let tell = move |place| sender.send(place).unwrap();
            index.find(&catalog, order.map(Arc::new), from, start, tell);
            receiver.recv().unwrap()
        };
        assert_eq!(find(None, 0, "a"), Some(0));
        assert_eq!(find(None, 1, "a"), Some(2));
        assert_eq!(find(None, 3, "A"), Some(0));
        assert_eq!(find(None, 9, "x"), None);
        assert_eq!(find(Some(vec![3, 2]), 0, "a2"), Some(1));
    }

    #[test]
    fn what_has_become_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "new.png", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let mut catalog = Catalog::default();
        let names = ["a.png", "b.png", "c.png"];
        catalog.push(Arc::new(Chunk::new(0, Kind::Picture, folder.path().into(), names)));
        let names = ["a.png", "b.png", "new.png", "notes.txt", "sub", "x.png", ".hidden.png"];
        let names = names.into_iter().map(OsString::from).collect();
        let expected = News {
            there: vec![0],
            gone: vec![1],
            pictures: vec!["new.png".into()],
            folders: vec!["sub".into()],
            trouble: None,
        };
        assert_eq!(look_at(&catalog, folder.path(), names), expected);
    }

    #[test]
    fn a_name_can_stand_for_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("a.png")).unwrap();
        for name in ["b.png", "notes", ".hidden.png"] {
            std::fs::write(path(name), "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        let chunk = |first, kind, names: &[&str]| {
            Arc::new(Chunk::new(first, kind, folder.path().into(), names))
        };
        let mut catalog = Catalog::default();
        catalog.push(chunk(0, Kind::Picture, &["a.png", ".hidden.png"]));
        catalog.push(chunk(2, Kind::Folder, &["b.png", "notes", "link"]));
        let names = ["a.png", "b.png", "notes", "link", ".hidden.png"];
        let names: HashSet<OsString> = names.into_iter().map(OsString::from).collect();
        let expected = News {
            there: vec![1],
            gone: vec![0, 2, 3, 4],
            pictures: vec!["b.png".into()],
            folders: vec!["a.png".into()],
            trouble: None,
        };
        assert_eq!(look_at(&catalog, folder.path(), names.clone()), expected);
        // It is known as both from now on.
        catalog.push(chunk(5, Kind::Folder, &["a.png"]));
        catalog.push(chunk(6, Kind::Picture, &["b.png"]));
        let expected = News { there: vec![1, 5, 6], gone: vec![0, 2, 3, 4], ..News::default() };
        assert_eq!(look_at(&catalog, folder.path(), names), expected);
    }
}
