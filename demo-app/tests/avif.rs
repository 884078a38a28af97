//! Flow 2, the worker's side: AVIF, where the viewer is built with it. Row K3 of the features; that it is
//! decoded in the sandbox as without, the test `worker` shows.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tine_viewer::layout::{PixelFormat, Size};
use tine_viewer::worker::{DecodeError, Picture, decode};

const WANT: Size = Size::new(256, 256);
const RED: [u8; 3] = [220, 30, 40];
const GREEN: [u8; 3] = [20, 180, 60];
const BLUE: [u8; 3] = [30, 60, 210];
const WHITE: [u8; 3] = [240, 240, 240];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/avif").join(name)
}

fn decoded(name: &str) -> Picture {
    decode(File::open(path(name)).unwrap(), WANT).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The pixels in the middle of each quarter, in reading order.
fn quarters(picture: &Picture) -> Vec<Vec<u8>> {
    let pixels = &picture.pixels;
    let (width, height) = (pixels.size.width as usize, pixels.size.height as usize);
    let depth = pixels.format.bytes_per_pixel() as usize;
    let middles = [(1, 1), (3, 1), (1, 3), (3, 3)];
    let places = middles.map(|(x, y)| (y * height / 4 * width + x * width / 4) * depth);
    places.map(|at| pixels.bytes[at..at + depth].to_vec()).to_vec()
}

#[track_caller]
fn assert_shows(name: &str, size: Size, expected: [&[u8]; 4]) {
    let picture = decoded(name);
    assert_eq!((picture.original, picture.pixels.size), (size, size), "{name}");
    for (shown, expected) in quarters(&picture).iter().zip(expected) {
        let is_near = |(shown, expected): (&u8, &u8)| shown.abs_diff(*expected) <= 6;
        let same = shown.len() == expected.len() && shown.iter().zip(expected).all(is_near);
        assert!(same, "{name} shows {shown:?} for {expected:?}");
    }
}

#[test]
fn colours_of_all_kinds_are_shown() {
    let size = Size::new(48, 32);
    assert_shows("plain.avif", size, [&RED, &GREEN, &BLUE, &WHITE]);
    assert_shows("lossless.avif", size, [&RED, &GREEN, &BLUE, &WHITE]);
    let grey = |[red, green, blue]: [u8; 3]| {
        let light = 0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue);
        [light as u8; 3]
    };
    let greys = [RED, GREEN, BLUE, WHITE].map(grey);
    assert_shows("grey.avif", size, [&greys[0], &greys[1], &greys[2], &greys[3]]);
}

/// Numbers of ITU-T H.273 tell how samples become colours, and whether they use all values that there are.
#[test]
fn colours_are_taken_as_the_file_tells() {
    let size = Size::new(48, 32);
    for name in ["limited.avif", "limited-rgb.avif", "ycgco.avif", "other-kind.avif"] {
        assert_shows(name, size, [&RED, &GREEN, &BLUE, &WHITE]);
    }
    // In sRGB; by littleCMS.
    let expected: [&[u8]; 4] = [&[239, 0, 22], &[0, 183, 32], &[16, 61, 218], &[240, 240, 240]];
    assert_shows("p3.avif", size, expected);
    // These are brighter than a screen is.
    let expected: [&[u8]; 4] = [&[255, 0, 0], &[0, 255, 0], &[0, 0, 255], &[255, 255, 255]];
    assert_shows("bright.avif", size, expected);
}

/// Fewer samples of colours than pixels are mixed, without steps and in their places.
#[test]
fn what_has_half_of_the_colours_is_smooth() {
    for name in ["halved.avif", "half-rows.avif"] {
        let Picture { pixels, .. } = decoded(name);
        assert_eq!((pixels.size, pixels.format), (Size::new(67, 45), PixelFormat::Rgb8), "{name}");
        for (at, shown) in pixels.bytes.as_chunks::<3>().0.iter().enumerate() {
            let (x, y) = (at % 67, at / 67);
            let drawn = [30 + 3 * x, 230 - 4 * y, 20 + x + 3 * y].map(|colour| colour as u8);
            let is_near = shown.iter().zip(drawn).all(|(shown, drawn)| shown.abs_diff(drawn) <= 5);
            assert!(is_near, "{name} shows {shown:?} for {drawn:?} at {x}, {y}");
        }
    }
}

#[test]
fn parts_are_put_together_and_cut_off() {
    assert_shows("parts.avif", Size::new(128, 128), [&RED, &GREEN, &BLUE, &WHITE]);
    assert_shows("cut.avif", Size::new(48, 32), [&RED, &GREEN, &BLUE, &WHITE]);
}

/// Whether there is a picture of its own for it or not.
#[test]
fn of_a_sequence_the_first_is_shown() {
    let opaque = [RED, GREEN, BLUE, WHITE].map(|[red, green, blue]| [red, green, blue, 255]);
    let expected = opaque.each_ref().map(|pixel| &pixel[..]);
    assert_shows("film.avif", Size::new(48, 32), expected);
    assert_shows("film-alone.avif", Size::new(48, 32), expected);
}

#[test]
fn what_is_half_transparent_is_premultiplied() {
    let opaque = |[red, green, blue]: [u8; 3]| [red, green, blue, 255];
    let half = |[red, green, blue]: [u8; 3]| [red / 2, green / 2, blue / 2, 128];
    let expected = [opaque(RED), opaque(GREEN), half(BLUE), half(WHITE)];
    let expected = expected.each_ref().map(|pixel| &pixel[..]);
    assert_shows("deep.avif", Size::new(48, 32), expected);
    assert_eq!(decoded("deep.avif").pixels.format, PixelFormat::Rgba8Premultiplied);
}

#[test]
fn it_is_turned_and_mirrored_as_it_says() {
    // Against the clock: green and white above, red and blue below; then mirrored.
    assert_shows("turned.avif", Size::new(32, 48), [&WHITE, &GREEN, &BLUE, &RED]);
}

#[test]
fn damaged_ones_are_refused() {
    let whole = fs::read(path("plain.avif")).unwrap();
    for length in 12..whole.len() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&whole[..length]).unwrap();
        let refused = decode(file, WANT).expect_err("a part of the file is no picture");
        assert!(!matches!(refused, DecodeError::Io(_)), "{length}: {refused}");
    }
    let start_of = |file: &[u8]| file.windows(4).position(|part| part == b"mdat").unwrap() + 4;
    let parts = fs::read(path("parts.avif")).unwrap();
    let stream = (start_of(&whole)..whole.len()).map(|at| (&whole, at));
    // Each takes a while: those that are left out are like those beside them.
    let records = (12..start_of(&parts)).step_by(5).map(|at| (&parts, at));
    for (whole, at) in stream.chain(records) {
        let mut broken = whole.clone();
        broken[at] ^= 0xFF;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&broken).unwrap();
        // Some damage is not to be seen as such: what counts is that an answer comes.
        let _answer = decode(file, WANT);
    }
}
