//! K3, flow 2, both sides: films, and what files say of themselves, read by workers in their sandbox. It has a main
//! of its own, because a template is forked early.

use std::error::Error;
use std::fs::File;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, Rgba, RgbaImage};
use moxcms::{ColorProfile, ToneReprCurve};
use tine::{Template, rpc};
use tine_viewer::chunk;
use tine_viewer::worker::{
    ANIMATE, DESCRIBE, Facts, LARGEST_FRAME, Picture, Play, Shown, decode, sandbox,
};

const RED: Rgba<u8> = Rgba([220, 30, 40, 255]);
const GREEN: Rgba<u8> = Rgba([20, 180, 60, 255]);

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Projector = rpc::Client<Play, Option<Shown>>;

fn main() -> Result<()> {
    let template = Template::early()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    frames_come_with_their_times(&template, folder)?;
    println!("test frames_come_with_their_times ... ok");
    films_end_or_begin_again(&template, folder)?;
    println!("test films_end_or_begin_again ... ok");
    all_formats_that_move_do(&template, folder)?;
    println!("test all_formats_that_move_do ... ok");
    what_is_no_film_is_refused(&template, folder)?;
    println!("test what_is_no_film_is_refused ... ok");
    frames_make_a_film_and_no_word_of_it(&template, folder)?;
    println!("test frames_make_a_film_and_no_word_of_it ... ok");
    what_is_to_go_goes(&template)?;
    println!("test what_is_to_go_goes ... ok");
    frames_look_as_the_still_picture_does(&template, folder)?;
    println!("test frames_look_as_the_still_picture_does ... ok");
    if cfg!(feature = "avif") {
        sequences_of_avif_move(&template)?;
        println!("test sequences_of_avif_move ... ok");
    }
    Ok(())
}

/// A GIF of a red and a green frame.
fn film(repeat: Repeat, millis: u32) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let mut gif = GifEncoder::new_with_speed(Cursor::new(&mut octets), 10);
    gif.set_repeat(repeat)?;
    for color in [RED, GREEN] {
        let delay = Delay::from_numer_denom_ms(millis, 1);
        gif.encode_frame(Frame::from_parts(RgbaImage::from_pixel(8, 6, color), 0, 0, delay))?;
    }
    drop(gif);
    Ok(octets)
}

fn write(folder: &Path, name: &str, octets: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, octets)?;
    Ok(path)
}

/// A picture of the generator's.
fn generated(folder: &Path, end: &str) -> Result<PathBuf> {
    let folder = folder.join("generated");
    if !folder.exists() {
        let generator = env!("CARGO_BIN_EXE_tine-pictures");
        assert!(std::process::Command::new(generator).arg(&folder).status()?.success());
    }
    let paths = std::fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path()));
    let paths = paths.collect::<std::io::Result<Vec<_>>>()?;
    let is_meant = |path: &PathBuf| path.to_string_lossy().ends_with(end);
    Ok(paths.into_iter().find(is_meant).ok_or(format!("no {end}"))?)
}

fn projector(template: &Template) -> Projector {
    rpc::Client::run(template.fork().sandbox(&sandbox()), ANIMATE)
}

fn begin(projector: &Projector, path: &Path) -> Result<Option<Shown>> {
    Ok(projector.ask(&Play::Begin(File::open(path)?.into())).recv()?)
}

fn next(projector: &Projector) -> Result<Option<Shown>> {
    Ok(projector.ask(&Play::Next).recv()?)
}

/// The first pixel, and the size and the time.
fn look(frame: Option<Shown>) -> (Rgba<u8>, (u32, u32), u32) {
    let frame = frame.expect("there is a frame");
    assert_eq!(frame.pixels.len(), 4 * (frame.width * frame.height) as usize);
    let pixel = frame.pixels.first_chunk().expect("there are pixels");
    (Rgba(*pixel), (frame.width, frame.height), frame.millis)
}

fn frames_come_with_their_times(template: &Template, folder: &Path) -> Result<()> {
    let projector = projector(template);
    let path = write(folder, "times.gif", &film(Repeat::Infinite, 70)?)?;
    assert_eq!(look(begin(&projector, &path)?), (RED, (8, 6), 70));
    assert_eq!(look(next(&projector)?), (GREEN, (8, 6), 70));
    // Hasty ones are shown as browsers show them.
    let path = write(folder, "hasty.gif", &film(Repeat::Infinite, 0)?)?;
    assert_eq!(look(begin(&projector, &path)?), (RED, (8, 6), 100));
    Ok(())
}

