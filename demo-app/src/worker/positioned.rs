//! Flow 2, the worker's side: a file that is read without moving its offset, which belongs to everybody
//! who has the descriptor: the app, and another worker that was given the same picture to decode.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// A file and an offset of one's own, which begins at 0.
pub(super) struct Positioned {
    file: File,
    offset: u64,
}

impl Positioned {
    pub(super) fn new(file: File) -> Self {
        Self { file, offset: 0 }
    }
}

impl Read for Positioned {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_readers_of_one_file_do_not_meet() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"0123456789").unwrap();
        let mut one = Positioned::new(file.try_clone().unwrap());
        let mut other = Positioned::new(file.try_clone().unwrap());
        let read = |from: &mut Positioned| {
            let mut octets = [0; 2];
            from.read_exact(&mut octets).unwrap();
            octets
        };
        assert_eq!([read(&mut one), read(&mut other), read(&mut one)], [*b"01", *b"01", *b"23"]);
        assert_eq!(one.seek(SeekFrom::End(-2)).unwrap(), 8);
        assert_eq!([read(&mut one), read(&mut other)], [*b"89", *b"23"]);
        assert_eq!(other.seek(SeekFrom::Current(-4)).unwrap(), 0);
        assert!(other.seek(SeekFrom::Current(-1)).is_err());
        assert_eq!(file.stream_position().unwrap(), 10);
    }
}
