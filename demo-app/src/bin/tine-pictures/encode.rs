//! One picture in each of the formats.

use std::io::{self, Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::webp::WebPEncoder;
use image::imageops::{self, FilterType};
use image::{
    Delay, DynamicImage, ExtendedColorType, Frame, ImageEncoder, ImageFormat, Rgb32FImage, RgbImage,
};
use mozjpeg::{ColorSpace, Compress, Marker};

use crate::png;
use crate::rare;
use crate::scene::{self, CORNERS};

/// How a picture is encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    JpegBaseline,
    JpegProgressive,
    JpegGrey,
    /// With this EXIF orientation, 1 to 8.
    JpegTurned(u16),
    Png8,
    Png16,
    PngAlpha,
    PngGreyAlpha,
    PngPalette,
    PngInterlaced,
    PngTurned(u16),
    WebP,
    WebPAlpha,
    WebPTurned(u16),
    Gif,
    GifAnimated,
    Apng,
    PngWide,
    JpegWide,
    Bmp,
    Tiff,
    Tiff16,
    Ico,
    Ppm,
    Qoi,
    Tga,
    Hdr,
    Exr,
    Dds,
    Svg,
    SvgCompressed,
    JpegXl,
}

impl Kind {
    /// One of each, all orientations among them.
    pub(crate) const ALL: [Self; 39] = [
        Self::JpegBaseline,
        Self::JpegProgressive,
        Self::JpegGrey,
        Self::JpegTurned(1),
        Self::JpegTurned(2),
        Self::JpegTurned(3),
        Self::JpegTurned(4),
        Self::JpegTurned(5),
        Self::JpegTurned(6),
        Self::JpegTurned(7),
        Self::JpegTurned(8),
        Self::Png8,
        Self::Png16,
        Self::PngAlpha,
        Self::PngGreyAlpha,
        Self::PngPalette,
        Self::PngInterlaced,
        Self::PngTurned(6),
        Self::WebP,
        Self::WebPAlpha,
        Self::WebPTurned(8),
        Self::Gif,
        Self::GifAnimated,
        Self::Apng,
        Self::PngWide,
        Self::JpegWide,
        Self::Bmp,
        Self::Tiff,
        Self::Tiff16,
        Self::Ico,
        Self::Ppm,
        Self::Qoi,
        Self::Tga,
        Self::Hdr,
        Self::Exr,
        Self::Dds,
        Self::Svg,
        Self::SvgCompressed,
        Self::JpegXl,
    ];

    /// The kind in a file's name, extension included.
    pub(crate) fn file_name(self) -> String {
        match self {
            Self::JpegBaseline => "baseline.jpg".into(),
            Self::JpegProgressive => "progressive.jpeg".into(),
            Self::JpegGrey => "grey.JPG".into(),
            Self::JpegTurned(orientation) => format!("orientation-{orientation}.jpg"),
            Self::Png8 => "8-bit.png".into(),
            Self::Png16 => "16-bit.png".into(),
            Self::PngAlpha => "alpha.png".into(),
            Self::PngGreyAlpha => "grey-alpha.png".into(),
            Self::PngPalette => "palette.png".into(),
            Self::PngInterlaced => "interlaced.png".into(),
            Self::PngTurned(orientation) => format!("orientation-{orientation}.png"),
            Self::WebP => "lossless.webp".into(),
            Self::WebPAlpha => "alpha.webp".into(),
            Self::WebPTurned(orientation) => format!("orientation-{orientation}.webp"),
            Self::Gif => "palette.gif".into(),
            Self::GifAnimated => "animated.gif".into(),
            Self::Apng => "animated.png".into(),
            Self::PngWide => "display-p3.png".into(),
            Self::JpegWide => "display-p3.jpg".into(),
            Self::Bmp => "plain.bmp".into(),
            Self::Tiff => "plain.tiff".into(),
            Self::Tiff16 => "16-bit.tif".into(),
            Self::Ico => "icon.ico".into(),
            Self::Ppm => "plain.ppm".into(),
            Self::Qoi => "plain.qoi".into(),
            Self::Tga => "plain.tga".into(),
            Self::Hdr => "radiance.hdr".into(),
            Self::Exr => "linear.exr".into(),
            Self::Dds => "dxt1.dds".into(),
            Self::Svg => "drawing.svg".into(),
            Self::SvgCompressed => "drawing.svgz".into(),
            Self::JpegXl => "lossless.jxl".into(),
        }
    }

