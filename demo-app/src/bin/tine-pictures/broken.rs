//! What is named like a picture and is none: each must cost a viewer one tile, and no more.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use image::RgbImage;
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;

use crate::encode::Kind;
use crate::manifest::{Expected, Manifest};
use crate::png;
use crate::scene::{self, CORNERS, Random};

/// Writes all of them.
pub(crate) fn write(dir: &Path, random: &mut Random, manifest: &mut Manifest) -> io::Result<()> {
    damaged(dir, random, manifest)?;
    lying(dir, random, manifest)?;
    no_files(dir, manifest)?;
    unreadable(dir, random, manifest)
}

/// A symbolic link, in place of one that is there from an earlier run.
pub(crate) fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    match rustix::fs::symlink(target, link) {
        Err(Errno::EXIST) if link.is_symlink() => Ok(()),
        result => Ok(result?),
    }
}

fn damaged(dir: &Path, random: &mut Random, manifest: &mut Manifest) -> io::Result<()> {
    let image = scene::paint(random);
    let truncated = [
        ("truncated.jpg", Kind::JpegBaseline),
        ("truncated-progressive.jpg", Kind::JpegProgressive),
        ("truncated.png", Kind::Png8),
        ("truncated.webp", Kind::WebP),
        ("truncated.gif", Kind::Gif),
        ("truncated.bmp", Kind::Bmp),
        ("truncated.tiff", Kind::Tiff),
        ("truncated.tga", Kind::Tga),
        ("truncated.qoi", Kind::Qoi),
        ("truncated.hdr", Kind::Hdr),
        ("truncated.exr", Kind::Exr),
        ("truncated.dds", Kind::Dds),
        ("truncated.svg", Kind::Svg),
        ("truncated.svgz", Kind::SvgCompressed),
        ("truncated.jxl", Kind::JpegXl),
    ];
    for (name, kind) in truncated {
        let bytes = kind.encode(&kind.fitted(image.clone()))?;
        fs::write(dir.join(name), &bytes[..bytes.len() * 6 / 10])?;
        manifest.add(name, Expected::Broken("ends too early"));
    }
    flipped(dir, &image, random, manifest)
}

fn flipped(
    dir: &Path,
    image: &RgbImage,
    random: &mut Random,
    manifest: &mut Manifest,
) -> io::Result<()> {
    let checked = Expected::Broken("flipped bits, under a checksum");
    let unchecked = Expected::Either("flipped bits, without a checksum");
    let flipped = [
        ("bit-flipped.png", Kind::Png8, checked),
        ("bit-flipped.jpg", Kind::JpegBaseline, unchecked),
    ];
    for (name, kind, expected) in flipped {
        let mut bytes = kind.encode(image)?;
        let (from, to) = (bytes.len() as u32 / 2, bytes.len() as u32 - 64);
        for _ in 0..20 {
            bytes[random.between(from, to) as usize] ^= 1 << random.between(0, 8);
        }
        fs::write(dir.join(name), bytes)?;
        manifest.add(name, expected);
    }
    Ok(())
}

fn lying(dir: &Path, random: &mut Random, manifest: &mut Manifest) -> io::Result<()> {
    let garbage: Vec<u8> = (0..5000).map(|_| random.next() as u8).collect();
    let marked = [&[0xFF, 0xD8, 0xFF, 0xE0], &garbage[..]].concat();
    let lies = [
        ("garbage.jpg", garbage, "random octets"),
        ("garbage-with-a-jpeg-head.jpg", marked, "random octets after a JPEG's first four"),
        ("text.png", b"This is a text.\n".to_vec(), "a text"),
        ("empty.jpg", Vec::new(), "empty"),
        ("claims-60000x60000.png", png::claiming(60_000, 60_000, false)?, "far too large a claim"),
        ("claims-two-gigabytes.png", png::claiming(16_000, 16_000, true)?, "far too deep a claim"),
        ("no-pixels.png", png::claiming(0, 7, false)?, "no pixels"),
    ];
    for (name, bytes, why) in lies {
        fs::write(dir.join(name), bytes)?;
        manifest.add(name, Expected::Broken(why));
    }
    Ok(())
}

fn no_files(dir: &Path, manifest: &mut Manifest) -> io::Result<()> {
    fs::create_dir_all(dir.join("directory.png"))?;
    manifest.add("directory.png", Expected::Either("a directory"));
    let mode = Mode::from_raw_mode(0o600);
    match rustix::fs::mknodat(CWD, dir.join("pipe.jpg"), FileType::Fifo, mode, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    manifest.add("pipe.jpg", Expected::Broken("a pipe without a writer"));
    symlink(Path::new("nowhere.jpg"), &dir.join("dangling-link.jpg"))?;
    manifest.add("dangling-link.jpg", Expected::Broken("a link to nothing"));
    symlink(Path::new("loop.jpg"), &dir.join("loop.jpg"))?;
    manifest.add("loop.jpg", Expected::Broken("a link to itself"));
    Ok(())
}

/// A sound picture that nobody may read, except root.
fn unreadable(dir: &Path, random: &mut Random, manifest: &mut Manifest) -> io::Result<()> {
    let (name, image) = ("unreadable.jpg", scene::paint(random));
    let path = dir.join(name);
    if path.exists() {
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    }
    fs::write(&path, Kind::JpegBaseline.encode(&image)?)?;
    fs::set_permissions(&path, Permissions::from_mode(0o000))?;
    if File::open(&path).is_ok() {
        manifest.shown(name, image.dimensions(), CORNERS);
    } else {
        manifest.add(name, Expected::Broken("nobody may read it"));
    }
    Ok(())
}
