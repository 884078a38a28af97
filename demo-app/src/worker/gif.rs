//! Flow 2, the worker's side: how many frames a GIF has, which only its end tells, and how often they are shown.

use std::io::{self, BufRead, Seek};

/// Whether a GIF that begins with `head` says how often it is to be shown.
pub(super) fn is_repeated(head: &[u8]) -> bool {
    let has = |mark: &[u8]| head.windows(mark.len()).any(|part| part == mark);
    has(b"NETSCAPE2.0") || has(b"ANIMEXTS1.0")
}

/// Whether there is a second frame in it. No pixel is looked at.
pub(super) fn moves(reader: &mut (impl BufRead + Seek)) -> bool {
    // One that breaks off has none behind that.
    frames(reader).unwrap_or_default()
}

fn frames(reader: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let mut header = [0; 13];
    reader.read_exact(&mut header)?;
    reader.seek_relative(colours(header[10]))?;
    let mut is_second = false;
    loop {
        match octet(reader)? {
            // An extension of some kind.
            0x21 => reader.seek_relative(1)?,
            0x2C if is_second => return Ok(true),
            0x2C => {
                is_second = true;
                let mut place = [0; 9];
                reader.read_exact(&mut place)?;
                reader.seek_relative(colours(place[8]) + 1)?;
            }
            _ => return Ok(false),
        }
        // What both have is in blocks, of which the last one is empty.
        while let length @ 1.. = octet(reader)? {
            reader.seek_relative(length.into())?;
        }
    }
}

/// The octets of a table of colours, if these flags announce one.
fn colours(flags: u8) -> i64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn octet(reader: &mut impl BufRead) -> io::Result<u8> {
    let mut octet = [0];
    reader.read_exact(&mut octet)?;
    Ok(octet[0])
}