    /// The colours of the corners as this kind keeps them.
    pub(crate) fn corners(self) -> [[u8; 3]; 4] {
        // libjpeg weighs colours by BT.601, the `image` crate by BT.709.
        let weights = match self {
            Self::JpegGrey => [0.299, 0.587, 0.114],
            Self::PngGreyAlpha => [0.2126, 0.7152, 0.0722],
            _ => return CORNERS,
        };
        CORNERS.map(|colour| {
            let parts =
                colour.iter().zip(weights).map(|(&value, weight)| f64::from(value) * weight);
            [parts.sum::<f64>().round() as u8; 3]
        })
    }

    /// A picture that the format can hold: no icon is larger than 256, and DXT1 is made of blocks.
    pub(crate) fn fitted(self, image: RgbImage) -> RgbImage {
        let (width, height) = image.dimensions();
        let (width, height) = match self {
            Self::Ico => (256, 256),
            Self::Dds => (width & !3, height & !3),
            _ => return image,
        };
        imageops::resize(&image, width, height, FilterType::Nearest)
    }

    pub(crate) fn encode(self, image: &RgbImage) -> io::Result<Vec<u8>> {
        let rgb = || DynamicImage::ImageRgb8(image.clone());
        let alpha = || DynamicImage::ImageRgba8(scene::with_hole(image));
        match self {
            Self::JpegBaseline => jpeg(image, Shape::Baseline, None),
            Self::JpegProgressive => jpeg(image, Shape::Progressive, None),
            Self::JpegGrey => jpeg(image, Shape::Grey, None),
            Self::JpegTurned(orientation) => {
                let stored = scene::as_stored(image, orientation);
                jpeg(&stored, Shape::Baseline, Some(orientation))
            }
            Self::PngTurned(orientation) => {
                png::with_exif(&scene::as_stored(image, orientation), &exif(orientation))
            }
            Self::WebPTurned(orientation) => webp_turned(image, orientation),
            Self::PngInterlaced => png::interlaced(image),
            Self::PngPalette => png::palette(image),
            Self::Png8 => write(rgb(), ImageFormat::Png),
            Self::Png16 => write(rgb().into_rgb16().into(), ImageFormat::Png),
            Self::PngAlpha => write(alpha(), ImageFormat::Png),
            Self::PngGreyAlpha => write(alpha().into_luma_alpha8().into(), ImageFormat::Png),
            Self::WebP => write(rgb(), ImageFormat::WebP),
            Self::WebPAlpha => write(alpha(), ImageFormat::WebP),
            Self::Gif => write(rgb(), ImageFormat::Gif),
            Self::Bmp => write(rgb(), ImageFormat::Bmp),
            Self::Tiff => write(rgb(), ImageFormat::Tiff),
            Self::Tiff16 => write(rgb().into_rgb16().into(), ImageFormat::Tiff),
            Self::Ico => write(alpha(), ImageFormat::Ico),
            Self::Ppm => write(rgb(), ImageFormat::Pnm),
            Self::Qoi => write(rgb(), ImageFormat::Qoi),
            Self::GifAnimated => gif_animated(image),
            Self::Apng => png::animated(&[image.clone(), scene::negative(image)]),
            Self::PngWide => {
                let (wide, profile) = rare::in_p3(image)?;
                png::with_profile(&wide, &profile)
            }
            Self::JpegWide => {
                let (wide, profile) = rare::in_p3(image)?;
                jpeg(&wide, Shape::Wide(profile), None)
            }
            Self::Tga => write(rgb(), ImageFormat::Tga),
            Self::Hdr => write(linear(image), ImageFormat::Hdr),
            Self::Exr => write(linear(image), ImageFormat::OpenExr),
            Self::Dds => Ok(rare::dds(image)),
            Self::Svg => Ok(rare::svg(image).into_bytes()),
            Self::SvgCompressed => gzip(rare::svg(image).as_bytes()),
            Self::JpegXl => rare::jpeg_xl(image),
        }
    }
}

