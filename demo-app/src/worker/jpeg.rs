//! Flow 2, the worker's side: JPEG, decoded at the size that is needed.
//!
//! A JPEG can be decoded at n/8 of its size for a fraction of the time and memory. libjpeg does it
//! for progressive files too at a third of the time of the Rust decoders that were tried
//! (`jpeg-decoder` 0.3, `zune-jpeg` 0.5), and its C code is what the worker's process is a fence for.

use std::io::{self, BufRead};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, ColorSpaceExt, Decompress, Marker};

use super::decode::{Decoded, check_size, is_sideways};
use super::scans::{Details, Scans};
use super::watched::{Ended, Watched};
use super::{DecodeError, colour};
use crate::layout::Size;

const FORMAT: &str = "JPEG";
const EXIF: Marker = Marker::APP(1);
const PROFILE: Marker = Marker::APP(2);
const ADOBE: Marker = Marker::APP(14);
/// Two rows of the largest blocks: libjpeg decodes one row of blocks ahead of the rows it gives.
const LAST_ROWS: usize = 2 * 16;

/// Decodes at the smallest n/8 of the picture's size that still fills `want`.
pub(super) fn decode(reader: impl BufRead, want: Size) -> Result<Decoded, DecodeError> {
    let (reader, details) = Scans::new(reader);
    let reader = Watched::new(reader);
    let ended = reader.ended();
    // The crate tells libjpeg's fatal errors by unwinding, with the text as the payload and without
    // the panic hook. Nothing is used again afterwards: the decoder is moved in and gone.
    match catch_unwind(AssertUnwindSafe(|| decode_or_unwind(reader, &details, want))) {
        Ok(Err(DecodeError::Corrupt(..))) | Err(_) if ended.get() => {
            Err(DecodeError::Truncated(FORMAT))
        }
        Ok(result) => result,
        Err(payload) => Err(DecodeError::Corrupt(FORMAT, fatal_text(payload.as_ref()))),
    }
}

fn decode_or_unwind<R: BufRead>(
    reader: Watched<R>,
    details: &Details,
    want: Size,
) -> Result<Decoded, DecodeError> {
    let ended = reader.ended();
    let mut jpeg = Decompress::builder()
        .with_markers(&[EXIF, PROFILE, ADOBE])
        .from_reader(reader)
        .map_err(failed)?;
    let stored = check_size(jpeg.width() as u64, jpeg.height() as u64, FORMAT)?;
    let orientation = orientation(&jpeg);
    let profile = profile(&jpeg);
    let want = if is_sideways(orientation) { want.transposed() } else { want };
    let scale = eighths(stored, stored.fit_into(want));
    jpeg.scale(scale);
    details.set(scale > 1);
    // It would take the scans that are left out for some that are still to come, and make up for them.
    jpeg.do_block_smoothing(false);

    let is_cmyk = matches!(jpeg.color_space(), ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK);
    let is_adobe = jpeg.markers().any(|found| found.marker == ADOBE);
    let target = if is_cmyk { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_RGB };
    let started = jpeg.to_colorspace(target).map_err(failed)?;
    let (width, height) = (started.width() as u32, started.height() as u32);
    let bytes = read_rows(started, &ended)?;
    let (rgb, profile) = match is_cmyk {
        true => (cmyk_to_rgb(bytes, is_adobe, profile.as_deref()), None),
        false => (bytes, profile),
    };
    let image = RgbImage::from_raw(width, height, rgb)
        .ok_or_else(|| DecodeError::Corrupt(FORMAT, "rows are missing".into()))?;
    Ok(Decoded { image: DynamicImage::ImageRgb8(image), stored, orientation, profile })
}

/// Reads all rows. Where the file ends too early libjpeg makes up the rest in grey; that is refused
/// as soon as it is seen. Only the last rows of blocks may be touched by it: a file that lacks just
/// its end mark is a whole picture.
fn read_rows<R: BufRead>(
    mut jpeg: DecompressStarted<Watched<R>>,
    ended: &Ended,
) -> Result<Vec<u8>, DecodeError> {
    let (width, height) = (jpeg.width(), jpeg.height());
    let last_rows = (height / 16).min(LAST_ROWS);
    let stride = width * jpeg.color_space().num_components();
    let mut bytes = vec![0; stride * height];
    for (row, line) in bytes.chunks_exact_mut(stride).enumerate() {
        jpeg.read_scanlines_into(line).map_err(failed)?;
        if ended.get() && row + last_rows < height {
            return Err(DecodeError::Truncated(FORMAT));
        }
    }
    Ok(bytes)
}

