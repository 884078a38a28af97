//! Flow 2, the worker's side: a progressive JPEG without the scans that a small decode has no use for.
//!
//! At 1/8 of its size each block of 8 × 8 pixels becomes one, their average. That is in the scans whose
//! spectrum begins at 0; the others can be left out without a look at what they hold. In large files
//! they are nine tenths of the octets, and most of the decoder's time. Only components that have fewer
//! pixels than others, as colours often do, are needed whole: libjpeg reduces them less.
//!
//! ```text
//!   Header ──frame is progressive──▶ Progressive ◀─────────────── next marker ────────────────┐
//!     │                                   └──SOS──▶ Scan (passed on, or left out) ────────────┘
//!     └──any other frame──▶ Plain ◀──end mark, no marker──┘
//! ```
//! In state Plain everything is passed on as it is.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// Octets of a scan that are passed on at once, about.
const PIECE: usize = 32 << 10;
/// Start of a progressive frame with Huffman codes.
const PROGRESSIVE: u8 = 0xC2;
const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;

/// Whether scans of details are wanted; to be told when the headers have been read.
pub(super) type Details = Rc<Cell<bool>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Progressive,
    Scan { passed_on: bool },
    Plain,
}

/// A reader of the same JPEG with fewer scans.
pub(super) struct Scans<R> {
    file: R,
    state: State,
    details: Details,
    /// The components that are needed whole.
    coarse: Vec<u8>,
    /// The first octet of a marker was read.
    in_marker: bool,
    /// What was taken in and not read yet: from `read` on.
    piece: Vec<u8>,
    read: usize,
}

impl<R: BufRead> Scans<R> {
    /// Nothing is left out until details are said not to be wanted.
    pub(super) fn new(file: R) -> (Self, Details) {
        let details = Details::new(Cell::new(true));
        let (piece, read) = (Vec::new(), 0);
        let (state, coarse, own) = (State::Header, Vec::new(), Rc::clone(&details));
        (Self { file, state, details: own, coarse, in_marker: false, piece, read }, details)
    }

    /// Takes in a marker with its segment, or a piece of a scan. Gives whether there was anything.
    fn take_in(&mut self) -> io::Result<bool> {
        self.piece.clear();
        self.read = 0;
        match self.state {
            State::Scan { passed_on } => self.take_in_data(passed_on),
            _ => self.take_in_segment(),
        }
    }

    fn take_in_segment(&mut self) -> io::Result<bool> {
        if std::mem::take(&mut self.in_marker) {
            self.piece.push(0xFF);
        }
        self.append(2 - self.piece.len())?;
        let marker = match self.piece[..] {
            [0xFF, marker] => marker,
            // No marker: for the decoder to judge.
            _ => END_OF_IMAGE,
        };
        match marker {
            // Start of the image, restarts, and a reserved one: they have no segment.
            0x01 | 0xD0..=0xD8 => return Ok(true),
            0x00 | END_OF_IMAGE | 0xFF => {
                self.state = State::Plain;
                return Ok(!self.piece.is_empty());
            }
            _ => {}
        }
        self.append(2)?;
        let length = match self.piece[2..] {
            [high, low] => u16::from_be_bytes([high, low]).into(),
            _ => 0_usize,
        };
        self.append(length.saturating_sub(2))?;
        if marker == PROGRESSIVE {
            self.coarse = coarse(&self.piece);
        }
        self.state = self.after(marker);
        if self.state == (State::Scan { passed_on: false }) {
            self.piece.clear();
        }
        Ok(true)
    }

    fn after(&self, marker: u8) -> State {
        match (self.state, marker) {
            (_, PROGRESSIVE) => State::Progressive,
            // Tables, not frames.
            (state, 0xC4 | 0xC8 | 0xCC) => state,
            (_, 0xC0..=0xCF) | (State::Header, START_OF_SCAN) => State::Plain,
            (_, START_OF_SCAN) => {
                State::Scan { passed_on: self.details.get() || self.is_needed(&self.piece) }
            }
            (state, _) => state,
        }
    }

    /// Whether averages are in this scan, or a component that is needed whole; by its segment. One that is
    /// torn is for the decoder to judge.
    fn is_needed(&self, segment: &[u8]) -> bool {
        let [_, _, _, _, count, rest @ ..] = segment else { return true };
        let Some((components, rest)) = rest.split_at_checked(2 * usize::from(*count)) else {
            return true;
        };
        let is_coarse = |component: &[u8; 2]| self.coarse.contains(&component[0]);
        rest.first().is_none_or(|start| *start == 0)
            || components.as_chunks().0.iter().any(is_coarse)
    }

