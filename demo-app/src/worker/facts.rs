//! Flow 2, the worker's side: what a picture's file says of it: its size, and how it was taken.
//!
//! Such records are as often broken as pictures are, so they are read where those are decoded.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use exif::{Exif, Field, In, Tag, Value};
use serde::{Deserialize, Serialize};
use tine::rpc;

use super::DecodeError;
use super::decode::decode;
use super::format::Format;
use crate::layout::Size;

/// The longest value that is told, in characters.
const LONGEST: usize = 200;

/// What there is to tell, and how people call it, in the order of the table of properties.
const TAGS: [(Tag, &str); 18] = [
    (Tag::DateTimeOriginal, "Taken"),
    (Tag::Make, "Maker"),
    (Tag::Model, "Camera"),
    (Tag::LensModel, "Lens"),
    (Tag::ExposureTime, "Exposure"),
    (Tag::FNumber, "Aperture"),
    (Tag::PhotographicSensitivity, "Sensitivity"),
    (Tag::ExposureBiasValue, "Compensation"),
    (Tag::FocalLength, "Focal Length"),
    (Tag::FocalLengthIn35mmFilm, "In 35 mm Terms"),
    (Tag::Flash, "Flash"),
    (Tag::GPSLatitude, "Latitude"),
    (Tag::GPSLongitude, "Longitude"),
    (Tag::GPSAltitude, "Altitude"),
    (Tag::ImageDescription, "Description"),
    (Tag::Artist, "By"),
    (Tag::Copyright, "Copyright"),
    (Tag::Software, "Software"),
];

/// What a picture's file says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// As people call it.
    pub format: String,
    /// Width and height in pixels, right side up.
    pub size: (u32, u32),
    /// It moves.
    pub animated: bool,
    /// Titles and values of what the camera has written.
    pub exif: Vec<(String, String)>,
}

tine::entry!(
    /// Answers a picture's file with its [`Facts`].
    pub DESCRIBE = describe
);

fn describe(worker: tine::Worker) -> tine::Result<()> {
    rpc::serve(worker, |file: rpc::Fd, _| -> tine::Result<Facts> {
        let file = File::from(file.into_owned()?);
        // Many decoders panic over a hostile file. Nothing of theirs is used again.
        let facts = catch_unwind(AssertUnwindSafe(|| facts(file)));
        let facts = facts.map_err(|_| tine::Error::other("its decoder gave up"))?;
        facts.map_err(tine::Error::other)
    })
}

/// What the file says, which has been opened just now.
fn facts(mut file: File) -> Result<Facts, DecodeError> {
    let picture = decode(file.try_clone()?, Size::new(1, 1))?;
    file.rewind()?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let format = Format::of(reader.fill_buf()?).ok_or(DecodeError::NotAPicture)?;
    let mut exif = exif::Reader::new();
    // Records that are broken in part are read as far as they go; without any there is nothing to tell.
    let exif = exif
        .continue_on_error(true)
        .read_from_container(&mut reader)
        .or_else(|error| error.distill_partial_result(|_| ()));
    let Size { width, height } = picture.original;
    Ok(Facts {
        format: format.name().into(),
        size: (width, height),
        animated: picture.animated,
        exif: exif.map_or_else(|_| Vec::new(), |exif| told(&exif)),
    })
}

fn told(exif: &Exif) -> Vec<(String, String)> {
    let told = TAGS.iter().filter_map(|(tag, title)| {
        let value = text(exif.get_field(*tag, In::PRIMARY)?, exif);
        (!value.is_empty()).then(|| ((*title).to_owned(), value))
    });
    told.collect()
}

/// Printable characters in one line.
fn text(field: &Field, exif: &Exif) -> String {
    let text = match &field.value {
        // Its own display puts text into quotation marks.
        Value::Ascii(lines) if field.tag != Tag::DateTimeOriginal => {
            let lines = lines.iter().map(|line| String::from_utf8_lossy(line));
            lines.collect::<Vec<_>>().join(" ")
        }
        _ => field.display_value().with_unit(exif).to_string(),
    };
    let text = text.trim_matches(|character: char| character == '\0' || character.is_whitespace());
    let line = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    line.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascii(tag: Tag, text: &[u8]) -> Field {
        Field { tag, ifd_num: In::PRIMARY, value: Value::Ascii(vec![text.to_vec()]) }
    }

    #[test]
    fn what_a_camera_wrote_is_told_in_words() {
        let fields = [
            ascii(Tag::Model, b"Tine 1\n\0"),
            ascii(Tag::DateTimeOriginal, b"2024:05:06 07:08:09"),
            ascii(Tag::Artist, "é".repeat(LONGEST + 1).as_bytes()),
            ascii(Tag::Copyright, b" "),
            Field {
                tag: Tag::ExposureTime,
                ifd_num: In::PRIMARY,
                value: Value::Rational(vec![(1, 125).into()]),
            },
        ];
        let mut writer = exif::experimental::Writer::new();
        fields.iter().for_each(|field| writer.push_field(field));
        let mut octets = std::io::Cursor::new(Vec::new());
        writer.write(&mut octets, false).unwrap();
        let exif = exif::Reader::new().read_raw(octets.into_inner()).unwrap();
        let told = told(&exif);
        let told: Vec<_> = told.iter().map(|(title, value)| (&**title, &**value)).collect();
        let long = "é".repeat(LONGEST);
        let expected = [
            ("Taken", "2024-05-06 07:08:09"),
            ("Camera", "Tine 1"),
            ("Exposure", "1/125 s"),
            ("By", &long),
        ];
        assert_eq!(told, expected);
    }
}
