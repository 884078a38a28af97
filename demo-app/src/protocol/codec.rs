//! Between the two flows: records to octets and back. No input or output here.

use super::{Answer, Failure, Layout, Outcome, PixelFormat, ProtocolError, Request, Size};
use crate::worker::PIXEL_LIMIT;

pub(super) const REQUEST_LEN: usize = 20;
pub(super) const ANSWER_LEN: usize = 256;

/// Where the text of an answer begins.
const TEXT: usize = 20;

/// The most octets that a thumbnail may have: 1024 squared with alpha, and a little.
const THUMBNAIL_LIMIT: u32 = 5 << 20;

const DRAWN: u32 = 0;
const FAILED: u32 = 1;

pub(super) fn encode_request(request: &Request) -> [u8; REQUEST_LEN] {
    let mut octets = [0; REQUEST_LEN];
    octets[..8].copy_from_slice(&request.job.to_le_bytes());
    put(&mut octets, 8, request.want.width);
    put(&mut octets, 12, request.want.height);
    put(&mut octets, 16, request.thumbnail);
    octets
}

pub(super) fn decode_request(octets: &[u8; REQUEST_LEN]) -> Request {
    let want = Size::new(get(octets, 8), get(octets, 12));
    Request { job: get_job(octets), want, thumbnail: get(octets, 16) }
}

pub(super) fn encode_answer(answer: &Answer) -> [u8; ANSWER_LEN] {
    let mut octets = [0; ANSWER_LEN];
    octets[..8].copy_from_slice(&answer.job.to_le_bytes());
    match &answer.outcome {
        Outcome::Drawn { layout, original, orientation, thumbnail, animated } => {
            let fields = [
                DRAWN,
                layout.size.width,
                layout.size.height,
                layout.stride,
                format_code(layout.format),
                original.width,
                original.height,
                u32::from(*orientation),
                *thumbnail,
                u32::from(*animated),
            ];
            for (index, field) in fields.into_iter().enumerate() {
                put(&mut octets, 8 + 4 * index, field);
            }
        }
        Outcome::Failed(failure) => {
            let text = &failure.reason;
            let text = &text[..text.floor_char_boundary(ANSWER_LEN - TEXT)];
            put(&mut octets, 8, FAILED);
            put(&mut octets, 12, u32::from(failure.lasting));
            put(&mut octets, 16, text.len() as u32);
            octets[TEXT..TEXT + text.len()].copy_from_slice(text.as_bytes());
        }
    }
    octets
}

/// Believes nothing: what it returns is within bounds, whatever the octets are.
pub(super) fn decode_answer(octets: &[u8; ANSWER_LEN]) -> Result<Answer, ProtocolError> {
    let outcome = match get(octets, 8) {
        DRAWN => decode_drawn(octets)?,
        FAILED => Outcome::Failed(Failure {
            reason: decode_text(octets)?,
            lasting: decode_bool(octets, 12, "lasting")?,
        }),
        _ => return Err(ProtocolError::Malformed("status")),
    };
    Ok(Answer { job: get_job(octets), outcome })
}

fn decode_drawn(octets: &[u8; ANSWER_LEN]) -> Result<Outcome, ProtocolError> {
    let size = Size::new(get(octets, 12), get(octets, 16));
    if size.pixels() == 0 || size.pixels() > PIXEL_LIMIT {
        return Err(ProtocolError::Malformed("size"));
    }
    let format = match get(octets, 24) {
        0 => PixelFormat::Rgb8,
        1 => PixelFormat::Rgba8Premultiplied,
        _ => return Err(ProtocolError::Malformed("format")),
    };
    let stride = get(octets, 20);
    let row = u64::from(size.width) * u64::from(format.bytes_per_pixel());
    // No more than the padding to the next cache line.
    if !(row..row + 64).contains(&u64::from(stride)) {
        return Err(ProtocolError::Malformed("stride"));
    }
    let orientation = match get(octets, 36) {
        value @ 1..=8 => value as u8,
        _ => return Err(ProtocolError::Malformed("orientation")),
    };
    let original = Size::new(get(octets, 28), get(octets, 32));
    let layout = Layout { size, stride, format };
    let thumbnail = get(octets, 40);
    if thumbnail > THUMBNAIL_LIMIT {
        return Err(ProtocolError::Malformed("thumbnail"));
    }
    let animated = decode_bool(octets, 44, "animated")?;
    Ok(Outcome::Drawn { layout, original, orientation, thumbnail, animated })
}

fn decode_bool(
    octets: &[u8; ANSWER_LEN],
    at: usize,
    field: &'static str,
) -> Result<bool, ProtocolError> {
    match get(octets, at) {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ProtocolError::Malformed(field)),
    }
}

