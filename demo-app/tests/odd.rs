//! Flow 2, the worker's side: kinds of the rarer formats that few programs write, and all are to show. Row K3 of
//! the features.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use exr::prelude::{AnyChannel, AnyChannels, FlatSamples, WritableImage};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::bmp::BmpEncoder;
use image::codecs::tiff::TiffEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use moxcms::{ColorProfile, ToneReprCurve};
use tine_viewer::chunk;
use tine_viewer::layout::Size;
use tine_viewer::worker::{DecodeError, Picture, decode};

const SIZE: Size = Size::new(4, 4);
const RED: [u8; 3] = [221, 31, 41];

fn decoded(octets: &[u8]) -> Result<Picture, DecodeError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(octets).unwrap();
    decode(file, Size::new(256, 256))
}

/// It is of this size, and of this colour all over: red, green, blue, and alpha if there is any.
#[track_caller]
fn assert_plain(what: &str, octets: &[u8], size: Size, color: &[u8]) {
    let picture = decoded(octets).unwrap_or_else(|error| panic!("{what}: {error}"));
    let pixels = picture.pixels;
    assert_eq!((pixels.size, picture.original), (size, size), "{what}");
    assert_eq!(pixels.format.bytes_per_pixel() as usize, color.len(), "{what}");
    for shown in pixels.bytes.chunks(color.len()) {
        let is_near = shown.iter().zip(color).all(|(shown, color)| shown.abs_diff(*color) <= 2);
        assert!(is_near, "{what} shows {shown:?} for {color:?}");
    }
}

/// A texture by the number of its format in DXGI.
fn texture(format: u32, texels: &[u8]) -> Vec<u8> {
    let numbers =
        |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
    let mut file = b"DDS ".to_vec();
    file.extend(numbers(&[124, 0x1007, SIZE.height, SIZE.width, 0, 0, 1]));
    file.extend([0; 44]);
    file.extend(numbers(&[32, 4]));
    file.extend(b"DX10");
    file.extend(numbers(&[0, 0, 0, 0, 0, 0x1000, 0, 0, 0, 0]));
    file.extend(numbers(&[format, 3, 0, 1, 0]));
    file.extend(texels);
    file
}

/// Sixteen texels of one colour in BC7, of its sixth kind.
fn bc7([red, green, blue]: [u8; 3]) -> Vec<u8> {
    let (mut block, mut at) = (1_u128 << 6, 7);
    let ends = [red, red, green, green, blue, blue, 255, 255].map(|end| end >> 1);
    for end in ends {
        block |= u128::from(end) << at;
        at += 7;
    }
    // The last bit of each end.
    (block | 0b11 << at).to_le_bytes().to_vec()
}

#[test]
fn textures_of_all_kinds() {
    let [red, green, blue] = RED;
    let opaque = [red, green, blue, 255];
    assert_plain("BC7", &texture(98, &bc7(RED)), SIZE, &opaque);
    // One end, and another that is not used.
    let bc4 = [200, 0, 0, 0, 0, 0, 0, 0];
    assert_plain("BC4", &texture(80, &bc4), SIZE, &[200; 3]);
    assert_plain("RGBA", &texture(28, &opaque.repeat(16)), SIZE, &opaque);
    assert_plain("BGRA", &texture(87, &[blue, green, red, 255].repeat(16)), SIZE, &opaque);
    assert_plain("one of 8 bits", &texture(61, &[200; 16]), SIZE, &[200; 3]);
    // Linear light, four numbers of 16 bits: 1, a half, nothing, and 1.
    let light = [0x3C00_u16, 0x3800, 0, 0x3C00].map(u16::to_le_bytes).concat().repeat(16);
    assert_plain("half floats", &texture(10, &light), SIZE, &[255, 188, 0]);
    assert!(matches!(decoded(&texture(98, &[1; 7])), Err(DecodeError::Truncated("DDS"))));
}

