//! Flow 2, the worker's side: every kind of file that the generator writes, decoded as a worker
//! does it, against what the generator says is to be seen.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use tine_viewer::layout::{PixelFormat, Size};
use tine_viewer::worker::{DecodeError, Picture, decode};

const TILE: Size = Size::new(256, 256);
/// How far a colour may be off after compression and resampling, of 255.
const TOLERANCE: u8 = 12;

/// A folder of generated pictures.
struct Pictures {
    dir: PathBuf,
    files: Vec<Value>,
}

impl Pictures {
    fn generate(name: &str, options: &[&str]) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        let status = Command::new(env!("CARGO_BIN_EXE_tine-pictures"))
            .arg(&dir)
            .args(options)
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        let manifest = fs::read(dir.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        Self { dir, files: manifest["files"].as_array().unwrap().clone() }
    }

    /// Names and entries of what is expected to be `state`.
    fn expected<'a>(&'a self, state: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let files = self.files.iter().filter(move |file| file["expect"] == state);
        files.map(|file| (file["name"].as_str().unwrap(), file))
    }

    fn decode(&self, name: &str, want: Size) -> Result<Picture, DecodeError> {
        decode(open(&self.dir.join(name))?, want)
    }
}

/// What most tests look at.
static PICTURES: LazyLock<Pictures> = LazyLock::new(|| Pictures::generate("decode", &[]));

/// As the app opens files: a pipe without a writer must not keep it waiting.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn size(file: &Value) -> Size {
    Size::new(file["width"].as_u64().unwrap() as u32, file["height"].as_u64().unwrap() as u32)
}

/// The expected colours of the corners, in reading order.
fn corners(file: &Value) -> Vec<[u8; 3]> {
    let colours = file["corners"].as_array().unwrap().iter();
    let parse = |hex: &str| [1, 3, 5].map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    colours.map(|colour| parse(colour.as_str().unwrap())).collect()
}

/// The colours at a twentieth of the picture from its corners.
fn shown_corners(picture: &Picture) -> Vec<[u8; 3]> {
    let pixels = &picture.pixels;
    let (width, height) = (pixels.size.width as usize, pixels.size.height as usize);
    let step = pixels.format.bytes_per_pixel() as usize;
    let (x, y) = (width / 20, height / 20);
    let at = |x: usize, y: usize| {
        let pixel = &pixels.bytes[(y * width + x) * step..];
        [pixel[0], pixel[1], pixel[2]]
    };
    let (right, bottom) = (width - 1 - x, height - 1 - y);
    vec![at(x, y), at(right, y), at(x, bottom), at(right, bottom)]
}

#[track_caller]
fn assert_alike(shown: &[[u8; 3]], expected: &[[u8; 3]], name: &str) {
    let channels = shown.as_flattened().iter().zip(expected.as_flattened());
    let off = channels.map(|(shown, expected)| shown.abs_diff(*expected)).max().unwrap();
    assert!(off <= TOLERANCE, "{name} shows {shown:?}, not {expected:?}");
}

#[test]
fn all_formats_and_orientations_are_shown_upright_and_fitted() {
    let mut seen = 0;
    for (name, file) in PICTURES.expected("ok") {
        let original = size(file);
        for want in [TILE, Size::new(1000, 100), Size::new(97, 600), Size::UNBOUNDED] {
            let picture =
                PICTURES.decode(name, want).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(picture.original, original, "{name}");
            assert_eq!(picture.pixels.size, original.fit_into(want), "{name}");
            assert_alike(&shown_corners(&picture), &corners(file), name);
        }
        seen += 1;
    }
    assert!(seen >= 45, "only {seen} pictures");
}

#[test]
fn orientation_is_told() {
    for orientation in 1..=8 {
        let suffix = format!("orientation-{orientation}.jpg");
        let (name, _) = PICTURES.expected("ok").find(|(name, _)| name.ends_with(&suffix)).unwrap();
        assert_eq!(PICTURES.decode(name, TILE).unwrap().orientation, orientation);
    }
}

