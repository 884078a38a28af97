//! Which pictures to show and in which order. What takes long is kept from one arrangement to the next:
//! the order by name, and what the files' inodes say.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::catalog::{Catalog, Kind};
use crate::id_set::IdSet;
use crate::natural::push_key;

/// By what pictures are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Numbers by value.
    #[default]
    Name,
    /// When the file was last written; the latest first.
    Time,
    /// Octets; the largest first.
    Size,
}

impl Sort {
    /// All of them, with the words for them in settings and actions.
    pub const ALL: [(&str, Self); 3] =
        [("name", Self::Name), ("time", Self::Time), ("size", Self::Size)];

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.0 == word).map(|known| known.1)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        let [name, time, size] = Self::ALL.map(|known| known.0);
        match self {
            Self::Name => name,
            Self::Time => time,
            Self::Size => size,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrangement {
    /// By what pictures are sorted; folders come first, by name.
    pub sort: Sort,
    /// The other way round.
    pub reversed: bool,
    /// What names must contain, case and accents aside; empty for all.
    pub filter: String,
}

/// What an inode says of a file.
#[derive(Clone, Copy, Debug, Default)]
struct Status {
    /// Nanoseconds since 1970.
    time: i128,
    octets: u64,
}

/// What is known of a catalog's files and was costly to find out.
#[derive(Debug, Default)]
pub struct Known {
    /// All ids, folders first, by name.
    by_name: Vec<u32>,
    /// By id, as far as it was asked for.
    statuses: Vec<Status>,
}

impl Known {
    /// The ids to show, in order.
    pub fn arrange(&mut self, catalog: &Catalog, gone: &IdSet, wanted: &Arrangement) -> Vec<u32> {
        if self.by_name.len() != catalog.len() as usize {
            self.by_name = by_name(catalog);
        }
        let filter = fold(wanted.filter.as_ref()).into_owned();
        let is_shown = |id: &u32| {
            !gone.contains(*id) && (filter.is_empty() || fold(catalog.name(*id)).contains(&filter))
        };
        let mut ids: Vec<u32> = self.by_name.iter().copied().filter(is_shown).collect();
        let pictures = ids.partition_point(|id| catalog.kind(*id) == Kind::Folder);
        self.sort(catalog, &mut ids[pictures..], wanted.sort);
        if wanted.reversed {
            ids[pictures..].reverse();
        }
        ids
    }

    /// Forgets what was known of this file: it has changed.
    pub fn forget(&mut self, catalog: &Catalog, id: u32) {
        if let Some(known) = self.statuses.get_mut(id as usize) {
            *known = status(catalog, id);
        }
    }

    fn sort(&mut self, catalog: &Catalog, ids: &mut [u32], sort: Sort) {
        if sort != Sort::Name {
            self.look(catalog);
        }
        let of = |id: &u32| self.statuses[*id as usize];
        match sort {
            Sort::Name => {}
            Sort::Time => ids.sort_by_key(|id| Reverse(of(id).time)),
            Sort::Size => ids.sort_by_key(|id| Reverse(of(id).octets)),
        }
    }

    fn look(&mut self, catalog: &Catalog) {
        let known = self.statuses.len() as u32;
        self.statuses.extend((known..catalog.len()).map(|id| status(catalog, id)));
    }
}

/// What a file's inode says; nothing of one that is gone.
fn status(catalog: &Catalog, id: u32) -> Status {
    let mask = StatxFlags::MTIME | StatxFlags::SIZE;
    let found = statx(CWD, catalog.path(id), AtFlags::STATX_DONT_SYNC, mask);
    found.map_or_else(
        |_| Status::default(),
        |found| {
            let mtime = found.stx_mtime;
            let time = i128::from(mtime.tv_sec) * 1_000_000_000 + i128::from(mtime.tv_nsec);
            Status { time, octets: found.stx_size }
        },
    )
}

/// All ids: folders first, by name; alike names in the order of their octets, then of their folders.
fn by_name(catalog: &Catalog) -> Vec<u32> {
    let (mut keys, mut ends) = (Vec::new(), Vec::new());
    for id in 0..catalog.len() {
        push_key(&mut keys, catalog.name(id));
        ends.push(keys.len());
    }
    let key = |id: u32| {
        let start = id.checked_sub(1).map_or(0, |before| ends[before as usize]);
        &keys[start..ends[id as usize]]
    };
    let mut ids: Vec<u32> = (0..catalog.len()).collect();
    // Stable: it makes use of the pieces being sorted, and leaves alike names as they were found.
    ids.sort_by(|&a, &b| {
        let kinds = catalog.kind(a).cmp(&catalog.kind(b));
        kinds.then_with(|| key(a).cmp(key(b))).then_with(|| catalog.name(a).cmp(catalog.name(b)))
    });
    ids
}

/// A name without case and accents.
pub fn fold(name: &OsStr) -> Cow<'_, str> {
    match name.to_str() {
        Some(name) if name.is_ascii() => match name.bytes().any(|octet| octet.is_ascii_uppercase())
        {
            true => name.to_ascii_lowercase().into(),
            false => name.into(),
        },
        _ => {
            let lossy = String::from_utf8_lossy(name.as_bytes());
            let folded: String = lexical_sort::iter::iterate_lexical(&lossy).collect();
            folded.to_lowercase().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Chunk;
    use std::path::Path;
    use std::sync::Arc;

    fn catalog(folder: &Path, folders: &[&str], pictures: &[&str]) -> Catalog {
        let mut catalog = Catalog::default();
        for (kind, names) in [(Kind::Picture, pictures), (Kind::Folder, folders)] {
            catalog.push(Arc::new(Chunk::new(catalog.len(), kind, folder.into(), names)));
        }
        catalog
    }

    fn names(catalog: &Catalog, known: &mut Known, gone: &IdSet, wanted: Arrangement) -> String {
        let ids = known.arrange(catalog, gone, &wanted);
        let names: Vec<_> =
            ids.iter().map(|id| catalog.name(*id).to_string_lossy().into_owned()).collect();
        names.join(" ")
    }

    #[test]
    fn by_name_reversed_and_filtered() {
        let catalog = catalog(Path::new("/"), &["z9", "z10"], &["b10", "B9", "Äh", "a1", "gone"]);
        let (mut known, mut gone) = (Known::default(), IdSet::default());
        gone.insert(4);
        let mut of = |wanted| names(&catalog, &mut known, &gone, wanted);
        assert_eq!(of(Arrangement::default()), "z9 z10 a1 Äh B9 b10");
        let reversed = Arrangement { reversed: true, ..Arrangement::default() };
        assert_eq!(of(reversed), "z9 z10 b10 B9 Äh a1");
        for (filter, expected) in [("B", "B9 b10"), ("ah", "Äh"), ("1", "z10 a1 b10"), ("x", "")] {
            let filtered = Arrangement { filter: filter.into(), ..Arrangement::default() };
            assert_eq!(of(filtered), expected);
        }
    }

    #[test]
    fn by_time_and_size() {
        let folder = tempfile::tempdir().unwrap();
        for (name, octets, seconds) in [("a", 1, 30), ("b", 3, 10), ("c", 2, 20), ("d", 2, 20)] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_len(octets).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        }
        let catalog = catalog(folder.path(), &[], &["a", "b", "c", "d", "missing"]);
        let mut known = Known::default();
        let of = |known: &mut Known, sort| {
            let wanted = Arrangement { sort, ..Arrangement::default() };
            names(&catalog, known, &IdSet::default(), wanted)
        };
        assert_eq!(of(&mut known, Sort::Time), "a c d b missing");
        assert_eq!(of(&mut known, Sort::Size), "b c d a missing");
        std::fs::write(folder.path().join("a"), "much more").unwrap();
        assert_eq!(of(&mut known, Sort::Size), "b c d a missing");
        known.forget(&catalog, 0);
        assert_eq!(of(&mut known, Sort::Size), "a b c d missing");
    }

    #[test]
    fn sorts_have_words() {
        for (word, sort) in Sort::ALL {
            assert_eq!((Sort::from_word(word), sort.word()), (Some(sort), word));
        }
        assert_eq!(Sort::from_word("colour"), None);
    }
}