fn films_end_or_begin_again(template: &Template, folder: &Path) -> Result<()> {
    let projector = projector(template);
    let path = write(folder, "endless.gif", &film(Repeat::Infinite, 20)?)?;
    assert_eq!(look(begin(&projector, &path)?).0, RED);
    for color in [GREEN, RED, GREEN, RED] {
        assert_eq!(look(next(&projector)?).0, color);
    }
    let path = write(folder, "twice.gif", &film(Repeat::Finite(2), 20)?)?;
    assert_eq!(look(begin(&projector, &path)?).0, RED);
    for color in [GREEN, RED, GREEN] {
        assert_eq!(look(next(&projector)?).0, color);
    }
    assert!(next(&projector)?.is_none() && next(&projector)?.is_none());
    Ok(())
}

fn all_formats_that_move_do(template: &Template, folder: &Path) -> Result<()> {
    let (projector, reader) = (projector(template), reader(template));
    let webp = write(folder, "animated.webp", WEBP)?;
    for path in [generated(folder, "animated.gif")?, generated(folder, "animated.png")?, webp] {
        let frames = [begin(&projector, &path)?, next(&projector)?].map(|frame| {
            let frame = frame.unwrap_or_else(|| panic!("{} moves", path.display()));
            ((frame.width, frame.height), frame.pixels.to_vec())
        });
        assert_ne!(frames[0].1, frames[1].1, "{} moves", path.display());
        let facts = describe(&reader, &path)?;
        assert!(facts.animated && facts.size == frames[0].0, "{facts:?}");
    }
    let facts = describe(&reader, &generated(folder, "palette.gif")?)?;
    assert!(!facts.animated && facts.format == "GIF" && facts.exif.is_empty(), "{facts:?}");
    Ok(())
}

fn what_is_no_film_is_refused(template: &Template, folder: &Path) -> Result<()> {
    let (projector, reader) = (projector(template), reader(template));
    let whole = film(Repeat::Infinite, 20)?;
    let still = folder.join("still.png");
    RgbaImage::from_pixel(3, 3, RED).save(&still)?;
    for (path, why) in [
        (write(folder, "garbage.gif", b"garbage")?, "unknown format"),
        (write(folder, "truncated.gif", &whole[..20])?, "truncated GIF"),
        (write(folder, "empty.gif", b"")?, "not a picture"),
        (
            write(folder, "drawn.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")?,
            "does not move",
        ),
    ] {
        let refused = begin(&projector, &path).map(|frame| look(frame).2);
        let refused = refused.expect_err("it is no film").to_string();
        assert!(refused.contains(why), "{}: {refused}", path.display());
    }
    assert!(describe(&reader, &folder.join("garbage.gif")).is_err());
    // The workers live on.
    assert_eq!(look(begin(&projector, &write(folder, "whole.gif", &whole)?)?).0, RED);
    assert_eq!(describe(&reader, &still)?.size, (3, 3));
    Ok(())
}

/// A GIF need not say that it is to be repeated, or may say so of one frame.
fn frames_make_a_film_and_no_word_of_it(template: &Template, folder: &Path) -> Result<()> {
    let (projector, reader) = (projector(template), reader(template));
    let gif = |name: &str, repeat: Option<Repeat>, side: u32, frames: &[Rgba<u8>]| {
        let mut octets = Vec::new();
        let mut gif = GifEncoder::new_with_speed(Cursor::new(&mut octets), 30);
        repeat.map(|repeat| gif.set_repeat(repeat)).transpose()?;
        for color in frames {
            // So many colours that a frame is longer than what is looked at first.
            let frame = RgbaImage::from_fn(side, side, |x, y| {
                let noise = ((x * 7919) ^ (y * 104_729) ^ (x * y)) as u8;
                Rgba([color[0] ^ (noise & 63), color[1], color[2] ^ (noise >> 2 & 63), 255])
            });
            gif.encode_frame(Frame::new(frame))?;
        }
        drop(gif);
        write(folder, name, &octets)
    };
    let once = gif("once.gif", None, 400, &[RED, GREEN])?;
    assert!(std::fs::metadata(&once)?.len() > 1 << 17);
    assert!(describe(&reader, &once)?.animated);
    assert!(begin(&projector, &once)?.is_some() && next(&projector)?.is_some());
    assert!(next(&projector)?.is_none(), "it is over");
    let alone = gif("alone.gif", Some(Repeat::Infinite), 8, &[RED])?;
    assert!(!describe(&reader, &alone)?.animated);
    // One that breaks off after its first frame.
    let octets = std::fs::read(&once)?;
    let torn = write(folder, "torn.gif", &octets[..octets.len() / 2 - 1000])?;
    assert!(describe(&reader, &torn).is_err());
    Ok(())
}