#[test]
fn animations_are_told_and_show_their_first_frame() {
    for (name, file) in PICTURES.expected("ok") {
        let picture = PICTURES.decode(name, TILE).unwrap();
        assert_eq!(picture.animated, name.contains("animated"), "{name}");
        assert_alike(&shown_corners(&picture), &corners(file), name);
    }
}

#[test]
fn a_hole_is_transparent_and_its_hidden_colours_are_gone() {
    for suffix in ["-alpha.png", "-alpha.webp", "-grey-alpha.png"] {
        let (name, _) = PICTURES.expected("ok").find(|(name, _)| name.ends_with(suffix)).unwrap();
        let pixels = PICTURES.decode(name, TILE).unwrap().pixels;
        assert_eq!(pixels.format, PixelFormat::Rgba8Premultiplied, "{name}");
        let middle = (pixels.size.height / 2 * pixels.size.width + pixels.size.width / 2) * 4;
        assert_eq!(pixels.bytes[middle as usize..][..4], [0; 4], "{name}");
    }
}

#[test]
fn broken_files_are_errors_with_a_reason() {
    for (name, _) in PICTURES.expected("broken") {
        let reason = match PICTURES.decode(name, TILE) {
            Ok(picture) => panic!("{name} was decoded: {:?}", picture.original),
            Err(error) => error.to_string(),
        };
        println!("{name}: {reason}");
        assert!((10..200).contains(&reason.len()), "{name}: {reason}");
        let words = match name {
            name if name.starts_with("truncated") => "truncated ",
            "claims-two-gigabytes.png" => {
                "would take 1953 MiB of memory, more than the limit of 512"
            }
            name if name.starts_with("claims") => {
                "claims 60000×60000 pixels, more than the limit of"
            }
            "garbage.jpg" | "text.png" => "not a picture: unknown format",
            "empty.jpg" => "empty",
            "directory.png" | "pipe.jpg" => "not a regular file",
            _ => "",
        };
        assert!(reason.contains(words), "{name}: {reason}");
    }
}

#[test]
fn damaged_files_that_have_no_checksum_are_decoded_or_refused() {
    for (name, _) in PICTURES.expected("either") {
        if let Ok(picture) = PICTURES.decode(name, TILE) {
            assert!(picture.pixels.size.fits_into(TILE), "{name}");
        }
    }
}

/// A JPEG without its end mark is whole; one without its last half is not.
#[test]
fn where_a_jpeg_may_end() {
    let (name, file) = PICTURES.expected("ok").find(|(name, _)| name.contains("baseline")).unwrap();
    let whole = fs::read(PICTURES.dir.join(name)).unwrap();
    let cut = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cut.jpg");
    for (missing, is_shown) in [(2, true), (whole.len() / 2, false), (whole.len() - 4, false)] {
        fs::write(&cut, &whole[..whole.len() - missing]).unwrap();
        match decode(File::open(&cut).unwrap(), TILE) {
            Ok(picture) => {
                assert!(is_shown, "{missing} octets are missing");
                assert_alike(&shown_corners(&picture), &corners(file), name);
            }
            Err(error) => {
                assert!(!is_shown, "{missing} octets are missing: {error}");
                assert_eq!(error.to_string(), "truncated JPEG");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let generate = |name, seed| Pictures::generate(name, &["--seed", seed, "--count", "3"]);
    let (one, two, other) = (generate("one", "5"), generate("two", "5"), generate("other", "6"));
    let read = |from: &Pictures, name: &str| fs::read(from.dir.join(name)).unwrap();
    for (name, _) in one.expected("ok") {
        assert_eq!(read(&one, name), read(&two, name), "{name}");
        assert_ne!(read(&one, name), read(&other, name), "{name}");
    }
    assert_eq!(read(&one, "manifest.json"), read(&two, "manifest.json"));
}
