//! The folders that are looked at. They lie below cargo's folder for such things, and are gone afterwards.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use image::RgbImage;
use mozjpeg::{ColorSpace, Compress};
use tempfile::TempDir;

use crate::Plan;
use crate::report::Report;

/// The Debian packages, and where their pictures are.
const PACKAGES: [(&str, &str); 3] = [
    ("mate-backgrounds", "/usr/share/backgrounds/mate"),
    ("gnome-backgrounds", "/usr/share/backgrounds/gnome"),
    ("openclipart-png", "/usr/share/openclipart/png"),
];

/// Pictures of one package, in one folder.
pub struct Set {
    /// The package.
    pub name: &'static str,
    /// The folder.
    pub folder: PathBuf,
    /// The files in it.
    pub files: Vec<PathBuf>,
}

impl Set {
    /// Reads all files, so that they are in memory.
    pub fn warm_up(&self) -> io::Result<()> {
        let mut octets = Vec::new();
        for file in &self.files {
            octets.clear();
            File::open(file)?.read_to_end(&mut octets)?;
        }
        Ok(())
    }
}

/// Where everything is put.
pub fn scratch() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("viewer-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

/// A folder for each package that is installed.
pub fn sets(scratch: &Path, plan: &Plan, report: &mut Report) -> io::Result<Vec<Set>> {
    let mut sets = Vec::new();
    for (name, from) in PACKAGES {
        let mut found = Vec::new();
        if find(Path::new(from), &mut found).is_err() || found.is_empty() {
            report.leave_out(name, format!("there is no picture in {from}"));
            continue;
        }
        found.sort();
        let every = if found.len() > 1000 { plan.every } else { 1 };
        let folder = scratch.join(name);
        fs::create_dir(&folder)?;
        let mut files = Vec::new();
        for path in found.into_iter().step_by(every) {
            let within = path.strip_prefix(from).unwrap_or(&path).to_string_lossy().into_owned();
            let file = folder.join(within.replace('/', "-"));
            copy(&path, &file)?;
            files.push(file);
        }
        sets.push(Set { name, folder, files });
    }
    Ok(sets)
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, found)?;
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Nobody makes thumbnails of what may still be being written.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    settle(to)
}

fn settle(file: &Path) -> io::Result<()> {
    File::options()
        .append(true)
        .open(file)?
        .set_modified(SystemTime::now() - Duration::from_secs(3600))
}

/// A folder with so many names, made by the project's generator.
pub fn hard_links(scratch: &Path, files: usize) -> io::Result<PathBuf> {
    let folder = scratch.join(files.to_string());
    let status = Command::new(env!("CARGO_BIN_EXE_tine-pictures"))
        .arg(&folder)
        .args(["--hard-links", &files.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("tine-pictures: {status}")));
    }
    Ok(folder.join("links"))
}

/// A JPEG of a hundred million pixels.
pub fn large(scratch: &Path) -> io::Result<PathBuf> {
    const SIZE: (u32, u32) = (11_560, 8_660);
    // Not flat, and not noise: what a camera sees is in between.
    let wave = |at: u32, period: u32| (at % period).abs_diff(period / 2) * 510 / period;
    let image = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let grain = x.wrapping_mul(7919) ^ y.wrapping_mul(104_729);
        let light = (wave(x, 613) + wave(y, 419) + wave(x + y, 97)) / 3 + (grain >> 3) % 7;
        image::Rgb([light as u8, (light * 3 / 4) as u8, wave(x ^ y, 251).min(255) as u8])
    });
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(SIZE.0 as usize, SIZE.1 as usize);
    jpeg.set_quality(90.0);
    jpeg.set_fastest_defaults();
    let mut jpeg = jpeg.start_compress(Vec::new())?;
    jpeg.write_scanlines(&image)?;
    let folder = scratch.join("large");
    fs::create_dir(&folder)?;
    let file = folder.join("100-megapixels.jpg");
    fs::write(&file, jpeg.finish()?)?;
    settle(&file)?;
    Ok(file)
}
