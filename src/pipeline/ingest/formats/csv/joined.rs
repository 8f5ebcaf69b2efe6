//! CSV files that were joined: a row that names columns is a header, and the rows after it are read by it.
//!
//! Rows are checked by many threads, which do not know what stands before their own. Nearly all files have one header, or the same one
//! again, which is passed over. So a file is read as if it had one; where a row names other columns that ends, and the file is read once
//! more by parts that each have one header.

use std::io::{self, Read};
use std::sync::Arc;

use super::cells::first_line;
use super::first_row::first_row;
use super::{CsvHeader, is_field, names_columns};
use crate::pipeline::ingest::input::chunk::{Chunk, Chunks, without_marks};
use crate::pipeline::ingest::record::fields::Field;

/// A header that is not the file's first row.
#[derive(Debug)]
pub struct LaterHeader {
    /// Its line in the input, which tells it from others.
    pub line: u64,
    /// As it stands, without the end of its line.
    pub text: String,
    pub header: CsvHeader,
}

/// Splits an input at its headers too.
pub struct JoinedChunks<R> {
    chunks: Chunks<R>,
    /// What was read and not handed on.
    rest: Chunk,
    first: CsvHeader,
    header: Option<Arc<LaterHeader>>,
}

impl<R: Read> JoinedChunks<R> {
    /// The rest of an input, `below` of it read already, whose first row is `first`.
    pub fn of(chunks: Chunks<R>, below: Chunk, first: CsvHeader) -> Self {
        Self {
            chunks,
            rest: below,
            first,
            header: None,
        }
    }

    /// Fills the chunk with the next rows that one header holds for; false at the end. A header that is none of usage records is an
    /// error of the input.
    pub fn fill(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        loop {
            if self.rest.bytes().is_empty() && !self.chunks.fill(&mut self.rest)? {
                return Ok(false);
            }
            let end = self.next_header();
            if end > 0 {
                *chunk = self.rest.split_off(end);
                chunk.header.clone_from(&self.header);
                return Ok(true);
            }
            self.take_header()?;
        }
    }

    /// Where the next row that names columns begins; the end where there is none.
    fn next_header(&self) -> usize {
        let bytes = self.rest.bytes();
        let mut at = 0;
        while at < bytes.len() {
            let length = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len() - at, |end| end + 1);
            if names_fields(&bytes[at..at + length]) {
                return at;
            }
            at += length;
        }
        at
    }

    fn take_header(&mut self) -> io::Result<()> {
        let line = self.rest.first_line;
        let bad = |what: String| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line {line} is a second header: {what}"),
            )
        };
        let found = first_row(self.rest.bytes()).map_err(bad)?;
        let text = String::from_utf8_lossy(without_marks(&self.rest.bytes()[..found.end]));
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        let header = CsvHeader::parse(&found.row, found.separator).map_err(|error| bad(error.to_string()))?;
        self.rest.skip(found.end);
        self.header = (header != self.first).then(|| Arc::new(LaterHeader { line, text, header }));
        Ok(())
    }
}

/// Whether a line names columns, whatever stands between them.
pub fn names_fields(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(without_marks(line)) else {
        return false;
    };
    let (row, _) = first_line(text);
    let first = row.trim_start_matches('"').split([',', ';', '\t', '|', '"']).next();
    // Nearly every row is told by this.
    if !first.is_some_and(is_field) && !row.contains(Field::TaskType.name()) {
        return false;
    }
    let Ok(first) = first_row(row.as_bytes()) else {
        return false;
    };
    let cells = first
        .row
        .iter()
        .map(|cell| std::str::from_utf8(cell).unwrap_or_default());
    names_columns(&cells.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "id,uin,appid,task_type,duration_ms,finished_at\n";

    fn parts(text: &str) -> io::Result<Vec<(u64, Option<String>, String)>> {
        let mut chunks = Chunks::of_lines(text.as_bytes());
        let mut below = Chunk::default();
        chunks.fill(&mut below)?;
        let first = first_row(below.bytes()).unwrap();
        below.skip(first.end);
        let header = CsvHeader::parse(&first.row, first.separator).unwrap();
        let mut joined = JoinedChunks::of(chunks, below, header);
        let (mut found, mut chunk) = (Vec::new(), Chunk::default());
        while joined.fill(&mut chunk)? {
            let header = chunk.header.as_ref().map(|later| later.text.clone());
            found.push((
                chunk.first_line,
                header,
                String::from_utf8(chunk.bytes().to_vec()).unwrap(),
            ));
        }
        Ok(found)
    }

    #[test]
    fn rows_are_parted_by_the_header_that_holds_for_them() {
        let other = "finished_at;id;uin;appid;task_type;duration_ms";
        let text = format!("{FIRST}a\nb\n\u{feff}{other}\r\nc\n{FIRST}d\n{FIRST}{other}\ne");
        let part = |line, header: Option<&str>, rows: &str| (line, header.map(ToOwned::to_owned), rows.to_owned());
        assert_eq!(
            parts(&text).unwrap(),
            [
                part(2, None, "a\nb\n"),
                part(5, Some(other), "c\n"),
                part(7, None, "d\n"),
                part(10, Some(other), "e"),
            ]
        );
    }

    #[test]
    fn a_header_in_the_middle_that_is_none_of_usage_records_is_named_by_its_line() {
        let error = parts(&format!("{FIRST}a\nid,uin\n")).unwrap_err().to_string();
        assert!(
            error.starts_with("line 3 is a second header: the header lacks `appid`"),
            "{error}"
        );
    }
}
