//! Chunks: some megabytes of an input that end where a record ends, with the number of their first line.

use std::io::{self, Read};

/// What is read at a time: large enough that handing it over costs nothing, small enough for many in memory.
const CHUNK_BYTES: usize = 4 << 20;

/// A line longer than this makes the whole input unreadable: it is not one of lines.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Whole records of an input.
#[derive(Debug)]
pub struct Chunk {
    /// The number of its first line, from 1.
    pub first_line: u64,
    pub bytes: Vec<u8>,
}

/// Splits NDJSON at line ends, or CSV at line ends outside quotes.
pub struct Chunks<R> {
    reader: R,
    quotes: bool,
    carry: Vec<u8>,
    line: u64,
    at_start: bool,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    /// Chunks of lines.
    pub fn of_lines(reader: R) -> Self {
        Self {
            reader,
            quotes: false,
            carry: Vec::new(),
            line: 1,
            at_start: true,
            ended: false,
        }
    }

    /// Chunks of CSV rows, which may hold line ends inside quotes.
    pub fn of_rows(reader: R) -> Self {
        Self {
            quotes: true,
            ..Self::of_lines(reader)
        }
    }

    /// The next chunk; none at the end.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let mut bytes = std::mem::take(&mut self.carry);
        while !self.ended {
            let before = bytes.len();
            bytes.reserve(CHUNK_BYTES);
            let read = (&mut self.reader).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
            self.ended = read < CHUNK_BYTES;
            if self.at_start && bytes.starts_with(b"\xEF\xBB\xBF") {
                bytes.drain(..3);
            }
            self.at_start = false;
            if self.ended {
                break;
            }
            if let Some(end) = self.last_end(&bytes, before) {
                self.carry = bytes[end..].to_vec();
                bytes.truncate(end);
                return Ok(Some(self.chunk(bytes)));
            }
            if bytes.len() > LINE_BYTES_MAX {
                let what = format!("line {} is longer than 64 MiB: this is no file of lines", self.line);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok((!bytes.is_empty()).then(|| self.chunk(bytes)))
    }

    /// Just after the last line end, of a row if rows are asked for. `searched` bytes hold none.
    fn last_end(&self, bytes: &[u8], searched: usize) -> Option<usize> {
        if !self.quotes {
            return memchr::memrchr(b'\n', &bytes[searched.min(bytes.len())..]).map(|at| searched + at + 1);
        }
        let mut inside = false;
        let mut end = None;
        for at in memchr::memchr2_iter(b'"', b'\n', bytes) {
            if bytes[at] == b'"' {
                inside = !inside;
            } else if !inside {
                end = Some(at + 1);
            }
        }
        end
    }

    fn chunk(&mut self, bytes: Vec<u8>) -> Chunk {
        let first_line = self.line;
        self.line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        Chunk { first_line, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(mut chunks: Chunks<&[u8]>) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            found.push((chunk.first_line, chunk.bytes.len()));
        }
        found
    }

    #[test]
    fn a_large_input_is_split_at_line_ends_and_keeps_its_line_numbers() {
        let line = [vec![b'x'; 99_999], vec![b'\n']].concat();
        let text = line.repeat(100);
        let found = chunks(Chunks::of_lines(&text));
        assert_eq!(found.iter().map(|c| c.1).sum::<usize>(), text.len());
        assert!(found.len() > 1 && found.iter().all(|c| c.1 % 100_000 == 0), "{found:?}");
        assert_eq!(found[1].0, 1 + found[0].1 as u64 / 100_000);
    }

    #[test]
    fn a_line_end_inside_quotes_ends_no_row() {
        let row = format!("\"{}\n{}\"\n", "a".repeat(3_000_000), "b".repeat(3_000_000));
        let text = row.repeat(3);
        assert!(
            chunks(Chunks::of_rows(text.as_bytes()))
                .iter()
                .all(|c| c.1 % row.len() == 0)
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let chunk = Chunks::of_lines(&b"\xEF\xBB\xBF{}"[..]).next_chunk().unwrap().unwrap();
        assert_eq!(chunk.bytes, b"{}");
    }

    #[test]
    fn a_line_without_end_is_an_error_and_not_memory() {
        let mut chunks = Chunks::of_lines(io::repeat(b'x'));
        assert_eq!(chunks.next_chunk().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
