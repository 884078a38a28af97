//! Flow 2, the worker's side: AVIF, where the program was built with it. It is the file's main picture.
//!
//! mp4parse, which is Firefox's, finds it in the file; rav1d, the Rust translation of dav1d, decodes it, in
//! this thread alone. Samples of 10 and 12 bits become 8, which is what a tile has.

use std::io::Read;

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, RgbaImage};
use mp4parse::{AvifContext, ImageRotation, ParseStrictness, read_avif};
use re_rav1d::dav1d::pixel::{MatrixCoefficients as Matrix, YUVRange};
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent as Component, Settings};
use yuv::{YuvGrayImage, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use super::DecodeError;
use super::decode::{Decoded, MEMORY_LIMIT, check_size};

const FORMAT: &str = "AVIF";

/// Decodes the main picture.
pub(super) fn decode(reader: impl Read) -> Result<Decoded, DecodeError> {
    let mut octets = Vec::new();
    reader.take(MEMORY_LIMIT).read_to_end(&mut octets)?;
    let file = read_avif(&mut &octets[..], ParseStrictness::Normal).map_err(explain)?;
    let coded = file.primary_item_coded_data().unwrap_or_default();
    let frame = frame(coded)?;
    let stored = check_size(frame.width().into(), frame.height().into(), FORMAT)?;
    let colours = colours(&frame)?;
    let image = match file.alpha_item_coded_data() {
        None => RgbImage::from_raw(stored.width, stored.height, colours).map(Into::into),
        Some(coded) => {
            let mut pixels = with_alpha(&colours, &alpha(coded, &frame)?);
            if file.premultiplied_alpha {
                divide_by_alpha(&mut pixels);
            }
            RgbaImage::from_raw(stored.width, stored.height, pixels).map(DynamicImage::ImageRgba8)
        }
    };
    let image = image.ok_or_else(|| corrupt("rows are missing"))?;
    let profile = file.icc_colour_information().and_then(Result::ok).map(Vec::from);
    Ok(Decoded { image, stored, orientation: orientation(&file, &octets), profile })
}

/// The first frame of a stream of AV1.
fn frame(coded: &[u8]) -> Result<Picture, DecodeError> {
    if coded.is_empty() {
        return Err(corrupt("it has no main picture"));
    }
    let mut settings = Settings::new();
    // Workers may not make threads.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    // In pixels: what a larger one claims is never allocated.
    settings.set_frame_size_limit((MEMORY_LIMIT / 4) as u32);
    let mut decoder = Decoder::with_settings(&settings).map_err(corrupt)?;
    let mut sent = decoder.send_data(coded.to_vec(), None, None, None);
    loop {
        // It wants to be given the rest when it has dealt with some.
        let all_sent = match sent {
            Ok(()) => true,
            Err(error) if error.is_again() => false,
            Err(error) => return Err(corrupt(error)),
        };
        match decoder.get_picture() {
            Ok(picture) => return Ok(picture),
            Err(error) if !error.is_again() => return Err(corrupt(error)),
            Err(_) if all_sent => return Err(DecodeError::Truncated(FORMAT)),
            Err(_) => sent = decoder.send_pending_data(),
        }
    }
}

/// The colours of a frame: red, green and blue, row after row.
fn colours(frame: &Picture) -> Result<Vec<u8>, DecodeError> {
    let (width, height) = (frame.width(), frame.height());
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let range = match frame.color_range() {
        YUVRange::Full => YuvRange::Full,
        YUVRange::Limited => YuvRange::Limited,
    };
    let matrix = matrix(frame.matrix_coefficients());
    let y_plane = plane(frame, Component::Y);
    if frame.pixel_layout() == PixelLayout::I400 {
        let grey = YuvGrayImage { y_plane: &y_plane, y_stride: width, width, height };
        let matrix = matrix?.unwrap_or(YuvStandardMatrix::Bt601);
        yuv::yuv400_to_rgb(&grey, &mut rgb, width * 3, range, matrix).map_err(corrupt)?;
        return Ok(rgb);
    }
    let (u_plane, v_plane) = (plane(frame, Component::U), plane(frame, Component::V));
    let (across, _) = plane_size(frame, Component::U);
    let planes = YuvPlanarImage {
        y_plane: &y_plane,
        y_stride: width,
        u_plane: &u_plane,
        u_stride: across,
        v_plane: &v_plane,
        v_stride: across,
        width,
        height,
    };
    let stride = width * 3;
    let converted = match (matrix?, frame.pixel_layout()) {
        (None, PixelLayout::I444) => yuv::gbr_to_rgb(&planes, &mut rgb, stride, range),
        (None, _) => return Err(corrupt("green, blue and red of different sizes")),
        (Some(matrix), PixelLayout::I444) => {
            yuv::yuv444_to_rgb(&planes, &mut rgb, stride, range, matrix)
        }
        (Some(matrix), PixelLayout::I422) => {
            yuv::yuv422_to_rgb_bilinear(&planes, &mut rgb, stride, range, matrix)
        }
        (Some(matrix), _) => yuv::yuv420_to_rgb_bilinear(&planes, &mut rgb, stride, range, matrix),
    };
    converted.map_err(corrupt)?;
    Ok(rgb)
}

/// How colours become red, green and blue; `None` if that is what they are.
fn matrix(told: Matrix) -> Result<Option<YuvStandardMatrix>, DecodeError> {
    Ok(Some(match told {
        Matrix::Identity => return Ok(None),
        Matrix::BT709 => YuvStandardMatrix::Bt709,
        Matrix::BT470M => YuvStandardMatrix::Fcc,
        // What libavif takes where nothing is told.
        Matrix::BT470BG | Matrix::ST170M | Matrix::Unspecified => YuvStandardMatrix::Bt601,
        Matrix::ST240M => YuvStandardMatrix::Smpte240,
        Matrix::BT2020NonConstantLuminance => YuvStandardMatrix::Bt2020,
        other => return Err(DecodeError::Unsupported(format!("AVIF with colours of {other:?}"))),
    }))
}

/// How opaque each pixel is.
fn alpha(coded: &[u8], of: &Picture) -> Result<Vec<u8>, DecodeError> {
    let frame = frame(coded)?;
    if (frame.width(), frame.height()) != (of.width(), of.height()) {
        return Err(corrupt("its transparency is of another size"));
    }
    let mut plane = plane(&frame, Component::Y);
    if frame.color_range() == YUVRange::Limited {
        let full = |value: u8| (u32::from(value.clamp(16, 235) - 16) * 255 + 109) / 219;
        plane.iter_mut().for_each(|value| *value = full(*value) as u8);
    }
    Ok(plane)
}

fn with_alpha(colours: &[u8], alpha: &[u8]) -> Vec<u8> {
    let (colours, _) = colours.as_chunks::<3>();
    let pixels = colours.iter().zip(alpha);
    pixels.flat_map(|(&[red, green, blue], &alpha)| [red, green, blue, alpha]).collect()
}

fn divide_by_alpha(pixels: &mut [u8]) {
    for [red, green, blue, alpha] in pixels.as_chunks_mut().0 {
        let alpha = u16::from(*alpha).max(1);
        for colour in [red, green, blue] {
            *colour = ((u16::from(*colour) * 255 + alpha / 2) / alpha).min(255) as u8;
        }
    }
}

/// Samples in a row, and rows.
fn plane_size(frame: &Picture, component: Component) -> (u32, u32) {
    let (width, height) = (frame.width(), frame.height());
    match (component, frame.pixel_layout()) {
        (Component::U | Component::V, PixelLayout::I420) => (width.div_ceil(2), height.div_ceil(2)),
        (Component::U | Component::V, PixelLayout::I422) => (width.div_ceil(2), height),
        _ => (width, height),
    }
}

/// The samples of a plane in 8 bits, without gaps.
fn plane(frame: &Picture, component: Component) -> Vec<u8> {
    let (width, height) = plane_size(frame, component);
    let (width, height) = (width as usize, height as usize);
    let (plane, stride) = (frame.plane(component), frame.stride(component) as usize);
    let rows = plane.chunks(stride).take(height);
    match frame.bit_depth() {
        8 => rows.flat_map(|row| &row[..width]).copied().collect(),
        depth => {
            let most = (1_u32 << depth) - 1;
            let eight = |sample: &[u8; 2]| {
                ((u32::from(u16::from_ne_bytes(*sample)) * 255 + most / 2) / most) as u8
            };
            rows.flat_map(|row| row.as_chunks::<2>().0[..width].iter().map(eight)).collect()
        }
    }
}

/// First it is turned, against the clock, then mirrored.
fn orientation(file: &AvifContext, octets: &[u8]) -> Orientation {
    let turned = file.image_rotation().unwrap_or(ImageRotation::D0);
    match (turned, is_mirrored(file, octets)) {
        (ImageRotation::D0, None) => Orientation::NoTransforms,
        (ImageRotation::D90, None) => Orientation::Rotate270,
        (ImageRotation::D180, None) => Orientation::Rotate180,
        (ImageRotation::D270, None) => Orientation::Rotate90,
        (ImageRotation::D0, Some(Mirror::LeftRight))
        | (ImageRotation::D180, Some(Mirror::TopBottom)) => Orientation::FlipHorizontal,
        (ImageRotation::D0, Some(Mirror::TopBottom))
        | (ImageRotation::D180, Some(Mirror::LeftRight)) => Orientation::FlipVertical,
        (ImageRotation::D90, Some(Mirror::LeftRight))
        | (ImageRotation::D270, Some(Mirror::TopBottom)) => Orientation::Rotate270FlipH,
        (ImageRotation::D90, Some(Mirror::TopBottom))
        | (ImageRotation::D270, Some(Mirror::LeftRight)) => Orientation::Rotate90FlipH,
    }
}

/// What changes places.
enum Mirror {
    TopBottom,
    LeftRight,
}

/// mp4parse tells whether the picture is mirrored, but how only by way of a pointer: its box is looked up.
fn is_mirrored(file: &AvifContext, octets: &[u8]) -> Option<Mirror> {
    const BOX: &[u8] = b"\0\0\0\x09imir";
    file.image_mirror_ptr().ok().filter(|mirror| !mirror.is_null())?;
    let at = octets.windows(BOX.len()).position(|part| part == BOX)?;
    let axis = octets.get(at + BOX.len())?;
    Some(if axis & 1 == 0 { Mirror::TopBottom } else { Mirror::LeftRight })
}

fn explain(error: mp4parse::Error) -> DecodeError {
    match error {
        mp4parse::Error::UnexpectedEOF => DecodeError::Truncated(FORMAT),
        mp4parse::Error::Unsupported(what) => DecodeError::Unsupported(format!("AVIF: {what}")),
        mp4parse::Error::Io(error) => DecodeError::Io(error),
        error => corrupt(error),
    }
}

fn corrupt(error: impl ToString) -> DecodeError {
    DecodeError::Corrupt(FORMAT, error.to_string())
}