#[test]
fn an_icon_without_alpha() {
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_pixel(256, 256, image::Rgb(RED)).write_to(&mut png, ImageFormat::Png).unwrap();
    let png = png.into_inner();
    // One picture of 256 pixels squared, in so many octets from there on.
    let mut icon = vec![0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 24, 0];
    icon.extend((png.len() as u32).to_le_bytes());
    icon.extend(22_u32.to_le_bytes());
    icon.extend(png);
    assert_plain("icon", &icon, Size::new(256, 256), &RED);
    // What lies outside of the file is none.
    icon[18] = 200;
    icon[20] = 200;
    assert!(decoded(&icon).is_err());
}

/// Many a program leaves the room for alpha empty.
#[test]
fn alpha_of_which_nothing_is_seen_is_none() {
    let [red, green, blue] = RED;
    let mut tga = vec![0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0, 32, 0x20];
    tga.extend([blue, green, red, 0].repeat(16));
    assert_plain("TGA", &tga, SIZE, &RED);
    let mut bmp = Vec::new();
    let pixels = [red, green, blue, 0].repeat(16);
    BmpEncoder::new(&mut bmp).encode(&pixels, 4, 4, ExtendedColorType::Rgba8).unwrap();
    assert_plain("BMP", &bmp, SIZE, &RED);
}

/// What loses some of its details has lost the space of its profile, too.
#[test]
fn jpeg_xl_with_a_profile() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/odd/profile.jxl");
    // In sRGB; by littleCMS.
    assert_plain("JPEG XL", &std::fs::read(path).unwrap(), Size::new(16, 16), &[255, 0, 50]);
}

#[test]
fn jpegs_by_arithmetic() {
    for name in ["arithmetic.jpg", "arithmetic-progressive.jpg"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/odd").join(name);
        let picture = decode(File::open(path).unwrap(), Size::new(256, 256)).unwrap();
        assert_eq!(picture.original, Size::new(48, 32), "{name}");
        let shown = &picture.pixels.bytes[..3];
        let is_near = shown.iter().zip([220, 30, 40]).all(|(a, b)| a.abs_diff(b) <= 8);
        assert!(is_near, "{name} shows {shown:?}");
    }
}

/// A PNG of one colour that says this of its colours.
fn png(color: [u8; 3], told: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut plain = Cursor::new(Vec::new());
    RgbImage::from_pixel(4, 4, image::Rgb(color)).write_to(&mut plain, ImageFormat::Png).unwrap();
    with_chunks(&plain.into_inner(), told)
}

fn with_chunks(plain: &[u8], told: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    // The mark, and the header with its length and checksum.
    let (start, rest) = plain.split_at(8 + 25);
    let mut file = start.to_vec();
    for (name, content) in told {
        chunk::push(&mut file, name, content);
    }
    file.extend(rest);
    file
}

#[test]
fn what_a_png_says_of_its_colours() {
    let grey = [128; 3];
    let linear = 100_000_u32.to_be_bytes();
    assert_plain("linear light", &png(grey, &[(b"gAMA", &linear)]), SIZE, &[188; 3]);
    let usual = 45_455_u32.to_be_bytes();
    assert_plain("the usual", &png(grey, &[(b"gAMA", &usual)]), SIZE, &grey);
    let named = png(grey, &[(b"sRGB", &[0]), (b"gAMA", &linear)]);
    assert_plain("by name", &named, SIZE, &grey);
    // What displays with P3 have, by numbers of H.273, and by the places of the primaries. In sRGB; by littleCMS.
    let shown = [239, 0, 22];
    let by_numbers = png([220, 30, 40], &[(b"cICP", &[12, 13, 0, 1])]);
    assert_plain("P3 by numbers", &by_numbers, SIZE, &shown);
    let places = [31_270_u32, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6000];
    let places = places.map(u32::to_be_bytes).concat();
    let by_places = png([220, 30, 40], &[(b"gAMA", &usual), (b"cHRM", &places)]);
    assert_plain("P3 by places", &by_places, SIZE, &shown);
    // What makes no sense changes nothing.
    for nonsense in [&[0_u8; 4][..], &[1, 2], &[]] {
        assert_plain("nonsense", &png(grey, &[(b"gAMA", nonsense)]), SIZE, &grey);
    }
    let nowhere = png(grey, &[(b"gAMA", &usual), (b"cHRM", &[0; 32])]);
    assert_plain("nowhere", &nowhere, SIZE, &grey);
}

