//! Flow 2, the worker's side: tells an early end from other damage, whatever the decoder says.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::rc::Rc;

/// A reader that remembers whether more was asked of it than it had.
pub(super) struct Watched<R> {
    reader: R,
    ended: Ended,
}

/// Whether a [`Watched`] reader has come to its end; outlives it.
#[derive(Clone, Default)]
pub(super) struct Ended(Rc<Cell<bool>>);

impl Ended {
    pub(super) fn get(&self) -> bool {
        self.0.get()
    }

    fn note(&self, ended: bool) {
        self.0.set(self.0.get() || ended);
    }
}

impl<R> Watched<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, ended: Ended::default() }
    }

    pub(super) fn ended(&self) -> Ended {
        self.ended.clone()
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(into)?;
        self.ended.note(count == 0 && !into.is_empty());
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Watched<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.reader.fill_buf()?;
        self.ended.note(bytes.is_empty());
        Ok(bytes)
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}

impl<R: Seek> Seek for Watched<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}