/// A frame of a WebP that is to go before the next one leaves what was there before the film: nothing.
fn what_is_to_go_goes(template: &Template) -> Result<()> {
    let projector = projector(template);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/odd/disposed.webp");
    let (red, green, blue) = ([220, 30, 40, 255], [20, 180, 60, 255], [30, 60, 210, 255]);
    let mut shown = begin(&projector, &path)?;
    for _ in 0..2 {
        for (millis, at_start, at_3_3, at_end) in
            [(50, red, red, red), (60, red, green, red), (70, blue, [0; 4], red)]
        {
            let frame = shown.ok_or("the film breaks off")?;
            let pixels = frame.pixels.as_chunks::<4>().0;
            assert_eq!((frame.width, frame.height, frame.millis), (8, 8, millis));
            assert_eq!([pixels[0], pixels[3 * 8 + 3], pixels[63]], [at_start, at_3_3, at_end]);
            shown = next(&projector)?;
        }
    }
    assert!(shown.is_none(), "it is over");
    Ok(())
}

/// In the colours that its file tells of, and upright as EXIF has it.
fn frames_look_as_the_still_picture_does(template: &Template, folder: &Path) -> Result<()> {
    let mut linear = ColorProfile::new_srgb();
    linear.cicp = None;
    let curve = || Some(ToneReprCurve::Parametric(vec![1.0]));
    (linear.red_trc, linear.green_trc, linear.blue_trc) = (curve(), curve(), curve());
    let linear = linear.encode()?;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&linear)?;
    let icc = [b"linear\0\0", &zlib.finish()?[..]].concat();
    let on_its_side = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let plain = std::fs::read(generated(folder, "animated.png")?)?;
    // A WebP says at its start what is in it.
    let mut webp = WEBP[..280].to_vec();
    let icc_webp = [b"ICCP", &(linear.len() as u32).to_le_bytes()[..], &linear[..]].concat();
    webp.splice(30..30, icc_webp.into_iter().chain((linear.len() % 2 == 1).then_some(0)));
    webp[20] |= 0x20;
    let length = (webp.len() as u32 - 8).to_le_bytes();
    webp[4..8].copy_from_slice(&length);
    for (name, octets) in [
        ("linear.png", with_chunk(&plain, b"iCCP", &icc)),
        ("turned.png", with_chunk(&plain, b"eXIf", on_its_side)),
        ("bright.png", with_chunk(&plain, b"cICP", &[9, 16, 0, 1])),
        ("linear.webp", webp),
    ] {
        let path = write(folder, name, &octets)?;
        let Picture { pixels, .. } = decode(File::open(&path)?, LARGEST_FRAME)?;
        let frame = begin(&projector(template), &path)?.ok_or("it moves")?;
        assert_eq!((frame.width, frame.height), (pixels.size.width, pixels.size.height), "{name}");
        let still = pixels.bytes.chunks(pixels.format.bytes_per_pixel() as usize);
        for (still, shown) in still.zip(frame.pixels.as_chunks::<4>().0) {
            let is_near = still.iter().zip(shown).all(|(still, shown)| still.abs_diff(*shown) <= 3);
            assert!(is_near, "{name} shows {shown:?} for {still:?}");
        }
    }
    Ok(())
}

