//! Chunks: some megabytes of an input that end where a record ends, with the number of their first line.

use std::io::{self, Read};
use std::sync::Arc;

use crate::pipeline::ingest::formats::csv::joined::LaterHeader;

/// What is read at a time: large enough that handing it over costs nothing, small enough to stay in a core's cache.
const CHUNK_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line longer than this makes the whole input unreadable: it is not one of lines.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Whole records of an input, in a buffer that is filled again and again.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The number of its first line, from 1.
    pub first_line: u64,
    /// Of a CSV that was joined: the header further down by which these rows are read.
    pub header: Option<Arc<LaterHeader>>,
    buffer: Vec<u8>,
    length: usize,
}

impl Chunk {
    /// A chunk of these bytes, the first line of which has this number.
    pub fn of(first_line: u64, bytes: Vec<u8>) -> Self {
        Self {
            first_line,
            header: None,
            length: bytes.len(),
            buffer: bytes,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Takes off the first `count` bytes, which end a line, as a chunk of their own.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Self {
        let taken = Self::of(self.first_line, self.bytes()[..count].to_vec());
        self.skip(count);
        taken
    }

    /// Takes off the first `count` bytes, which end a line.
    pub fn skip(&mut self, count: usize) {
        self.first_line += line_ends(&self.bytes()[..count]);
        self.buffer.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

/// Splits an input at line ends.
pub struct Chunks<R> {
    reader: R,
    /// What was read after the last whole record.
    carry: Vec<u8>,
    line: u64,
    at_start: bool,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    /// Chunks of whole lines.
    pub fn of_lines(reader: R) -> Self {
        Self {
            reader,
            carry: Vec::new(),
            line: 1,
            at_start: true,
            ended: false,
        }
    }

    /// The same with another number for the first line.
    #[must_use]
    pub fn numbered_from(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// Fills the chunk with the next records; false at the end.
    pub fn fill(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        chunk.first_line = self.line;
        chunk.length = self.read_records(&mut chunk.buffer)?;
        self.line += line_ends(chunk.bytes());
        Ok(chunk.length > 0)
    }

    /// Reads whole records to the start of the buffer, and says how many bytes they have.
    fn read_records(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut held = self.carry.len();
        buffer.resize(held + CHUNK_BYTES, 0);
        buffer[..held].copy_from_slice(&self.carry);
        self.carry.clear();
        while !self.ended {
            let searched = held;
            held += read_full(&mut self.reader, &mut buffer[searched..])?;
            self.ended = held < buffer.len();
            if std::mem::take(&mut self.at_start) && buffer[..held].starts_with(BYTE_ORDER_MARK) {
                buffer.copy_within(BYTE_ORDER_MARK.len()..held, 0);
                held -= BYTE_ORDER_MARK.len();
            }
            if self.ended {
                break;
            }
            if let Some(end) = last_end(&buffer[..held], searched) {
                self.carry.extend_from_slice(&buffer[end..held]);
                return Ok(end);
            }
            if held > LINE_BYTES_MAX {
                let what = format!("line {} is longer than 64 MiB: it is not a usage file", self.line);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            buffer.resize(held + CHUNK_BYTES, 0);
        }
        Ok(held)
    }
}

/// Reads until the buffer is full or the input ends.
pub(crate) fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut held = 0;
    while held < buffer.len() {
        match reader.read(&mut buffer[held..]) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(held)
}

/// Just after the last line end. `searched` bytes hold none.
fn last_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let fresh = searched.min(bytes.len());
    memchr::memrchr(b'\n', &bytes[fresh..]).map(|at| fresh + at + 1)
}

/// A line without the byte order marks at its start: files that have one each get joined.
pub(crate) fn without_marks(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK) {
        line = rest;
    }
    line
}

/// How many lines end in `bytes`.
pub(crate) fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(mut chunks: Chunks<impl Read>) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        let mut chunk = Chunk::default();
        while chunks.fill(&mut chunk).unwrap() {
            found.push((chunk.first_line, chunk.bytes().to_vec()));
        }
        found
    }

    /// A reader that gives a few bytes at a time, as a pipe or a decompressor does.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let few = buffer.len().min(self.1);
            self.0.read(&mut buffer[..few])
        }
    }

    #[test]
    fn a_large_input_is_split_at_line_ends_and_keeps_its_line_numbers() {
        let line = [vec![b'x'; 99_999], vec![b'\n']].concat();
        let text = line.repeat(100);
        for found in [
            chunks(Chunks::of_lines(&text[..])),
            chunks(Chunks::of_lines(Drops(&text, 4_321))),
        ] {
            assert!(found.len() > 1 && found.iter().all(|chunk| chunk.1.len() % 100_000 == 0));
            let mut lines = 1;
            for (first_line, bytes) in &found {
                assert_eq!(*first_line, lines);
                lines += bytes.len() as u64 / 100_000;
            }
            let bytes: Vec<u8> = found.into_iter().flat_map(|chunk| chunk.1).collect();
            assert!(bytes == text);
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let marked = [BYTE_ORDER_MARK, b"{}"].concat();
        assert_eq!(chunks(Chunks::of_lines(Drops(&marked, 2))), [(1, b"{}".to_vec())]);
        let long = [BYTE_ORDER_MARK, &b"{}\n".repeat(CHUNK_BYTES)].concat();
        let bytes: Vec<u8> = chunks(Chunks::of_lines(&long[..]))
            .into_iter()
            .flat_map(|chunk| chunk.1)
            .collect();
        assert!(bytes == long[3..]);
    }

    #[test]
    fn a_line_without_end_is_an_error_and_not_memory() {
        let mut chunks = Chunks::of_lines(io::repeat(b'x'));
        let error = chunks.fill(&mut Chunk::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
