//! Flow 2, the worker's side: the kinds of TIFF that `image` does not take: palettes, grey with further samples, and
//! numbers with a sign or a fraction. All others are left to it.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use image::metadata::Orientation;
use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageFormat, Rgb32FImage, RgbImage, RgbaImage,
};
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::decode::{Decoded, MEMORY_LIMIT, check_size, decode_whole};
use super::watched::{Ended, Watched};
use super::{DecodeError, colour};
use crate::layout::Size;

const NAME: &str = "TIFF";
/// Of the tag that says what the samples mean, "palette" and "black is zero" (TIFF 6.0, section 8).
const PALETTE: u8 = 3;
const GREY: u8 = 1;
/// Of the tag that says what numbers the samples are (section 19).
const UNSIGNED: u16 = 1;
const FRACTION: u16 = 3;

/// Decodes the first picture of a file.
pub(super) fn decode(mut reader: impl BufRead + Seek) -> Result<Decoded, DecodeError> {
    let palette = palette_mark(&mut reader).unwrap_or(None);
    reader.rewind()?;
    let watched = Watched::new(AsGrey { reader: &mut reader, position: 0, mark: palette });
    let ended = watched.ended();
    let looked = look(watched, palette.is_some()).map_err(|error| explain(error, &ended))?;
    let profile = match looked {
        Looked::Own(own) => return own.picture().map_err(|error| explain(error, &ended)),
        Looked::Other(profile) => profile,
    };
    reader.rewind()?;
    let decoded = decode_whole(reader, ImageFormat::Tiff, NAME, |_, _| None)?;
    Ok(Decoded { profile, ..decoded })
}

/// What a file turns out to be.
enum Looked<R: Read + Seek> {
    Own(Box<Own<R>>),
    /// One of `image`'s, which does not find the profile if it is told of limits (0.25).
    Other(Option<Vec<u8>>),
}

/// A picture that is decoded here.
struct Own<R: Read + Seek> {
    decoder: Decoder<R>,
    colour: ColorType,
    has_palette: bool,
    stored: Size,
}

enum Failure {
    Decoder(TiffError),
    Own(DecodeError),
}

impl<E: Into<TiffError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Decoder(error.into())
    }
}

fn look<R: Read + Seek>(reader: R, has_palette: bool) -> Result<Looked<R>, Failure> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MEMORY_LIMIT as usize;
    let mut decoder = Decoder::new(reader)?.with_limits(limits);
    let Ok(colour) = decoder.colortype() else { return Ok(Looked::Other(None)) };
    let numbers = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
    let number = numbers.and_then(|all| all.first().copied()).unwrap_or(UNSIGNED);
    let bits = colour.bit_depth();
    let is_planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration)? == Some(2);
    let is_own = match colour {
        ColorType::Gray(_) => has_palette || number != UNSIGNED || bits > 16,
        ColorType::Multiband { .. } => true,
        ColorType::RGB(_) | ColorType::RGBA(_) => match number {
            UNSIGNED => bits > 16,
            number => (number, bits) != (FRACTION, 32),
        },
        // What they look like says the profile alone.
        ColorType::CMYK(8 | 16) => !is_planar && profile(&mut decoder).is_some(),
        _ => false,
    };
    if is_planar && (is_own || decoder.get_chunk_type() == ChunkType::Tile) {
        let why = "a TIFF with a plane for each colour, of this kind".into();
        return Err(Failure::Own(DecodeError::Unsupported(why)));
    }
    if !is_own {
        return Ok(Looked::Other(profile(&mut decoder)));
    }
    let (width, height) = decoder.dimensions()?;
    let stored = check_size(width.into(), height.into(), NAME).map_err(Failure::Own)?;
    Ok(Looked::Own(Box::new(Own { decoder, colour, has_palette, stored })))
}

fn profile<R: Read + Seek>(decoder: &mut Decoder<R>) -> Option<Vec<u8>> {
    decoder.find_tag(Tag::IccProfile).ok().flatten()?.into_u8_vec().ok()
}

impl<R: Read + Seek> Own<R> {
    fn picture(mut self) -> Result<Decoded, Failure> {
        let orientation = self.decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
        let orientation = orientation.and_then(Orientation::from_exif);
        let profile = profile(&mut self.decoder);
        let octets = self.decoder.image_buffer_layout()?.complete_len as u64;
        // Then come the same as octets, and as colours.
        if octets > MEMORY_LIMIT / 2 {
            return Err(Failure::Own(DecodeError::TooHeavy(octets)));
        }
        let mut samples = DecodingResult::U8(Vec::new());
        self.decoder.read_image_to_buffer(&mut samples)?;
        let (image, profile) = match (self.has_palette, self.colour) {
            (true, _) => (self.with_palette(samples)?, profile),
            (false, ColorType::CMYK(_)) => (self.of_inks(samples, profile.as_deref())?, None),
            (false, _) => (self.without_palette(samples)?, profile),
        };
        let none = Orientation::NoTransforms;
        Ok(Decoded {
            image,
            stored: self.stored,
            orientation: orientation.unwrap_or(none),
            profile,
        })
    }