/// Without an end, as they do not say how often.
fn sequences_of_avif_move(template: &Template) -> Result<()> {
    let (projector, reader) = (projector(template), reader(template));
    for name in ["film.avif", "film-alone.avif"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/avif").join(name);
        assert!(describe(&reader, &path)?.animated, "{name}");
        let Picture { pixels, .. } = decode(File::open(&path)?, LARGEST_FRAME)?;
        let mut shown = begin(&projector, &path)?;
        let upside_down: Vec<u8> = pixels.bytes.chunks(48 * 4).rev().flatten().copied().collect();
        for _ in 0..2 {
            for expected in [&pixels.bytes, &upside_down] {
                let frame = shown.ok_or("the film breaks off")?;
                assert_eq!((frame.width, frame.height, frame.millis), (48, 32, 100), "{name}");
                let is_near = |(shown, expected): (&u8, &u8)| shown.abs_diff(*expected) <= 6;
                let pixels = frame.pixels.iter().zip(expected);
                let near = pixels.filter(|pixel| is_near(*pixel)).count();
                // Along the edges there are traces of what was before.
                assert!(near * 10 > expected.len() * 9, "{name}: {near} of {}", expected.len());
                shown = next(&projector)?;
            }
        }
    }
    Ok(())
}

/// A PNG with one more chunk, behind its header.
fn with_chunk(png: &[u8], name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut file = png[..33].to_vec();
    chunk::push(&mut file, name, content);
    file.extend(&png[33..]);
    file
}

fn reader(template: &Template) -> rpc::Client<rpc::Fd, Facts> {
    rpc::Client::run(template.fork().sandbox(&sandbox()), DESCRIBE)
}

fn describe(reader: &rpc::Client<rpc::Fd, Facts>, path: &Path) -> Result<Facts> {
    Ok(reader.ask(&File::open(path)?.into()).recv()?)
}

/// Three frames of 8×8 pixels: red, green, blue. There is no encoder of such files at hand.
#[rustfmt::skip]
const WEBP: &[u8] = &[
    82, 73, 70, 70, 16, 1, 0, 0, 87, 69, 66, 80, 86, 80, 56, 88, 10, 0, 0, 0, 2, 0, 0, 0,
    7, 0, 0, 7, 0, 0, 65, 78, 73, 77, 6, 0, 0, 0, 255, 255, 255, 255, 0, 0, 65, 78, 77, 70,
    72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 120, 0, 0, 2, 86, 80, 56, 32,
    48, 0, 0, 0, 208, 1, 0, 157, 1, 42, 8, 0, 8, 0, 2, 0, 52, 37, 160, 2, 116, 186, 1, 248,
    0, 3, 176, 0, 254, 240, 196, 11, 255, 32, 185, 97, 117, 200, 215, 255, 32, 63, 228, 7, 252, 128, 255, 248,
    242, 0, 0, 0, 65, 78, 77, 70, 72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0,
    120, 0, 0, 0, 86, 80, 56, 32, 48, 0, 0, 0, 20, 2, 0, 157, 1, 42, 8, 0, 8, 0, 0, 0,
    52, 37, 160, 2, 116, 186, 1, 248, 1, 248, 0, 3, 200, 0, 254, 230, 105, 223, 251, 90, 3, 131, 85, 254,
    103, 255, 251, 239, 133, 17, 219, 175, 243, 20, 0, 0, 65, 78, 77, 70, 68, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 7, 0, 0, 7, 0, 0, 120, 0, 0, 0, 86, 80, 56, 32, 44, 0, 0, 0, 148, 1, 0, 157,
    1, 42, 8, 0, 8, 0, 0, 0, 52, 37, 160, 2, 116, 186, 0, 3, 152, 0, 254, 249, 147, 111, 255, 144,
    31, 255, 144, 31, 255, 144, 31, 255, 32, 63, 226, 23, 123, 32, 48, 0, 82, 73, 70, 70, 60, 0, 0, 0,
    87, 69, 66, 80, 86, 80, 56, 32, 48, 0, 0, 0, 208, 1, 0, 157, 1, 42, 8, 0, 8, 0, 2, 0,
    52, 37, 160, 2, 116, 186, 1, 248, 0, 3, 176, 0, 254, 240, 196, 11, 255, 32, 185, 97, 117, 200, 215, 255,
    32, 63, 228, 7, 252, 128, 255, 248, 242, 0, 0, 0,
];
