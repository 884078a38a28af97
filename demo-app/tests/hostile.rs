//! Damaged files of every format: none ends the viewer or a hang in it, each costs its own tile at most,
//! and the pictures between them are shown.
//!
//! With `TINE_HOSTILE` in the environment the files of that folder, and those below, are tried as well:
//! the malformed ones in the sources of gdk-pixbuf, for one.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod desktop;

use desktop::colours::{GREEN, TILE, view};
use desktop::{Desktop, write_plain};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Damaged copies of each picture: one of each kind of damage.
const COPIES: usize = 4;

/// A sequence of numbers, the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// Cut off, with flipped bits all over, with garbage in its header, or with a part of it doubled.
fn damage(octets: &[u8], kind: usize, random: &mut Random) -> Vec<u8> {
    let (mut octets, length) = (octets.to_vec(), octets.len());
    match kind {
        0 => octets.truncate(random.below(length)),
        1 => {
            for _ in 0..32 {
                octets[random.below(length)] ^= 1 << random.below(8);
            }
        }
        2 => {
            // Behind the mark that tells the format.
            for _ in 0..6 {
                octets[12 + random.below((length - 12).min(100))] = random.below(256) as u8;
            }
        }
        _ => {
            let (from, to) = (random.below(length / 2), length / 2 + random.below(length / 2));
            octets.splice(from..from, octets[from..to].to_vec());
        }
    }
    octets
}

/// Damaged copies of the generator's pictures.
fn write_damaged(folder: &Path, originals: &Path) -> usize {
    let status = Command::new(env!("CARGO_BIN_EXE_tine-pictures")).arg(originals).status();
    assert!(status.unwrap().success());
    let manifest = fs::read(originals.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let (mut random, mut count) = (Random(7), 0);
    for file in manifest["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        if file["expect"] == "ok" && name.as_bytes()[0].is_ascii_digit() {
            let octets = fs::read(originals.join(name)).unwrap();
            for kind in 0..COPIES {
                let path = folder.join(format!("{count:04}-{kind}-{name}"));
                fs::write(path, damage(&octets, kind, &mut random)).unwrap();
                count += 1;
            }
        }
    }
    count
}

/// Copies of foreign files, if there are some: named so that they are taken for pictures.
fn add_foreign(folder: &Path, from: &Path) -> usize {
    let mut found: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    let mut count = 0;
    for path in found {
        if path.is_dir() {
            count += add_foreign(folder, &path);
        } else {
            let number = fs::read_dir(folder).unwrap().count();
            fs::copy(&path, folder.join(format!("foreign-{number}.png"))).unwrap();
            count += 1;
        }
    }
    count
}

#[test]
fn damaged_files_cost_their_own_tile_at_most() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("hostile");
    let mut count = write_damaged(&folder, &desktop.path("originals"));
    assert!(count >= 100, "only {count} files");
    if let Some(foreign) = std::env::var_os("TINE_HOSTILE") {
        count += add_foreign(&folder, Path::new(&foreign));
    }
    // First, in the middle, and last.
    for name in ["!.png", "0050.png", "z.png"] {
        write_plain(&folder.join(name), 300, 300, [20, 180, 60]);
    }
    let seen = desktop.view(&[&folder]);
    assert_eq!(seen.number("pictures") as usize, count + 3);
    let failures = seen.failures();
    assert_eq!(
        seen.number("thumbnails_ok") as usize + failures.len(),
        count + 3,
        "some were not tried"
    );
    assert!(
        failures.len() > count / 4,
        "only {} of {count} are seen to be damaged",
        failures.len()
    );
    for (name, reason) in &failures {
        assert!(!name.ends_with("!.png") && name != "0050.png" && name != "z.png", "{reason}");
        assert!((5..250).contains(&reason.len()), "{name}: {reason:?}");
        println!("{name}: {reason}");
    }
    println!("{} workers ended", seen.number("workers_crashed"));
    // The first of them is in view.
    assert!(seen.pixels_of([20, 180, 60]) > 20_000, "{} green", seen.pixels_of([20, 180, 60]));
    // 2 GiB is what a worker may map; it never comes near.
    assert!(seen.number("worker_private_kib_max") < (1 << 20) as f64, "{}", seen.report);
}

/// B2, K3: pictures that take for ever hold up those behind them for seconds, and not each for a minute: they are tried
/// again when nothing else is to be done.
#[test]
fn what_takes_for_ever_comes_last() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("slow");
    let step = "<feMorphology operator='dilate' radius='290'/>".repeat(400);
    let slow = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='600' height='600'>\
         <filter id='f' x='0' y='0' width='1' height='1'>{step}</filter>\
         <rect width='400' height='300' filter='url(#f)'/></svg>"
    );
    // With so many workers all would be held up for three times as long as anybody waits.
    for number in 0..6 * tine::pool::ncpu() {
        fs::write(folder.join(format!("a{number}.svg")), &slow).unwrap();
    }
    write_plain(&folder.join("z.png"), 300, 300, GREEN);
    let hand = view(&desktop, &folder);
    hand.press(&["End"]);
    hand.see("the picture behind them", |screen| screen.has(GREEN, TILE));
    hand.close();
}