/// What is wrong is told in words, not as a program has it.
#[test]
fn a_png_that_begins_with_something_else() {
    let told = |name: &[u8; 4]| {
        let begun = [b"\x89PNG\r\n\x1a\n\0\0\0\0", &name[..], &[0; 64]].concat();
        decoded(&begun).expect_err("it has no header").to_string()
    };
    assert_eq!(told(b"tEXt"), "corrupt PNG: tEXt chunk appeared before IHDR chunk");
    assert!(!told(&[0; 4]).contains('{'), "{}", told(&[0; 4]));
}

/// What is brighter than the screen is, by the curves of SMPTE ST 2084 and ARIB STD-B67: paper is white, nearly.
#[test]
fn a_png_can_be_brighter_than_the_screen() {
    for (curve, values, shown) in
        [(16, [77, 102, 148], [64, 111, 246]), (18, [64, 128, 191], [62, 137, 246])]
    {
        for (value, shown) in values.into_iter().zip(shown) {
            let bright = png([value; 3], &[(b"cICP", &[9, curve, 0, 1])]);
            assert_plain("bright", &bright, SIZE, &[shown; 3]);
        }
    }
    // Numbers come before a profile, which is for those who do not know them.
    let numbers: (&[u8; 4], &[u8]) = (b"cICP", &[9, 16, 0, 1]);
    let mut icc = b"old\0\0".to_vec();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&linear().encode().unwrap()).unwrap();
    icc.extend(encoder.finish().unwrap());
    for told in [[numbers, (b"iCCP", &icc)], [(b"iCCP", &icc), numbers]] {
        assert_plain("bright", &png([102; 3], &told), SIZE, &[111; 3]);
    }
    assert_plain("by profile", &png([128; 3], &[(b"iCCP", &icc)]), SIZE, &[188; 3]);
    let usual: (&[u8; 4], &[u8]) = (b"cICP", &[1, 13, 0, 1]);
    assert_plain("usual", &png([128; 3], &[usual, (b"iCCP", &icc)]), SIZE, &[128; 3]);
    // With 16 bits, and transparent in part: the colours are multiplied then.
    let deep = image::ImageBuffer::from_pixel(4, 4, image::Rgba([102 * 257_u16, 0, 0, 0x8080]));
    let mut file = Cursor::new(Vec::new());
    image::DynamicImage::ImageRgba16(deep).write_to(&mut file, ImageFormat::Png).unwrap();
    let deep = with_chunks(&file.into_inner(), &[(b"cICP", &[1, 16, 0, 1])]);
    assert_plain("deep", &deep, SIZE, &[56, 0, 0, 128]);
}

/// sRGB with a curve that is none.
fn linear() -> ColorProfile {
    let mut linear = ColorProfile::new_srgb();
    linear.cicp = None;
    let curve = || Some(ToneReprCurve::Parametric(vec![1.0]));
    (linear.red_trc, linear.green_trc, linear.blue_trc) = (curve(), curve(), curve());
    linear
}

/// Where the colours of any picture are, a TIFF says with a profile.
#[test]
fn a_tiff_has_a_profile() {
    let grey = RgbImage::from_pixel(4, 4, image::Rgb([128; 3]));
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file);
    encoder.set_icc_profile(linear().encode().unwrap()).unwrap();
    encoder.write_image(&grey, 4, 4, ExtendedColorType::Rgb8).unwrap();
    assert_plain("linear light", &file.into_inner(), SIZE, &[188; 3]);
}

