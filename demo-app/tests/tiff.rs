//! Flow 2, the worker's side: TIFF files of the kinds that scanners, maps and laboratories write. Proves K3 of FEATURES
//! (formats), and for those that claim too much, B2.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::{self, File};
use std::path::Path;

use tine_viewer::layout::Size;
use tine_viewer::worker::{DecodeError, Picture, decode};

const SIDE: usize = 20;
const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];

/// Tags by their numbers in TIFF 6.0.
const BITS: u16 = 258;
const MEANING: u16 = 262;
const SAMPLES: u16 = 277;
const COLOURS: u16 = 320;
const EXTRA: u16 = 338;
const NUMBERS: u16 = 339;

/// A file of `SIDE` by `SIDE` pixels without compression, which are `pixels`; tags with numbers of 16 bits.
fn tiff(is_big_endian: bool, tags: &[(u16, &[u16])], pixels: &[u8]) -> Vec<u8> {
    let two = |value: u16| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let four = |value: u32| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let side = [SIDE as u16];
    let mut all: Vec<(u16, &[u16])> = vec![(256, &side), (257, &side), (259, &[1])];
    all.extend(tags);
    let directory = 8 + pixels.len() as u32;
    let count = all.len() as u32 + 2;
    let mut file = if is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
    file.extend(two(42));
    file.extend(four(directory));
    file.extend(pixels);
    file.extend(two(count as u16));
    let mut values = Vec::new();
    let mut entries: Vec<(u16, Vec<u8>)> = Vec::new();
    for (tag, numbers) in all {
        let octets: Vec<u8> = numbers.iter().flat_map(|number| two(*number)).collect();
        let mut entry = [&two(tag)[..], &two(3), &four(numbers.len() as u32)].concat();
        match octets.len() {
            0..=4 => entry.extend(octets.iter().copied().chain([0; 4]).take(4)),
            _ => {
                entry.extend(four(directory + 2 + count * 12 + 4 + values.len() as u32));
                values.extend(octets);
            }
        }
        entries.push((tag, entry));
    }
    // Where the pixels are, and how many octets.
    for (tag, value) in [(273, 8), (279, pixels.len() as u32)] {
        entries.push((tag, [&two(tag)[..], &two(4), &four(1), &four(value)].concat()));
    }
    entries.sort();
    entries.into_iter().for_each(|(_, entry)| file.extend(entry));
    file.extend(four(0));
    file.extend(values);
    file
}

/// What each pixel of four quarters has, in reading order.
fn quarters<T: Clone>(each: [T; 4]) -> Vec<T> {
    let half = |at: usize| usize::from(at >= SIDE / 2);
    let places = (0..SIDE * SIDE).map(|at| 2 * half(at / SIDE) + half(at % SIDE));
    places.map(|quarter| each[quarter].clone()).collect()
}

fn show(name: &str, file: &[u8]) -> Result<Picture, DecodeError> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, file).unwrap();
    decode(File::open(path).unwrap(), Size::UNBOUNDED)
}