/// The smallest scale, in eighths, at which `stored` covers `fitted`.
fn eighths(stored: Size, fitted: Size) -> u8 {
    let covers = |n: &u8| {
        let n = u64::from(*n);
        let scaled = |side: u32| (u64::from(side) * n).div_ceil(8);
        scaled(stored.width) >= fitted.width.into() && scaled(stored.height) >= fitted.height.into()
    };
    // The powers of two and the whole are the ones for which libjpeg has quick transforms.
    [1, 2, 4].into_iter().find(covers).unwrap_or(8)
}

fn orientation<R>(jpeg: &Decompress<R>) -> Orientation {
    jpeg.markers()
        .filter(|found| found.marker == EXIF)
        .find_map(|found| Orientation::from_exif_chunk(found.data.strip_prefix(b"Exif\0\0")?))
        .unwrap_or(Orientation::NoTransforms)
}

/// The ICC profile, which comes in pieces that are numbered from 1.
fn profile<R>(jpeg: &Decompress<R>) -> Option<Vec<u8>> {
    let pieces = jpeg.markers().filter(|found| found.marker == PROFILE);
    let mut pieces: Vec<(u8, &[u8])> = pieces
        .filter_map(|found| match found.data.strip_prefix(b"ICC_PROFILE\0")? {
            [number, _count, piece @ ..] => Some((*number, piece)),
            _ => None,
        })
        .collect();
    pieces.sort_by_key(|piece| piece.0);
    let profile: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.1).copied().collect();
    (!profile.is_empty()).then_some(profile)
}

/// Adobe's programs store the inks inverted, and mark the file as theirs.
fn cmyk_to_rgb(mut inks: Vec<u8>, is_adobe: bool, profile: Option<&[u8]>) -> Vec<u8> {
    if is_adobe {
        inks.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    colour::inks_to_rgb(&inks, profile)
}

fn failed(error: io::Error) -> DecodeError {
    DecodeError::Corrupt(FORMAT, error.to_string())
}

fn fatal_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map_or("the decoder gave up", String::as_str);
    text.trim_start_matches("libjpeg fatal error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_quick_scale_that_covers() {
        let stored = Size::new(5640, 3172);
        assert_eq!(eighths(stored, Size::new(256, 144)), 1);
        assert_eq!(eighths(stored, Size::new(705, 397)), 1);
        assert_eq!(eighths(stored, Size::new(706, 397)), 2);
        assert_eq!(eighths(stored, Size::new(1500, 844)), 4);
        assert_eq!(eighths(stored, stored), 8);
    }

    #[test]
    fn a_progressive_picture_is_the_same_without_its_details() {
        let (width, height) = (801, 602);
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8, (x ^ y) as u8, (x * y / 64) as u8])
        });
        let mut jpeg = mozjpeg::Compress::new(ColorSpace::JCS_RGB);
        jpeg.set_size(width as usize, height as usize);
        jpeg.set_progressive_mode();
        let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
        jpeg.write_scanlines(&image).unwrap();
        let file = jpeg.finish().unwrap();

        let mut whole = Decompress::new_mem(&file).unwrap();
        whole.scale(1);
        let mut whole = whole.rgb().unwrap();
        let expected: Vec<u8> = whole.read_scanlines::<[u8; 3]>().unwrap().concat();
        let decoded = decode(&file[..], Size::new(100, 75)).unwrap();
        assert_eq!((decoded.image.width(), decoded.image.height()), (101, 76));
        assert!(decoded.image.into_rgb8().into_raw() == expected, "another picture");
        let torn = decode(&file[..file.len() / 2], Size::new(100, 75));
        assert!(matches!(torn, Err(DecodeError::Truncated(_))), "what is missing is noticed");
    }

    #[test]
    fn inks_to_light() {
        assert_eq!(cmyk_to_rgb(vec![255, 255, 255, 255], true, None), [255, 255, 255]);
        assert_eq!(cmyk_to_rgb(vec![0, 0, 0, 0], false, None), [255, 255, 255]);
        assert_eq!(cmyk_to_rgb(vec![0, 255, 255, 255], true, None), [0, 255, 255]);
        assert_eq!(cmyk_to_rgb(vec![10, 20, 30, 0], true, None), [0, 0, 0]);
    }
}