    fn with_palette(&mut self, samples: DecodingResult) -> Result<DynamicImage, Failure> {
        let Size { width, height } = self.stored;
        let map = self.decoder.get_tag_u16_vec(Tag::ColorMap)?;
        let count = map.len() / 3;
        // Some programs write octets.
        let shift = if map.iter().any(|colour| *colour > 255) { 8 } else { 0 };
        let colour = |index: usize| match index < count {
            true => [0, 1, 2].map(|part| (map[part * count + index] >> shift) as u8),
            false => [0; 3],
        };
        let colours = match samples {
            DecodingResult::U8(octets) => {
                let indexes = unpacked(&octets, width as usize, self.colour.bit_depth());
                indexes.flat_map(|index| colour(index.into())).collect()
            }
            DecodingResult::U16(indexes) => {
                indexes.into_iter().flat_map(|index| colour(index.into())).collect()
            }
            _ => return Err(unlikely("a palette and such numbers")),
        };
        let image = RgbImage::from_raw(width, height, colours);
        image.map(DynamicImage::ImageRgb8).ok_or_else(|| unlikely("a palette and so few samples"))
    }

    fn of_inks(
        &self,
        samples: DecodingResult,
        profile: Option<&[u8]>,
    ) -> Result<DynamicImage, Failure> {
        let Size { width, height } = self.stored;
        let Values::Octets(inks) = Values::of(samples) else {
            return Err(unlikely("inks and such numbers"));
        };
        let image = RgbImage::from_raw(width, height, colour::inks_to_rgb(&inks, profile));
        image.map(DynamicImage::ImageRgb8).ok_or_else(|| unlikely("inks and so few samples"))
    }

    fn without_palette(&mut self, samples: DecodingResult) -> Result<DynamicImage, Failure> {
        let Size { width, height } = self.stored;
        let extra = self.decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
        // 1 is premultiplied, which next to no grey picture is; 2 is not.
        let has_alpha = extra.is_some_and(|extra| matches!(extra.first(), Some(1 | 2)));
        let (count, wanted) = match self.colour {
            ColorType::RGB(_) => (3, 3),
            ColorType::RGBA(_) => (4, 4),
            ColorType::Multiband { num_samples, .. } => {
                (num_samples, if has_alpha { 2 } else { 1 })
            }
            _ => (1, 1),
        };
        let bits = self.colour.bit_depth();
        if bits < 8 && count > 1 {
            return Err(unlikely("several samples in an octet"));
        }
        let values = match samples {
            DecodingResult::U8(octets) if bits < 8 => {
                let scale = 255 / ((1 << bits) - 1);
                Values::Octets(unpacked(&octets, width as usize, bits).map(|v| v * scale).collect())
            }
            samples => Values::of(samples),
        };
        let picked = values.picked(count.into(), wanted);
        let image = match (picked, wanted) {
            (Values::Octets(octets), 1) => {
                GrayImage::from_raw(width, height, octets).map(DynamicImage::ImageLuma8)
            }
            (Values::Octets(octets), 2) => {
                GrayAlphaImage::from_raw(width, height, octets).map(DynamicImage::ImageLumaA8)
            }
            (Values::Octets(octets), 3) => {
                RgbImage::from_raw(width, height, octets).map(DynamicImage::ImageRgb8)
            }
            (Values::Octets(octets), _) => {
                RgbaImage::from_raw(width, height, octets).map(DynamicImage::ImageRgba8)
            }
            (Values::Light(light), 3) => {
                Rgb32FImage::from_raw(width, height, light).map(DynamicImage::ImageRgb32F)
            }
            (Values::Light(light), 4) => {
                let image = image::Rgba32FImage::from_raw(width, height, light);
                image.map(DynamicImage::ImageRgba32F)
            }
            (Values::Light(light), wanted) => {
                let light = light.chunks(wanted).flat_map(|pixel| [pixel[0]; 3]).collect();
                Rgb32FImage::from_raw(width, height, light).map(DynamicImage::ImageRgb32F)
            }
        };
        image.ok_or_else(|| unlikely("so few samples"))
    }
}

/// Samples as they can be shown.
enum Values {
    Octets(Vec<u8>),
    /// From dark, 0, to white, 1.
    Light(Vec<f32>),
}

impl Values {
    fn of(samples: DecodingResult) -> Self {
        match samples {
            DecodingResult::U8(all) => Self::Octets(all),
            DecodingResult::U16(all) => Self::Octets(all.iter().map(|v| (v >> 8) as u8).collect()),
            DecodingResult::U32(all) => Self::Octets(all.iter().map(|v| (v >> 24) as u8).collect()),
            DecodingResult::U64(all) => Self::Octets(all.iter().map(|v| (v >> 56) as u8).collect()),
            DecodingResult::I8(all) => stretched(all.iter().map(|v| (*v).into())),
            DecodingResult::I16(all) => stretched(all.iter().map(|v| (*v).into())),
            DecodingResult::I32(all) => stretched(all.iter().map(|v| *v as f32)),
            DecodingResult::I64(all) => stretched(all.iter().map(|v| *v as f32)),
            DecodingResult::F16(all) => {
                light_or_stretched(all.iter().map(|v| v.to_f32()).collect())
            }
            DecodingResult::F32(all) => light_or_stretched(all),
            DecodingResult::F64(all) => light_or_stretched(all.iter().map(|v| *v as f32).collect()),
        }
    }

