//! A huge folder that takes no room: many names for few files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::manifest::Manifest;

/// ext4 allows 65,000 names for a file.
const NAMES_PER_FILE: usize = 60_000;

/// Gives the sound pictures in `dir` `count` more names, in `dir/links`, in turn; copies are made
/// when a file has had its share.
pub(crate) fn write(dir: &Path, count: usize, manifest: &mut Manifest) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let folder = dir.join("links");
    fs::create_dir(&folder)?;
    // A link that leads somewhere from `dir` leads nowhere from its folder.
    let is_file = |path: &PathBuf| path.is_file() && !path.is_symlink();
    let mut originals: Vec<PathBuf> =
        manifest.sound().map(|name| dir.join(name)).filter(is_file).collect();
    if originals.is_empty() {
        return Err(io::Error::other("there is no picture to link to"));
    }
    let round = originals.len() * NAMES_PER_FILE;
    for number in 0..count {
        if number > 0 && number % round == 0 {
            copy_all(&mut originals, &folder, number)?;
        }
        let original = &originals[number % originals.len()];
        fs::hard_link(original, folder.join(link_name(original, number)))?;
    }
    manifest.set_hard_links(count);
    Ok(())
}

/// Replaces each of `originals` by a fresh copy, hidden in `folder`.
fn copy_all(originals: &mut [PathBuf], folder: &Path, number: usize) -> io::Result<()> {
    for (index, original) in originals.iter_mut().enumerate() {
        let mut copy = folder.join(format!(".original-{number}-{index}"));
        if let Some(extension) = original.extension() {
            copy.set_extension(extension);
        }
        fs::copy(&*original, &copy)?;
        *original = copy;
    }
    Ok(())
}

fn link_name(original: &Path, number: usize) -> PathBuf {
    let name = PathBuf::from(format!("{number:07}"));
    original.extension().map_or(name.clone(), |extension| name.with_extension(extension))
}
