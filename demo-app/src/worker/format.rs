//! Flow 2, the worker's side: what a file is, by its content alone.

use image::ImageFormat;

/// The formats that are decoded, by who decodes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// libjpeg.
    Jpeg,
    /// The `image` crate.
    Other(ImageFormat),
    /// Plain or compressed.
    Svg,
    JpegXl,
}

impl Format {
    /// The format of a file that begins with `head`: its first octets, 64 KiB if there are so many.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match image::guess_format(head) {
            #[cfg(feature = "avif")]
            _ if super::avif::is_avif(head) => Some(Self::Other(ImageFormat::Avif)),
            Ok(ImageFormat::Jpeg) => Some(Self::Jpeg),
            Ok(format) => Some(Self::Other(format)),
            Err(_) if is_big_tiff(head) => Some(Self::Other(ImageFormat::Tiff)),
            Err(_) if is_jpeg_xl(head) => Some(Self::JpegXl),
            Err(_) if is_svg(head) => Some(Self::Svg),
            Err(_) if is_tga(head) => Some(Self::Other(ImageFormat::Tga)),
            Err(_) => None,
        }
    }

    /// As people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Svg => "SVG",
            Self::JpegXl => "JPEG XL",
            Self::Other(format) => match format {
                ImageFormat::Png => "PNG",
                ImageFormat::Gif => "GIF",
                ImageFormat::WebP => "WebP",
                ImageFormat::Tiff => "TIFF",
                ImageFormat::Bmp => "BMP",
                ImageFormat::Ico => "icon",
                ImageFormat::Tga => "TGA",
                ImageFormat::Pnm => "PNM",
                ImageFormat::Qoi => "QOI",
                ImageFormat::Dds => "DDS",
                ImageFormat::Hdr => "Radiance HDR",
                ImageFormat::OpenExr => "OpenEXR",
                ImageFormat::Avif => "AVIF",
                _ => "picture",
            },
        }
    }

    /// Whether a file that begins with `head` announces several frames. A GIF announces nothing.
    pub(super) fn is_animated(self, head: &[u8]) -> bool {
        match self {
            Self::Other(ImageFormat::Png) => {
                let pixels = head.windows(4).position(|part| part == b"IDAT");
                head[..pixels.unwrap_or(head.len())].windows(4).any(|part| part == b"acTL")
            }
            // The extended header's flags: bit 1 is animation.
            Self::Other(ImageFormat::WebP) => {
                head.get(12..16) == Some(b"VP8X")
                    && head.get(20).is_some_and(|flags| flags & 2 != 0)
            }
            #[cfg(feature = "avif")]
            Self::Other(ImageFormat::Avif) => super::avif::is_sequence(head),
            _ => false,
        }
    }
}

/// TIFF with offsets of eight octets.
fn is_big_tiff(head: &[u8]) -> bool {
    head.starts_with(b"II\x2b\0\x08\0\0\0") || head.starts_with(b"MM\0\x2b\0\x08\0\0")
}

/// A bare codestream, or the container's first box.
fn is_jpeg_xl(head: &[u8]) -> bool {
    head.starts_with(&[0xFF, 0x0A]) || head.starts_with(b"\0\0\0\x0CJXL \r\n\x87\n")
}

/// An XML text whose first element is `svg`; or a compressed file, which no other format here is.
fn is_svg(head: &[u8]) -> bool {
    if head.starts_with(&[0x1F, 0x8B]) {
        return true;
    }
    let text = super::svg::as_utf8(head.to_vec());
    let text = String::from_utf8_lossy(&text);
    let mut rest = text.trim_start_matches('\u{FEFF}').trim_start();
    // What may stand before the first element: declarations and comments.
    while let Some(end) = match rest {
        _ if rest.starts_with("<!--") => rest.find("-->").map(|at| at + 3),
        _ if rest.starts_with("<?") => rest.find("?>").map(|at| at + 2),
        // One with entities of its own, as some editors write it, ends with "]>".
        _ if rest.starts_with("<!DOCTYPE") => match (rest.find('['), rest.find('>')) {
            (Some(open), Some(close)) if open < close => rest.find("]>").map(|at| at + 2),
            (_, close) => close.map(|at| at + 1),
        },
        _ => None,
    } {
        rest = rest[end..].trim_start();
    }
    let element = rest.strip_prefix('<').map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
        &rest[..end.unwrap_or(rest.len())]
    });
    element.is_some_and(|name| name == "svg" || name.ends_with(":svg"))
}

/// TGA has no mark at its start: every field of its header must have a value that it can have.
fn is_tga(head: &[u8]) -> bool {
    let Some(&[_, map_type, kind, _, _, length_low, length_high, map_depth, ref rest @ ..]) =
        head.first_chunk::<18>()
    else {
        return false;
    };
    let [_, _, _, _, width_low, width_high, height_low, height_high, depth, descriptor] = *rest;
    let map_length = u16::from_le_bytes([length_low, length_high]);
    let has_pixels = (width_low | width_high) != 0 && (height_low | height_high) != 0;
    let colours = match (kind & !8, map_type) {
        (1, 1) => depth == 8 && map_length > 0 && [15, 16, 24, 32].contains(&map_depth),
        (2, 0) => [15, 16, 24, 32].contains(&depth) && map_length == 0,
        (3, 0) => [8, 16].contains(&depth) && map_length == 0,
        _ => false,
    };
    // The two highest bits were for interleaving, which nobody used.
    has_pixels && colours && kind & !11 == 0 && descriptor & 0xC0 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_svg_begins_with_its_element() {
        for text in [
            "<svg/>",
            "\u{FEFF}<?xml version='1.0'?>\n<!-- a <b> --><svg width='1'>",
            "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg\n>",
            "<!DOCTYPE svg [ <!ENTITY a 'b'> ]>\n<s:svg xmlns:s='http://www.w3.org/2000/svg'>",
        ] {
            assert_eq!(Format::of(text.as_bytes()), Some(Format::Svg), "{text}");
        }
        let utf16: Vec<u8> = "\u{FEFF}<svg/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(Format::of(&utf16), Some(Format::Svg));
        for text in ["<html><svg/></html>", "svg", "<!-- <svg> ", "<?xml <svg>", ""] {
            assert_eq!(Format::of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_tga_header_has_no_impossible_field() {
        let mut header = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 9, 0, 24, 0x20];
        assert_eq!(Format::of(&header), Some(Format::Other(ImageFormat::Tga)));
        for (at, value) in [(1, 1), (2, 4), (2, 18), (5, 1), (12, 0), (16, 23), (17, 0x40)] {
            let kept = std::mem::replace(&mut header[at], value);
            assert_eq!(Format::of(&header), None, "with {value} at {at}");
            header[at] = kept;
        }
        assert_eq!(Format::of(&header[..17]), None);
    }
}