#[track_caller]
fn assert_shows(name: &str, file: &[u8], expected: [[u8; 3]; 4]) {
    let picture = show(name, file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let pixels = &picture.pixels;
    assert_eq!(pixels.size, Size::new(SIDE as u32, SIDE as u32), "{name}");
    let step = pixels.format.bytes_per_pixel() as usize;
    let at = |x: usize, y: usize| pixels.bytes[(y * SIDE + x) * step..][..3].to_vec();
    let last = SIDE - 1;
    let shown = [at(0, 0), at(last, 0), at(0, last), at(last, last)];
    assert_eq!(shown.map(|colour| <[u8; 3]>::try_from(colour).unwrap()), expected, "{name}");
}

/// The colours of the palettes below.
fn palette(count: usize, scale: u16) -> Vec<u16> {
    let colours = [BLACK, RED, GREEN, BLUE, WHITE];
    let part = |part: usize| {
        let listed = move |index: usize| colours.get(index).copied().unwrap_or(BLACK)[part];
        (0..count).map(move |index| u16::from(listed(index)) * scale)
    };
    [0, 1, 2].into_iter().flat_map(part).collect()
}

#[test]
fn palettes_have_their_colours() {
    let indexes = quarters([1, 2, 3, 4]);
    let expected = [RED, GREEN, BLUE, WHITE];
    for is_big_endian in [false, true] {
        // 257: from 255 to 65,535. 1: as some programs write it.
        for scale in [257, 1] {
            let colours = palette(256, scale);
            let tags: [(u16, &[u16]); 3] = [(BITS, &[8]), (MEANING, &[3]), (COLOURS, &colours)];
            assert_shows("palette.tif", &tiff(is_big_endian, &tags, &indexes), expected);
        }
    }
    let packed: Vec<u8> = indexes.chunks(2).map(|two| two[0] << 4 | two[1]).collect();
    let colours = palette(16, 257);
    let tags: [(u16, &[u16]); 3] = [(BITS, &[4]), (MEANING, &[3]), (COLOURS, &colours)];
    assert_shows("palette-4.tif", &tiff(false, &tags, &packed), expected);
}

#[test]
fn grey_may_have_more_than_one_sample() {
    let pixels = quarters([[255, 255], [0, 255], [255, 0], [0, 0]]).concat();
    let tags: [(u16, &[u16]); 4] =
        [(BITS, &[8, 8]), (MEANING, &[1]), (SAMPLES, &[2]), (EXTRA, &[2])];
    // What is transparent is premultiplied to nothing.
    assert_shows("grey-alpha.tif", &tiff(false, &tags, &pixels), [WHITE, BLACK, BLACK, BLACK]);
    let tags: [(u16, &[u16]); 4] =
        [(BITS, &[8, 8]), (MEANING, &[1]), (SAMPLES, &[2]), (EXTRA, &[0])];
    assert_shows("grey-other.tif", &tiff(false, &tags, &pixels), [WHITE, BLACK, WHITE, BLACK]);
}

#[test]
fn what_was_measured_is_shown_from_its_least_to_its_most() {
    let heights = quarters([-80.0_f32, 1720.0, f32::NAN, 820.0]);
    let pixels: Vec<u8> = heights.iter().flat_map(|height| height.to_le_bytes()).collect();
    let tags: [(u16, &[u16]); 3] = [(BITS, &[32]), (MEANING, &[1]), (NUMBERS, &[3])];
    let middle = [128; 3];
    assert_shows("heights.tif", &tiff(false, &tags, &pixels), [BLACK, WHITE, BLACK, middle]);
    let numbers = quarters([-30_000_i16, 30_000, 30_000, -30_000]);
    let pixels: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    let tags: [(u16, &[u16]); 3] = [(BITS, &[16]), (MEANING, &[1]), (NUMBERS, &[2])];
    assert_shows("signed.tif", &tiff(true, &tags, &pixels), [BLACK, WHITE, WHITE, BLACK]);
}

#[test]
fn numbers_may_be_wide() {
    let pixels = quarters([RED, GREEN, BLUE, WHITE]).concat();
    let pixels: Vec<u8> = pixels.iter().flat_map(|colour| [*colour; 4]).collect();
    let tags: [(u16, &[u16]); 3] = [(BITS, &[32; 3]), (MEANING, &[2]), (SAMPLES, &[3])];
    assert_shows("wide.tif", &tiff(false, &tags, &pixels), [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn offsets_may_be_of_eight_octets() {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new_big(&mut file).unwrap();
    let pixels = quarters([RED, GREEN, BLUE, WHITE]).concat();
    let side = SIDE as u32;
    encoder.write_image::<tiff::encoder::colortype::RGB8>(side, side, &pixels).unwrap();
    assert_shows("big.tif", file.get_ref(), [RED, GREEN, BLUE, WHITE]);
}

/// A cut or lying file of each of these kinds is an error with a reason.
#[test]
fn damage_is_told() {
    let colours = palette(256, 257);
    let tags: [(u16, &[u16]); 3] = [(BITS, &[8]), (MEANING, &[3]), (COLOURS, &colours)];
    let whole = tiff(false, &tags, &quarters([1, 2, 3, 4]));
    for end in (0..whole.len()).step_by(7) {
        let error = show("cut.tif", &whole[..end]).expect_err("it is cut");
        assert!(!error.to_string().is_empty());
    }
    let none: [(u16, &[u16]); 2] = [(BITS, &[8]), (MEANING, &[3])];
    show("no-palette.tif", &tiff(false, &none, &quarters([1, 2, 3, 4]))).expect_err("no colours");
}
