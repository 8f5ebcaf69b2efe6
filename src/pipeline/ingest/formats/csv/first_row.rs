//! The first row of a CSV: its cells, and what stands between them.

use csv::ByteRecord;

use super::cells::split;
use super::fast::without_line_end;
use crate::pipeline::ingest::input::chunk::without_marks;

/// What may stand between cells. The comma comes first: a file is read otherwise only where its header says so.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What a spreadsheet may write before the header.
const SEPARATOR_LINE: &[u8] = b"sep=";

/// A first row.
#[derive(Debug)]
pub struct FirstRow {
    pub row: ByteRecord,
    pub separator: u8,
    /// Where the next line begins.
    pub end: usize,
}

/// The first row of a CSV text.
pub fn first_row(bytes: &[u8]) -> Result<FirstRow, String> {
    let (line, end) = first_line(bytes);
    if let [separator] = line.strip_prefix(SEPARATOR_LINE).unwrap_or_default() {
        let (line, length) = first_line(&bytes[end..]);
        return row_of(line, *separator, end + length);
    }
    row_of(line, separator_of(line), end)
}

/// The first line that is not empty, and where the next one begins.
fn first_line(bytes: &[u8]) -> (&[u8], usize) {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let end = memchr::memchr(b'\n', &bytes[blank..]).map_or(bytes.len(), |at| blank + at + 1);
    (without_marks(without_line_end(&bytes[blank..end])), end)
}

fn row_of(line: &[u8], separator: u8, end: usize) -> Result<FirstRow, String> {
    if let Ok(text) = std::str::from_utf8(line)
        && split(text, separator, &mut Vec::new()).is_none()
    {
        return Err(
            "the header row is not valid CSV (RFC 4180); look for a stray quote, and for lines that end in a carriage \
                    return without a line feed"
                .to_owned(),
        );
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(line);
    let mut row = ByteRecord::new();
    reader.read_byte_record(&mut row).map_err(|e| e.to_string())?;
    Ok(FirstRow { row, separator, end })
}

/// The first separator that leaves a cell `id` beside others.
fn separator_of(line: &[u8]) -> u8 {
    let Ok(text) = std::str::from_utf8(line) else {
        return SEPARATORS[0];
    };
    let has_id = |separator: &u8| {
        let mut cells = Vec::new();
        split(text, *separator, &mut cells).is_some()
            && cells.len() > 1
            && cells.iter().any(|cell| cell.text(text) == "id")
    };
    SEPARATORS.into_iter().find(has_id).unwrap_or(SEPARATORS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> (Vec<String>, char, &str) {
        let found = first_row(text.as_bytes()).unwrap();
        let cells = found
            .row
            .iter()
            .map(|cell| String::from_utf8(cell.to_vec()).unwrap())
            .collect();
        (cells, char::from(found.separator), &text[found.end..])
    }

    #[test]
    fn what_stands_between_cells_is_known_by_the_header() {
        for (text, separator) in [
            ("id,uin\n1,2\n", ','),
            ("id;uin\r\n1,2\n", ';'),
            ("uin\tid\n1,2\n", '\t'),
            ("\n\"id\"|\"uin\"\n1,2\n", '|'),
            ("\u{feff}id;uin\n1,2\n", ';'),
            ("\u{feff}sep=;\r\nid;uin\n1,2\n", ';'),
            ("id,\"a;id;b\"\n1,2\n", ','),
        ] {
            let (cells, found, rest) = first(text);
            assert_eq!(
                (cells.len() > 1, found, rest),
                (true, separator, "1,2\n"),
                "{text:?} {cells:?}"
            );
        }
        assert_eq!(first("a;b").1, ',');
        assert!(first_row(b"id,\"uin").is_err());
    }
}