enum Shape {
    Baseline,
    Progressive,
    Grey,
    /// With this ICC profile.
    Wide(Vec<u8>),
}

fn jpeg(image: &RgbImage, shape: Shape, orientation: Option<u16>) -> io::Result<Vec<u8>> {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(image.width() as usize, image.height() as usize);
    jpeg.set_quality(90.0);
    jpeg.set_fastest_defaults();
    match &shape {
        Shape::Baseline | Shape::Wide(_) => {}
        Shape::Progressive => jpeg.set_progressive_mode(),
        Shape::Grey => jpeg.set_color_space(ColorSpace::JCS_GRAYSCALE),
    }
    let mut jpeg = jpeg.start_compress(Vec::new())?;
    if let Some(orientation) = orientation {
        let data = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
        jpeg.write_marker(Marker::APP(1), &data);
    }
    if let Shape::Wide(profile) = shape {
        // One piece of one.
        let data = [b"ICC_PROFILE\0\x01\x01".as_slice(), &profile].concat();
        jpeg.write_marker(Marker::APP(2), &data);
    }
    jpeg.write_scanlines(image)?;
    jpeg.finish()
}

fn webp_turned(image: &RgbImage, orientation: u16) -> io::Result<Vec<u8>> {
    let stored = scene::as_stored(image, orientation);
    let mut bytes = Vec::new();
    let mut webp = WebPEncoder::new_lossless(&mut bytes);
    webp.set_exif_metadata(exif(orientation)).map_err(io::Error::other)?;
    webp.write_image(&stored, stored.width(), stored.height(), ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok(bytes)
}

/// Two frames for ever: the picture, and its negative.
fn gif_animated(image: &RgbImage) -> io::Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut gif = GifEncoder::new_with_speed(&mut file, 10);
    gif.set_repeat(Repeat::Infinite).map_err(io::Error::other)?;
    for frame in [image.clone(), scene::negative(image)] {
        let rgba = DynamicImage::ImageRgb8(frame).into_rgba8();
        let delay = Delay::from_numer_denom_ms(100, 1);
        gif.encode_frame(Frame::from_parts(rgba, 0, 0, delay)).map_err(io::Error::other)?;
    }
    drop(gif);
    Ok(file)
}

/// sRGB as the light that it stands for.
fn linear(image: &RgbImage) -> DynamicImage {
    let light = |value: &u8| match f32::from(*value) / 255.0 {
        value if value <= 0.040_45 => value / 12.92,
        value => ((value + 0.055) / 1.055).powf(2.4),
    };
    let light = image.iter().map(light).collect();
    let image = Rgb32FImage::from_raw(image.width(), image.height(), light);
    DynamicImage::ImageRgb32F(image.expect("as many values as before"))
}

fn gzip(octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(octets)?;
    file.finish()
}

fn write(image: DynamicImage, format: ImageFormat) -> io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}

/// EXIF data with nothing but an orientation; odd ones big-endian, as some cameras write it.
fn exif(orientation: u16) -> Vec<u8> {
    const TAG: u16 = 0x0112;
    const SHORT: u16 = 3;
    if orientation % 2 == 1 {
        let directory = [1, TAG, SHORT].map(u16::to_be_bytes).concat();
        let value = [orientation, 0, 0, 0].map(u16::to_be_bytes).concat();
        [b"MM\0*\0\0\0\x08", &directory[..], &1_u32.to_be_bytes(), &value].concat()
    } else {
        let directory = [1, TAG, SHORT].map(u16::to_le_bytes).concat();
        let value = [orientation, 0, 0, 0].map(u16::to_le_bytes).concat();
        [b"II*\0\x08\0\0\0", &directory[..], &1_u32.to_le_bytes(), &value].concat()
    }
}
