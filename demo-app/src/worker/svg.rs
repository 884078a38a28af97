//! Flow 2, the worker's side: SVG, drawn at the size that is needed.
//!
//! Text is in the fonts that the program brings along, for a worker can open no other. Of pictures inside only those
//! count that the file itself holds.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use flate2::read::GzDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

use super::DecodeError;
use super::decode::{Decoded, check_size};
use crate::layout::Size;

const FORMAT: &str = "SVG";
/// The longest text, in octets.
const LONGEST: u64 = 64 << 20;

/// Draws the picture to fit into `want`.
pub(super) fn decode(mut reader: impl Read, want: Size) -> Result<Decoded, DecodeError> {
    let mut octets = read(&mut reader)?;
    if octets.starts_with(&[0x1F, 0x8B]) {
        octets = read(GzDecoder::new(&*octets)).map_err(|error| match error {
            DecodeError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                DecodeError::Truncated(FORMAT)
            }
            DecodeError::Io(error) => DecodeError::Corrupt(FORMAT, error.to_string()),
            error => error,
        })?;
    }
    let octets = as_utf8(octets);
    let resolver =
        ImageHrefResolver { resolve_string: Box::new(|_, _| None), ..ImageHrefResolver::default() };
    let fontdb = Arc::clone(&FONTS);
    let options = Options { image_href_resolver: resolver, fontdb, ..Options::default() };
    let tree = Tree::from_data(&octets, &options).map_err(|error| match error {
        _ if !is_closed(&octets) => DecodeError::Truncated(FORMAT),
        error => DecodeError::Corrupt(FORMAT, error.to_string()),
    })?;
    let (width, height) = (tree.size().width(), tree.size().height());
    // The conversion saturates; what is too large is refused.
    let stored = check_size(width.ceil() as u64, height.ceil() as u64, FORMAT)?;
    let fitted = stored.fit_into(want);
    let mut pixmap = Pixmap::new(fitted.width, fitted.height)
        .ok_or(DecodeError::TooHeavy(fitted.pixels().saturating_mul(4)))?;
    let scale = Transform::from_scale(fitted.width as f32 / width, fitted.height as f32 / height);
    resvg::render(&tree, scale, &mut pixmap.as_mut());
    let image = RgbaImage::from_raw(fitted.width, fitted.height, pixmap.take_demultiplied())
        .ok_or_else(|| DecodeError::Corrupt(FORMAT, "rows are missing".into()))?;
    let image = DynamicImage::ImageRgba8(image);
    Ok(Decoded { image, stored, orientation: Orientation::NoTransforms, profile: None })
}

/// One of each kind: what a file asks for by name is not there, but one of its kind is as good as can be.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    let all = [
        dejavu::sans::regular(),
        dejavu::sans::bold(),
        dejavu::serif::regular(),
        dejavu::sans_mono::regular(),
    ];
    for font in all {
        // Each of these files holds one.
        let _one = fonts.load_font_source(Source::Binary(Arc::new(font)));
    }
    fonts.set_serif_family("DejaVu Serif");
    fonts.set_sans_serif_family("DejaVu Sans");
    fonts.set_monospace_family("DejaVu Sans Mono");
    fonts.set_cursive_family("DejaVu Serif");
    fonts.set_fantasy_family("DejaVu Serif");
    Arc::new(fonts)
});

/// The text, whatever it was encoded by. What is not in UTF-8 is in UTF-16, which begins with a mark, or by far most
/// often in that of Western Europe.
pub(super) fn as_utf8(octets: Vec<u8>) -> Vec<u8> {
    let utf16 = |number: fn([u8; 2]) -> u16| {
        let units = octets[2..].as_chunks().0.iter().map(|unit| number(*unit));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    let text: String = match &*octets {
        [0xFF, 0xFE, ..] => utf16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => utf16(u16::from_be_bytes),
        octets if std::str::from_utf8(octets).is_err() => {
            octets.iter().copied().map(char::from).collect()
        }
        _ => return octets,
    };
    text.into_bytes()
}

/// Whether the text's last tag ends its first element, or is that and has nothing in it.
fn is_closed(text: &[u8]) -> bool {
    let last = text.rsplit(|octet| *octet == b'<').next().unwrap_or_default();
    let ends = |end: &[u8]| last.windows(end.len()).any(|part| part == end);
    last.starts_with(b"/") && ends(b"svg>") || last.starts_with(b"svg") && ends(b"/>")
}

fn read(reader: impl Read) -> Result<Vec<u8>, DecodeError> {
    let mut octets = Vec::new();
    reader.take(LONGEST + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > LONGEST {
        let longest = LONGEST >> 20;
        return Err(DecodeError::Unsupported(format!("more than {longest} MiB of {FORMAT}")));
    }
    Ok(octets)
}
