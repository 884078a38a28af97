//! The names of all pictures, compactly: a million of them is a few dozen megabytes.
//!
//! A picture's id is its place in the order in which names were found. It never changes, whatever
//! order the pictures are shown in.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a name stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A folder in the folder that is shown.
    Folder,
    /// A picture, by its name.
    #[default]
    Picture,
}

/// Names of one kind found in one folder, together; shared with the thread that found them, which sorts.
#[derive(Debug)]
pub struct Chunk {
    /// The id of the first name.
    first: u32,
    kind: Kind,
    folder: Arc<Path>,
    /// All names, one after the other.
    names: Vec<u8>,
    /// Where each name ends in `names`.
    ends: Vec<u32>,
}

impl Chunk {
    /// Collects names in `folder`, the first of which gets the id `first`.
    pub fn new<N: AsRef<OsStr>>(
        first: u32,
        kind: Kind,
        folder: Arc<Path>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let mut chunk = Self { first, kind, folder, names: Vec::new(), ends: Vec::new() };
        for name in names {
            chunk.names.extend(name.as_ref().as_bytes());
            chunk.ends.push(chunk.names.len() as u32);
        }
        chunk.names.shrink_to_fit();
        chunk
    }

    /// The ids of its names.
    pub fn ids(&self) -> Range<u32> {
        self.first..self.first + self.len()
    }

    /// Where its names are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What its names stand for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many names there are.
    pub fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The name with this id.
    pub fn name(&self, id: u32) -> &OsStr {
        let index = (id - self.first) as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        OsStr::from_bytes(&self.names[start as usize..self.ends[index] as usize])
    }
}

/// The names of all pictures, by id.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// In the order of their ids, without gaps.
    chunks: Vec<Arc<Chunk>>,
    len: u32,
}

impl Catalog {
    /// How many pictures there are: ids go from 0 to one less.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Takes in a chunk, which must begin where the last one ended.
    pub fn push(&mut self, chunk: Arc<Chunk>) {
        assert_eq!(chunk.first, self.len, "chunks come in the order of their ids");
        self.len += chunk.len();
        self.chunks.push(chunk);
    }

    /// The name of a picture's file.
    pub fn name(&self, id: u32) -> &OsStr {
        self.chunk(id).name(id)
    }

    /// A picture's file.
    pub fn path(&self, id: u32) -> PathBuf {
        let chunk = self.chunk(id);
        chunk.folder.join(chunk.name(id))
    }

    /// What a name stands for.
    pub fn kind(&self, id: u32) -> Kind {
        self.chunk(id).kind
    }

    /// The names as they were found, in the order of their ids.
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter().map(Arc::as_ref)
    }

    fn chunk(&self, id: u32) -> &Chunk {
        &self.chunks[self.chunks.partition_point(|chunk| chunk.first <= id) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn ids_find_names_across_chunks() {
        let mut catalog = Catalog::default();
        for (first, folder, names) in [(0, "/a", vec!["x.png", "yy.png"]), (2, "/b", vec!["z.gif"])]
        {
            let folder = Path::new(folder).into();
            catalog.push(Arc::new(Chunk::new(first, Kind::Picture, folder, names)));
        }
        assert_eq!(catalog.len(), 3);
        let paths: Vec<_> = (0..3).map(|id| catalog.path(id)).collect();
        assert_eq!(paths, ["/a/x.png", "/a/yy.png", "/b/z.gif"].map(PathBuf::from));
        assert_eq!(catalog.name(1), "yy.png");
    }

    #[test]
    fn names_are_any_octets() {
        let name = OsString::from_vec(b"\xff.png".to_vec());
        let mut catalog = Catalog::default();
        catalog.push(Arc::new(Chunk::new(0, Kind::Picture, Path::new("/").into(), [&name])));
        assert_eq!(catalog.name(0), name);
    }
}
