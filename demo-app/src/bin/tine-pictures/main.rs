//! `tine-pictures DIR [--seed N] [--count N] [--hard-links N]`: pictures to try a viewer with.
//!
//! The same seed gives the same files: every format, depth and compression that the viewer knows,
//! all eight EXIF orientations, awkward names, and things that are no pictures though they are named
//! like some. `manifest.json` beside them tells for each what is to be seen. Shown right side up
//! each picture has the corners red, green, blue and yellow: from the top left in reading order.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

mod broken;
mod encode;
mod links;
mod manifest;
mod png;
mod rare;
mod scene;
mod sound;

use manifest::Manifest;
use scene::Random;

const USAGE: &str = "usage: tine-pictures DIR [--seed N] [--count N] [--hard-links N]

Writes pictures of all kinds into DIR, broken ones too, and manifest.json about them.
  --seed N        other pictures; the same for the same N (1)
  --count N       how many sound pictures (one of each kind)
  --hard-links N  and N more names for them, in DIR/links";

/// What the command line asks for.
struct Options {
    dir: PathBuf,
    seed: u64,
    count: Option<usize>,
    hard_links: usize,
}

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("tine-pictures: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match generate(&options) {
        Ok(manifest) => {
            println!("{}: {}", options.dir.display(), manifest.summary());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tine-pictures: {}: {error}", options.dir.display());
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut dir = None;
    let (mut seed, mut count, mut hard_links) = (1, None, 0);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().ok_or(format!("{argument} needs a number"))?;
            value.parse::<u64>().map_err(|_| format!("{value} is no number"))
        };
        match argument.as_str() {
            "--seed" => seed = number()?,
            "--count" => count = Some(number()? as usize),
            "--hard-links" => hard_links = number()? as usize,
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ if dir.is_some() => return Err(format!("one folder only, not also {argument}")),
            _ => dir = Some(PathBuf::from(&argument)),
        }
    }
    let dir = dir.ok_or("which folder?")?;
    Ok(Options { dir, seed, count, hard_links })
}

fn generate(options: &Options) -> io::Result<Manifest> {
    fs::create_dir_all(&options.dir)?;
    let mut random = Random::new(options.seed);
    let mut manifest = Manifest::new(options.seed);
    sound::write(&options.dir, options.count, &mut random, &mut manifest)?;
    broken::write(&options.dir, &mut random, &mut manifest)?;
    links::write(&options.dir, options.hard_links, &mut manifest)?;
    fs::write(options.dir.join("manifest.json"), manifest.to_json())?;
    Ok(manifest)
}