    /// A scan ends before the next marker, which is an octet 0xFF that neither a 0 nor the number of a
    /// restart follows.
    fn take_in_data(&mut self, passed_on: bool) -> io::Result<bool> {
        let mut any = false;
        while self.piece.len() < PIECE {
            let most = PIECE as u64;
            let taken = self.file.by_ref().take(most).read_until(0xFF, &mut self.piece)?;
            any |= taken > 0;
            if taken == 0 {
                break;
            }
            if self.piece.last() != Some(&0xFF) {
                continue;
            }
            match self.file.fill_buf()?.first() {
                Some(0 | 0xD0..=0xD7) => {}
                Some(_) => {
                    self.piece.pop();
                    self.in_marker = true;
                    self.state = State::Progressive;
                    break;
                }
                None => {}
            }
        }
        if !passed_on {
            self.piece.clear();
        }
        Ok(any)
    }

    /// As much as there is of the next `count` octets.
    fn append(&mut self, count: usize) -> io::Result<()> {
        self.file.by_ref().take(count as u64).read_to_end(&mut self.piece).map(drop)
    }
}

/// The components of a frame that have fewer pixels than others, from its segment.
fn coarse(segment: &[u8]) -> Vec<u8> {
    let components = segment.get(10..).unwrap_or_default().as_chunks::<3>().0;
    let finest = |sampling: fn(u8) -> u8| {
        components.iter().map(|component| sampling(component[1])).max().unwrap_or_default()
    };
    let (across, down) = (|sampling: u8| sampling >> 4, |sampling: u8| sampling & 15);
    let most = (finest(across), finest(down));
    let is_coarse = |component: &&[u8; 3]| (across(component[1]), down(component[1])) != most;
    components.iter().filter(is_coarse).map(|component| component[0]).collect()
}

impl<R: BufRead> Read for Scans<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Scans<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.piece.len() {
            if self.state == State::Plain {
                return self.file.fill_buf();
            }
            if !self.take_in()? {
                break;
            }
        }
        Ok(&self.piece[self.read..])
    }

    fn consume(&mut self, count: usize) {
        if self.read < self.piece.len() {
            self.read += count;
        } else {
            self.file.consume(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [u8; 2] = [0xFF, 0xD8];
    const END: [u8; 2] = [0xFF, 0xD9];

    /// Three components, of which the second has half of the pixels.
    fn frame(kind: u8) -> Vec<u8> {
        let head = [0xFF, kind, 0, 17, 8, 0, 9, 0, 9, 3];
        [&head[..], &[1, 0x21, 0], &[2, 0x11, 0], &[3, 0x21, 0]].concat()
    }

    fn scan(start: u8, data: u8) -> Vec<u8> {
        scan_of(1, start, data)
    }

    /// A scan of one component, its spectrum from `start` on, and its data: with an escaped 0xFF, and a
    /// restart.
    fn scan_of(component: u8, start: u8, data: u8) -> Vec<u8> {
        let head = [0xFF, START_OF_SCAN, 0, 8, 1, component, 0, start, 63, 0];
        [&head[..], &[data, 0xFF, 0, data, 0xFF, 0xD0, data]].concat()
    }

    fn without_details(file: &[u8], buffer: usize) -> Vec<u8> {
        let (mut scans, details) = Scans::new(io::BufReader::with_capacity(buffer, file));
        details.set(false);
        let mut read = Vec::new();
        scans.read_to_end(&mut read).unwrap();
        read
    }

    #[test]
    fn scans_of_details_are_left_out() {
        let table = [0xFF, 0xC4, 0, 3, 7];
        let rest = *b"what follows the end";
        let (head, dc) = ([&START[..], &table, &frame(PROGRESSIVE)].concat(), scan(0, 5));
        let file =
            [&head[..], &dc, &scan(1, 6), &table, &scan(6, 7), &dc, &scan(1, 8), &END, &rest];
        let expected = [&head[..], &dc, &table, &dc, &END, &rest].concat();
        for buffer in [1, 2, 3, 1000] {
            assert_eq!(without_details(&file.concat(), buffer), expected, "{buffer}");
        }
        let file = file.concat();
        let (mut all, _) = Scans::new(&file[..]);
        let mut read = Vec::new();
        all.read_to_end(&mut read).unwrap();
        assert_eq!(read, file);
    }

    #[test]
    fn other_frames_and_what_is_torn_are_passed_on() {
        let baseline = [&START[..], &frame(0xC0), &scan(1, 5), &END].concat();
        let torn = [&START[..], &frame(PROGRESSIVE), &scan(0, 5)].concat();
        for len in 0..=torn.len() {
            assert_eq!(without_details(&torn[..len], 3), torn[..len], "{len}");
        }
        for file in [&baseline[..], b"no JPEG", &[0xFF, 0xD8, 0xFF, 0xFF, 0xC2]] {
            assert_eq!(without_details(file, 3), file);
        }
    }
}
