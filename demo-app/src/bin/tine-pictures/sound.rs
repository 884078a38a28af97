//! Pictures that are to be shown.

use std::path::Path;
use std::{fs, io};

use crate::encode::Kind;
use crate::manifest::Manifest;
use crate::scene::{self, CORNERS, Random};

/// Names that scripts and careless programs stumble over.
const AWKWARD_NAMES: [&str; 5] = [
    "-starts-with-a-dash.jpg",
    "two words & 100% \"quoted\".jpg",
    "a\nnew line.jpg",
    "日本語 ünïcödé ✓.jpg",
    "no extension",
];

/// Writes `count` pictures, one of each kind after the other, or one of each; then those with
/// awkward names and a symbolic link.
pub(crate) fn write(
    dir: &Path,
    count: Option<usize>,
    random: &mut Random,
    manifest: &mut Manifest,
) -> io::Result<()> {
    let count = count.unwrap_or(Kind::ALL.len());
    let digits = count.max(10).to_string().len();
    for (index, kind) in Kind::ALL.into_iter().cycle().take(count).enumerate() {
        let name = format!("{:0digits$}-{}", index + 1, kind.file_name());
        one(dir, &name, kind, random, manifest)?;
    }
    for name in AWKWARD_NAMES {
        one(dir, name, Kind::JpegBaseline, random, manifest)?;
    }
    // The content counts, not the name.
    one(dir, "a-png-named.jpg", Kind::Png8, random, manifest)?;
    linked(dir, random, manifest)
}

fn one(
    dir: &Path,
    name: &str,
    kind: Kind,
    random: &mut Random,
    manifest: &mut Manifest,
) -> io::Result<()> {
    let image = kind.fitted(scene::paint(random));
    fs::write(dir.join(name), kind.encode(&image)?)?;
    manifest.shown(name, image.dimensions(), kind.corners());
    Ok(())
}

/// A symbolic link to a picture in a hidden folder.
fn linked(dir: &Path, random: &mut Random, manifest: &mut Manifest) -> io::Result<()> {
    let (hidden, name) = (dir.join(".hidden"), "symbolic-link.jpg");
    fs::create_dir_all(&hidden)?;
    let image = scene::paint(random);
    fs::write(hidden.join("target.jpg"), Kind::JpegBaseline.encode(&image)?)?;
    crate::broken::symlink(Path::new(".hidden/target.jpg"), &dir.join(name))?;
    manifest.shown(name, image.dimensions(), CORNERS);
    Ok(())
}