#[test]
fn light_in_other_channels() {
    // In linear light.
    let exr = |channels: &[(&str, f32)]| {
        let channels = channels
            .iter()
            .map(|(name, light)| AnyChannel::new(*name, FlatSamples::F32(vec![*light; 16])));
        let channels = AnyChannels::sort(channels.collect());
        let mut file = Cursor::new(Vec::new());
        exr::prelude::Image::from_channels((4, 4), channels)
            .write()
            .to_buffered(&mut file)
            .unwrap();
        file.into_inner()
    };
    assert_plain("grey", &exr(&[("Y", 0.5)]), SIZE, &[188; 3]);
    assert_plain("depth", &exr(&[("Z", 0.5)]), SIZE, &[188; 3]);
    let layer = [("diffuse.R", 1.0), ("diffuse.G", 0.5), ("diffuse.B", 0.0), ("Z", 0.7)];
    assert_plain("a layer", &exr(&layer), SIZE, &[255, 188, 0]);
    let both = [("R", 0.5), ("G", 0.5), ("B", 0.5), ("x.R", 1.0), ("x.G", 1.0), ("x.B", 1.0)];
    assert_plain("colours and a layer", &exr(&both), SIZE, &[188; 3]);
    let whole = exr(&layer);
    for length in 4..whole.len() {
        decoded(&whole[..length]).expect_err("a part of the file is no picture");
    }
}

/// How many pixels of an SVG of 200×50 are dark.
fn dark(svg: &[u8]) -> usize {
    let picture = decoded(svg).unwrap();
    assert_eq!(picture.original, Size::new(200, 50));
    let depth = picture.pixels.format.bytes_per_pixel() as usize;
    picture.pixels.bytes.chunks(depth).filter(|pixel| pixel.iter().take(3).all(|c| *c < 64)).count()
}

/// There is a font for whatever is asked for; and no more is read than the file itself.
#[test]
fn texts_in_drawings() {
    let svg = |inside: &str| {
        let start = "<svg xmlns='http://www.w3.org/2000/svg' width='200' height='50'>";
        format!("{start}<rect width='200' height='50' fill='white'/>{inside}</svg>")
    };
    let text = |style: &str, text: &str| {
        svg(&format!("<text x='10' y='40' font-size='40' {style}>{text}</text>"))
    };
    let plain = dark(text("", "mmm").as_bytes());
    assert!(plain > 500, "{plain}");
    for style in ["font-family='Arial'", "font-family='monospace'", "font-family='No Such Font'"] {
        assert!(dark(text(style, "mmm").as_bytes()) > 300, "{style}");
    }
    assert!(dark(text("font-weight='bold' font-family='sans-serif'", "mmm").as_bytes()) > plain);
    // In other encodings.
    let umlaut = text("", "ä");
    let expected = dark(umlaut.as_bytes());
    let latin1: Vec<u8> = umlaut.chars().map(|character| character as u8).collect();
    let marked = format!("\u{FEFF}{umlaut}");
    let utf16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(expected > 100);
    assert_eq!([dark(&latin1), dark(&utf16)], [expected; 2]);
    // A black picture beside the file, in the folder that it is opened in, and on the net.
    let folder = tempfile::tempdir().unwrap();
    let black = folder.path().join("black.png");
    RgbImage::new(50, 50).save(&black).unwrap();
    let black = black.to_str().unwrap();
    for href in [black, &format!("file://{black}"), "http://127.0.0.1/black.png"] {
        let image = format!("<image href='{href}' width='50' height='50'/><script>1</script>");
        assert_eq!(dark(svg(&image).as_bytes()), 0, "{href}");
    }
}

/// What is wrong is told as it is, also of drawings that are whole and have nothing in them, or far too much.
#[test]
fn drawings_that_are_none() {
    let told = |svg: &[u8]| decoded(svg).expect_err("it is no picture").to_string();
    let start = "<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'";
    let empty = told(format!("{start}/>").as_bytes());
    assert!(empty.starts_with("corrupt SVG: ") && empty.contains("size"), "{empty}");
    assert_eq!(told(format!("{start}>").as_bytes()), "truncated SVG");
    assert_eq!(told(format!("{start}><g/>").as_bytes()), "truncated SVG");
    let mut small = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    small.write_all(format!("{start}>").as_bytes()).unwrap();
    (0..65).for_each(|_| small.write_all(&[b' '; 1 << 20]).unwrap());
    assert_eq!(told(&small.finish().unwrap()), "no decoder: more than 64 MiB of SVG");
}
