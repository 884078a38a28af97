//! `cargo bench -p tine-viewer --bench decode -- [DIR] [--tiles DIR]`: how long a worker takes for
//! each picture of a folder, and for all of them, as a tile and as large as a screen.
//!
//! One process, one picture after the other, each the best of three runs. `--tiles` keeps the tiles,
//! to be looked at. What is measured is also a JSON line for each figure, in target/bench/decode.jsonl.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::{RgbImage, RgbaImage};
use serde::Serialize;
use tine_viewer::layout::{PixelFormat, Size};
use tine_viewer::worker::{Picture, Pixels, decode};

const TILE: Size = Size::new(256, 256);
const SCREEN: Size = Size::new(1920, 1080);
const RUNS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut dir, mut tiles) = (PathBuf::from("/usr/share/backgrounds"), None);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tiles" => tiles = arguments.next().map(PathBuf::from),
            _ => dir = PathBuf::from(argument),
        }
    }
    let mut paths = Vec::new();
    find(&dir, &mut paths)?;
    paths.sort();
    let mut figures = Figures::begin()?;
    let (mut tile_total, mut screen_total, mut failed) = (Duration::ZERO, Duration::ZERO, 0);
    println!("{:>9} {:>9}  {:>11}  picture", "tile", "screen", "size");
    for path in &paths {
        let name = path.strip_prefix(&dir).unwrap_or(path).display().to_string();
        match measure(path, TILE) {
            Ok((picture, tile)) => {
                let (_, screen) = measure(path, SCREEN)?;
                let Size { width, height } = picture.original;
                let size = format!("{width}×{height}");
                println!("{:>6.1} ms {:>6.1} ms  {size:>11}  {name}", ms(tile), ms(screen));
                figures.tell(Subject::Picture(&name), tile, screen)?;
                tile_total += tile;
                screen_total += screen;
                if let Some(tiles) = &tiles {
                    keep(picture.pixels, tiles, path)?;
                }
            }
            Err(error) => {
                failed += 1;
                println!("{:>20}  {:>11}  {name}: {error}", "", "");
            }
        }
    }
    let count = paths.len() - failed;
    println!("{:>6.0} ms {:>6.0} ms  {count} pictures", ms(tile_total), ms(screen_total));
    figures.tell(Subject::Pictures(count), tile_total, screen_total)?;
    Ok(())
}

/// The file of JSON lines.
struct Figures(File);

/// A line of it.
#[derive(Serialize)]
struct Figure<'a> {
    bench: &'static str,
    case: &'static str,
    #[serde(flatten)]
    subject: Subject<'a>,
    metric: &'static str,
    value: f64,
    unit: &'static str,
}

/// What was decoded.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Subject<'a> {
    /// One picture, by its path in the folder.
    Picture(&'a str),
    /// So many pictures, which is all that could be.
    Pictures(usize),
}

impl Figures {
    fn begin() -> std::io::Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self(File::create(folder.join("decode.jsonl"))?))
    }

    fn tell(&mut self, subject: Subject, tile: Duration, screen: Duration) -> std::io::Result<()> {
        for (metric, took) in [("tile_ms", tile), ("screen_ms", screen)] {
            // To the microsecond, as in the lines of other benches.
            let value = (ms(took) * 1000.0).round() / 1000.0;
            let (bench, case, unit) = ("decode", "tine-viewer", "ms");
            let figure = Figure { bench, case, subject, metric, value, unit };
            writeln!(self.0, "{}", serde_json::to_string(&figure)?)?;
        }
        Ok(())
    }
}

fn measure(path: &Path, want: Size) -> Result<(Picture, Duration), Box<dyn Error>> {
    let mut best: Option<(Picture, Duration)> = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let picture = decode(File::open(path)?, want)?;
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(_, least)| took < *least) {
            best = Some((picture, took));
        }
    }
    best.ok_or_else(|| "no run".into())
}

fn find(dir: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.is_file() {
            paths.push(path); // never a pipe, which would keep us waiting
        }
    }
    Ok(())
}

fn keep(pixels: Pixels, dir: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
    let Pixels { size: Size { width, height }, format, bytes } = pixels;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let path = dir.join(format!("{name}.tile.png"));
    let written = match format {
        PixelFormat::Rgb8 => RgbImage::from_raw(width, height, bytes).map(|image| image.save(path)),
        PixelFormat::Rgba8Premultiplied => {
            RgbaImage::from_raw(width, height, bytes).map(|image| image.save(path))
        }
    };
    Ok(written.ok_or("a picture has too few octets")??)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
