//! PNG files from the outside: the keys of any, and those that are written here around pixels that a
//! worker compressed. No pixel is looked at.

use std::io::{self, BufReader, Read, Seek, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use tine_viewer::chunk;
use tine_viewer::layout::Size;

/// The keys of the picture's URI, and of the time of its last change.
pub(super) const URI: &str = "Thumb::URI";
pub(super) const MTIME: &str = "Thumb::MTime";
/// The key of a failure's reason.
pub(super) const REASON: &str = "Description";

const SIGNATURE: [u8; 8] = [137, 80, 78, 71, 13, 10, 26, 10];
/// Octets of a key with its text that are read, compressed or not; a longer one is passed over.
const LONGEST_TEXT: u32 = 8 << 10;
/// Chunks that are looked at: libpng makes one of 8 KiB of pixels.
const MOST_CHUNKS: usize = 4096;

/// The texts of a PNG file by their keys, in all three ways that the format has for them: Qt, and so KDE,
/// compresses those of forty characters or more, as most URIs are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<(String, String)>);

impl Keys {
    /// With one more.
    pub(super) fn with(mut self, key: &str, text: impl Into<String>) -> Self {
        self.0.push((key.into(), text.into()));
        self
    }

    /// The first text with this key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, text)| text.as_str())
    }

    /// Why there can be no thumbnail.
    pub(super) fn reason(&self) -> String {
        self.get(REASON).filter(|text| !text.is_empty()).unwrap_or("it failed before").into()
    }

    /// Reads a file's keys, from its start: those before its pixels, and those after if what a thumbnail must
    /// have is not among them.
    pub(super) fn read(file: impl Read + Seek) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(4096, file);
        let mut signature = [0; 8];
        file.read_exact(&mut signature)?;
        if signature != SIGNATURE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut keys = Self::default();
        for _ in 0..MOST_CHUNKS {
            let mut head = [0; 8];
            file.read_exact(&mut head)?;
            let [length, name] = [&head[..4], &head[4..]];
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            match name {
                b"IEND" => break,
                b"IDAT" if [URI, MTIME].iter().all(|key| keys.get(key).is_some()) => break,
                b"tEXt" | b"zTXt" | b"iTXt" if length <= LONGEST_TEXT => {
                    let mut text = vec![0; length as usize];
                    file.read_exact(&mut text)?;
                    keys.0.extend(parse(name, &text));
                    file.seek_relative(4)?;
                }
                _ => file.seek_relative(i64::from(length) + 4)?,
            }
        }
        Ok(keys)
    }
}

/// A key and its text, of a chunk with this name.
fn parse(name: &[u8], chunk: &[u8]) -> Option<(String, String)> {
    let latin = |octets: &[u8]| octets.iter().copied().map(char::from).collect();
    let (key, rest) = split(chunk)?;
    let text = match (name, rest) {
        (b"tEXt", text) => latin(text),
        (b"zTXt", [0, text @ ..]) => latin(&inflated(text)?),
        (b"iTXt", [is_compressed, 0, rest @ ..]) => {
            let (_language, rest) = split(rest)?;
            let (_translated, text) = split(rest)?;
            let text = if *is_compressed == 1 { inflated(text)? } else { text.to_vec() };
            String::from_utf8(text).ok()?
        }
        _ => return None,
    };
    Some((latin(key), text))
}

/// What comes before the first zero, and what comes behind it.
fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.iter().position(|octet| *octet == 0)?;
    Some((&octets[..end], &octets[end + 1..]))
}

/// None: it is damaged, or longer than what is read.
fn inflated(octets: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let limit = u64::from(LONGEST_TEXT);
    ZlibDecoder::new(octets).take(limit + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= limit).then_some(text)
}

/// The compressed pixels of a file that a worker encoded, if it is what it was asked for: of this size,
/// 8 bits with alpha, not interlaced.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] for any other.
pub(super) fn compressed_pixels(encoded: &[u8], size: Size) -> io::Result<Vec<u8>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a worker's thumbnail is none");
    let mut rest = encoded.strip_prefix(&SIGNATURE).ok_or_else(wrong)?;
    let (mut pixels, mut is_first) = (Vec::new(), true);
    loop {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (name, after) = after.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (data, after) = after.split_at_checked(length).ok_or_else(wrong)?;
        rest = after.get(4..).ok_or_else(wrong)?;
        match (name, std::mem::take(&mut is_first)) {
            (b"IHDR", true) if data == header(size) => {}
            (b"IDAT", false) => pixels.extend_from_slice(data),
            (b"IEND", false) if !pixels.is_empty() => return Ok(pixels),
            _ => return Err(wrong()),
        }
    }
}

/// A file of these pixels with these keys.
pub(super) fn file(size: Size, keys: &Keys, compressed: &[u8]) -> Vec<u8> {
    let mut file = SIGNATURE.to_vec();
    chunk::push(&mut file, b"IHDR", &header(size));
    for (key, text) in &keys.0 {
        let latin = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
        let (key, text): (Vec<u8>, Vec<u8>) = (latin(key), latin(text));
        chunk::push(&mut file, b"tEXt", &[key, vec![0], text].concat());
    }
    chunk::push(&mut file, b"IDAT", compressed);
    chunk::push(&mut file, b"IEND", &[]);
    file
}

/// A file with these keys and one transparent pixel.
pub(super) fn empty_file(keys: &Keys) -> io::Result<Vec<u8>> {
    let mut pixel = ZlibEncoder::new(Vec::new(), Compression::fast());
    // The row's filter, and red, green, blue, alpha.
    pixel.write_all(&[0; 5])?;
    Ok(file(Size::new(1, 1), keys, &pixel.finish()?))
}

fn header(size: Size) -> [u8; 13] {
    let mut header = [0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 0, 0, 0];
    header[..4].copy_from_slice(&size.width.to_be_bytes());
    header[4..8].copy_from_slice(&size.height.to_be_bytes());
    header
}