/// Text for people to see: printable characters in one line.
fn decode_text(octets: &[u8; ANSWER_LEN]) -> Result<String, ProtocolError> {
    let text = TEXT
        .checked_add(get(octets, 16) as usize)
        .and_then(|end| octets.get(TEXT..end))
        .ok_or(ProtocolError::Malformed("text length"))?;
    let text = std::str::from_utf8(text).map_err(|_| ProtocolError::Malformed("text"))?;
    Ok(text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect())
}

fn format_code(format: PixelFormat) -> u32 {
    match format {
        PixelFormat::Rgb8 => 0,
        PixelFormat::Rgba8Premultiplied => 1,
    }
}

fn put(octets: &mut [u8], at: usize, value: u32) {
    octets[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get(octets: &[u8], at: usize) -> u32 {
    octets[at..].first_chunk().map_or(0, |octets| u32::from_le_bytes(*octets))
}

fn get_job(octets: &[u8]) -> u64 {
    octets.first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn() -> Answer {
        let layout =
            Layout { size: Size::new(3, 2), stride: 12, format: PixelFormat::Rgba8Premultiplied };
        let outcome = Outcome::Drawn {
            layout,
            original: Size::new(600, 400),
            orientation: 6,
            thumbnail: 5000,
            animated: true,
        };
        Answer { job: 0x0102_0304_0506_0708, outcome }
    }

    fn failed(reason: &str) -> Outcome {
        Outcome::Failed(Failure { reason: reason.into(), lasting: true })
    }

    /// `drawn()` with the field at `at` replaced.
    fn with(at: usize, value: u32) -> Result<Answer, ProtocolError> {
        let mut octets = encode_answer(&drawn());
        put(&mut octets, at, value);
        decode_answer(&octets)
    }

    #[track_caller]
    fn assert_malformed(result: Result<Answer, ProtocolError>, field: &str) {
        match result {
            Err(ProtocolError::Malformed(found)) => assert_eq!(found, field),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let request = Request { job: u64::MAX, want: Size::new(256, 512), thumbnail: 128 };
        assert_eq!(decode_request(&encode_request(&request)), request);
        for outcome in [drawn().outcome, failed("truncated JPEG")] {
            let answer = Answer { job: 7, outcome };
            assert_eq!(decode_answer(&encode_answer(&answer)).unwrap(), answer);
        }
    }

    #[test]
    fn octets_are_little_endian_and_where_the_table_says() {
        let octets = encode_answer(&drawn());
        assert_eq!(octets[..8], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(octets[12..24], [3, 0, 0, 0, 2, 0, 0, 0, 12, 0, 0, 0]);
        assert_eq!(octets[28..36], [0x58, 2, 0, 0, 0x90, 1, 0, 0]);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let answer = Answer { job: 1, outcome: failed(&"×".repeat(500)) };
        match decode_answer(&encode_answer(&answer)).unwrap().outcome {
            Outcome::Failed(failure) => {
                assert_eq!(failure.reason, "×".repeat((ANSWER_LEN - TEXT) / 2))
            }
            drawn => panic!("{drawn:?}"),
        }
    }

    #[test]
    fn control_characters_are_not_shown() {
        let answer = Answer { job: 1, outcome: failed("a\n\x1b[31mb") };
        let answer = decode_answer(&encode_answer(&answer)).unwrap();
        assert_eq!(answer.outcome, failed("a  [31mb"));
    }

    #[test]
    fn impossible_fields_are_refused_by_name() {
        assert_malformed(with(8, 2), "status");
        assert_malformed(with(12, 0), "size");
        assert_malformed(with(16, u32::MAX), "size");
        assert_malformed(with(20, 11), "stride");
        assert_malformed(with(20, u32::MAX), "stride");
        assert_malformed(with(24, 2), "format");
        assert_malformed(with(36, 0), "orientation");
        assert_malformed(with(36, 9), "orientation");
        assert_malformed(with(40, THUMBNAIL_LIMIT + 1), "thumbnail");
        assert_malformed(with(44, 2), "animated");
    }

    #[test]
    fn impossible_text_is_refused() {
        let mut octets = encode_answer(&Answer { job: 1, outcome: failed("x") });
        octets[TEXT] = 0xFF;
        assert_malformed(decode_answer(&octets), "text");
        put(&mut octets, 16, (ANSWER_LEN - TEXT) as u32 + 1);
        assert_malformed(decode_answer(&octets), "text length");
        put(&mut octets, 16, u32::MAX);
        assert_malformed(decode_answer(&octets), "text length");
        put(&mut octets, 12, 7);
        put(&mut octets, 16, 0);
        assert_malformed(decode_answer(&octets), "lasting");
    }
}