    /// The first `wanted` of `count` samples that each pixel has.
    fn picked(self, count: usize, wanted: usize) -> Self {
        if count == wanted {
            return self;
        }
        fn pick<T: Copy>(all: &[T], count: usize, wanted: usize) -> Vec<T> {
            all.chunks_exact(count).flat_map(|pixel| pixel[..wanted].iter().copied()).collect()
        }
        match self {
            Self::Octets(all) => Self::Octets(pick(&all, count, wanted)),
            Self::Light(all) => Self::Light(pick(&all, count, wanted)),
        }
    }
}

fn range(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let finite = values.filter(|value| value.is_finite());
    finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

/// What is not within 0 and 1 is measured, not seen: heights, temperatures.
fn light_or_stretched(values: Vec<f32>) -> Values {
    let (least, most) = range(values.iter().copied());
    match least >= 0.0 && most <= 1.0 {
        true => Values::Light(values),
        false => stretched(values.into_iter()),
    }
}

/// The least dark, the most white. What is no number is dark.
fn stretched(values: impl Iterator<Item = f32> + Clone) -> Values {
    let (least, most) = range(values.clone());
    let scale = 255.0 / (most - least).max(f32::MIN_POSITIVE);
    Values::Octets(values.map(|value| ((value - least) * scale).round() as u8).collect())
}

/// Numbers of so many bits, of which rows begin with an octet.
fn unpacked(octets: &[u8], width: usize, bits: u8) -> impl Iterator<Item = u8> {
    let bits = usize::from(bits.clamp(1, 8));
    let row = (width * bits).div_ceil(8).max(1);
    let mask = u8::MAX >> (8 - bits);
    octets.chunks_exact(row).flat_map(move |row| {
        (0..width).map(move |x| {
            let first = x * bits;
            // They divide an octet: 1, 2, 4 and 8 do.
            row[first / 8] >> (8 - bits - first % 8).min(7) & mask
        })
    })
}

fn unlikely(what: &str) -> Failure {
    Failure::Own(DecodeError::Unsupported(format!("a TIFF with {what}")))
}

fn explain(failure: Failure, ended: &Ended) -> DecodeError {
    match failure {
        Failure::Own(error) => error,
        Failure::Decoder(_) if ended.get() => DecodeError::Truncated(NAME),
        Failure::Decoder(TiffError::IoError(error)) => DecodeError::Io(error),
        Failure::Decoder(TiffError::UnsupportedError(error)) => {
            DecodeError::Unsupported(format!("TIFF: {error}"))
        }
        Failure::Decoder(error) => DecodeError::Corrupt(NAME, error.to_string()),
    }
}

/// Where the first directory says that there is a palette: the octet that does.
fn palette_mark(reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let mut head = [0; 16];
    reader.read_exact(&mut head)?;
    let is_big_endian = head[0] == b'M';
    let number = |octets: &[u8]| {
        let push = |sum: u64, octet: &u8| sum << 8 | u64::from(*octet);
        match is_big_endian {
            true => octets.iter().fold(0, push),
            false => octets.iter().rev().fold(0, push),
        }
    };
    // BigTIFF has 43, and numbers of eight octets.
    let is_big = number(&head[2..4]) == 43;
    let (directory, count_len, entry_len) = match is_big {
        true => (number(&head[8..16]), 8, 20),
        false => (number(&head[4..8]), 2, 12),
    };
    reader.seek(SeekFrom::Start(directory))?;
    let mut count = [0; 8];
    reader.read_exact(&mut count[..count_len])?;
    let mut entry = [0; 20];
    // Tags are sorted, and this is one of the first.
    for place in 0..number(&count[..count_len]).min(64) {
        reader.read_exact(&mut entry[..entry_len])?;
        let value = entry_len - if is_big { 8 } else { 4 };
        if number(&entry[..2]) == u64::from(Tag::PhotometricInterpretation.to_u16()) {
            let at = directory + count_len as u64 + place * entry_len as u64 + value as u64;
            let is_palette = number(&entry[value..value + 2]) == u64::from(PALETTE);
            return Ok(is_palette.then_some(at + u64::from(is_big_endian)));
        }
    }
    Ok(None)
}

/// A file that says of its samples that they are grey, where it says that they are those of a palette: the decoder
/// gives them out as they are then.
struct AsGrey<R> {
    reader: R,
    position: u64,
    mark: Option<u64>,
}

impl<R: Read> Read for AsGrey<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(into)?;
        let mark = self.mark.and_then(|mark| mark.checked_sub(self.position));
        if let Some(octet) =
            mark.and_then(|mark| into[..count].get_mut(usize::try_from(mark).ok()?))
        {
            *octet = GREY;
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for AsGrey<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.reader.seek(to)?;
        Ok(self.position)
    }
}
