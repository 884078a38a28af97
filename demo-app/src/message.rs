//! Between the two flows: what the app asks of a worker that decodes, and what that answers.
//!
//! A [`Request`] goes with a read-only descriptor of the picture's file. Pixels come back in sealed memory:
//! the worker sends its descriptor, the app gets it mapped, and neither its size nor its content can change
//! any more. Whether it is sealed is looked at where it is taken in ([`tine::Shared`]); everything else that
//! a worker says of its picture is believed only when [`Drawing::check`] has found nothing wrong.

use serde::{Deserialize, Deserializer, Serialize};
use tine::Shared;
use tine::rpc::Fd;

use crate::layout::{Layout, Size};
use crate::worker::PIXEL_LIMIT;

/// The most octets that a thumbnail may have: 1024 squared with alpha, and a little.
const THUMBNAIL_LIMIT: usize = 5 << 20;
/// The longest reason in octets; the rest is cut off.
const REASON_LIMIT: usize = 240;

/// Asks for one picture.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// The picture's file. Its offset is not used, for more than one worker may have it.
    pub file: Fd,
    /// What is wanted of it.
    pub want: Want,
}

/// What is wanted of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The picture is reduced to fit into this, right side up, and never enlarged.
    pub size: Size,
    /// The side of the square for which a thumbnail is to be encoded too, if the picture is larger than
    /// that; 0 for none.
    pub thumbnail: u32,
}

/// What a worker answers. `M` is what its memory is on this side: [`Fd`] where it is sent, [`Shared`] where
/// it is received.
pub type Answer<M> = Result<Drawing<M>, Failure>;

/// A picture in sealed memory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drawing<M> {
    /// Its pixels, from the start of the memory.
    pub pixels: M,
    /// How they lie there.
    pub layout: Layout,
    /// The picture's own size, right side up.
    pub original: Size,
    /// The EXIF orientation that was applied, 1 (none) to 8.
    pub orientation: u8,
    /// It is the first of several frames.
    pub animated: bool,
    /// The same picture as a file for the thumbnail cache, if it was asked for and is worth keeping. Nothing
    /// has looked into it.
    pub thumbnail: Option<M>,
}

impl Drawing<Shared> {
    /// Whether it is an answer to what was wanted, and all rows are within the memory.
    ///
    /// # Errors
    ///
    /// The name of what is impossible: the worker lies.
    pub fn check(&self, want: Want) -> Result<(), &'static str> {
        let Layout { size, stride, format } = self.layout;
        if size.pixels() == 0 || size.pixels() > PIXEL_LIMIT || !size.fits_into(want.size) {
            return Err("size");
        }
        let row = u64::from(size.width) * u64::from(format.bytes_per_pixel());
        // No more than the padding to the next cache line.
        if !(row..row + 64).contains(&u64::from(stride)) {
            return Err("stride");
        }
        if (self.pixels.len() as u64) < self.layout.len() {
            return Err("memory");
        }
        if !(1..=8).contains(&self.orientation) {
            return Err("orientation");
        }
        match &self.thumbnail {
            Some(_) if want.thumbnail == 0 => Err("thumbnail"),
            Some(file) if file.len() > THUMBNAIL_LIMIT => Err("thumbnail"),
            _ => Ok(()),
        }
    }
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line for people.
    #[serde(deserialize_with = "line")]
    pub reason: String,
    /// It lies in the file's content: the same will come of it until that changes.
    pub lasting: bool,
}

impl Failure {
    /// One that lies in the file.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: one_line(reason.into()), lasting: true }
    }

    /// One that may not come again: of a worker, of the system.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: one_line(reason.into()), lasting: false }
    }
}

fn line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(one_line)
}

/// Text for people to see, whoever wrote it: printable characters in one line of bounded length.
fn one_line(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REASON_LIMIT));
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PixelFormat;

    const WANT: Want = Want { size: Size::new(64, 64), thumbnail: 0 };

    fn memory(octets: usize) -> Shared {
        tine::SharedMut::new(octets).unwrap().share().unwrap()
    }

    fn drawing() -> Drawing<Shared> {
        let size = Size::new(4, 4);
        Drawing {
            pixels: memory(64),
            layout: Layout { size, stride: 16, format: PixelFormat::Rgba8Premultiplied },
            original: Size::new(400, 400),
            orientation: 1,
            animated: false,
            thumbnail: None,
        }
    }

    #[track_caller]
    fn assert_refused(what: &str, change: impl FnOnce(&mut Drawing<Shared>)) {
        let mut drawing = drawing();
        change(&mut drawing);
        assert_eq!(drawing.check(WANT), Err(what), "{drawing:?}");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert_eq!(drawing().check(WANT), Ok(()));
        assert_refused("size", |drawing| drawing.layout.size = Size::new(0, 4));
        assert_refused("size", |drawing| drawing.layout.size = Size::new(4, u32::MAX));
        assert_refused("size", |drawing| drawing.layout.size = Size::new(65, 4));
        assert_refused("stride", |drawing| drawing.layout.stride = 15);
        assert_refused("stride", |drawing| drawing.layout.stride = 16 + 64);
        assert_refused("stride", |drawing| drawing.layout.stride = u32::MAX);
        assert_refused("memory", |drawing| drawing.pixels = memory(63));
        assert_refused("orientation", |drawing| drawing.orientation = 0);
        assert_refused("orientation", |drawing| drawing.orientation = 9);
        assert_refused("thumbnail", |drawing| drawing.thumbnail = Some(memory(10)));
    }

    #[test]
    fn a_thumbnail_is_taken_if_it_was_asked_for_and_is_no_larger_than_one() {
        let want = Want { thumbnail: 128, ..WANT };
        let with = |octets| Drawing { thumbnail: Some(memory(octets)), ..drawing() };
        assert_eq!(with(10).check(want), Ok(()));
        assert_eq!(with(THUMBNAIL_LIMIT + 1).check(want), Err("thumbnail"));
    }

    #[test]
    fn reasons_are_one_printable_line() {
        assert_eq!(Failure::passing("a\n\x1b[31mb").reason, "a  [31mb");
        assert_eq!(Failure::lasting("×".repeat(500)).reason, "×".repeat(REASON_LIMIT / 2));
        let sent = serde_json::json!({ "reason": "a\nb", "lasting": true });
        let received: Failure = serde_json::from_value(sent).unwrap();
        assert_eq!(received, Failure::lasting("a b"));
    }
}
