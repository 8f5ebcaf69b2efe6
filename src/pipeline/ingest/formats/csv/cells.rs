//! The cells of a CSV row, found where they stand.
//!
//! A row is one line, its cells as RFC 4180 writes them; another separator than the comma may stand between them. Anything more lenient guesses: a stray quote would swallow the rows up to the
//! next one, as text of its cell, and nobody would miss them.

use std::borrow::Cow;
use std::ops::Range;

/// A cell of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Where it stands in the row, quotes included.
    pub place: Range<usize>,
    is_quoted: bool,
    /// Whether a quote inside stands twice.
    is_doubled: bool,
}

impl Cell {
    /// The text between the quotes, if it is what it says.
    #[inline]
    pub fn verbatim<'r>(&self, row: &'r str) -> Option<&'r str> {
        let inset = usize::from(self.is_quoted);
        if self.is_doubled {
            return None;
        }
        row.get(self.place.start + inset..self.place.end - inset)
    }

    /// What it says.
    pub fn text<'r>(&self, row: &'r str) -> Cow<'r, str> {
        match self.verbatim(row) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(row[self.place.start + 1..self.place.end - 1].replace("\"\"", "\"")),
        }
    }
}

/// The first line of `text` without its end, and how many bytes both have.
#[inline]
pub fn first_line(text: &str) -> (&str, usize) {
    let end = memchr::memchr(b'\n', text.as_bytes());
    let line = &text[..end.unwrap_or(text.len())];
    (
        line.strip_suffix('\r').unwrap_or(line),
        end.map_or(text.len(), |end| end + 1),
    )
}

/// Splits a row into cells; none if one is not as RFC 4180 writes it. That one comes after those in `cells`.
#[inline]
pub fn split(row: &str, separator: u8, cells: &mut Vec<Cell>) -> Option<()> {
    cells.clear();
    if memchr::memchr2(b'"', b'\r', row.as_bytes()).is_some() {
        return split_quoted(row, separator, cells);
    }
    let mut start = 0;
    for end in memchr::memchr_iter(separator, row.as_bytes()) {
        cells.push(unquoted(start..end));
        start = end + 1;
    }
    cells.push(unquoted(start..row.len()));
    Some(())
}

fn split_quoted(row: &str, separator: u8, cells: &mut Vec<Cell>) -> Option<()> {
    let bytes = row.as_bytes();
    let mut start = 0;
    loop {
        let cell = if bytes.get(start) == Some(&b'"') {
            quoted(bytes, start)?
        } else {
            let end = memchr::memchr(separator, &bytes[start..]).map_or(row.len(), |at| start + at);
            if memchr::memchr2(b'"', b'\r', &bytes[start..end]).is_some() {
                return None;
            }
            unquoted(start..end)
        };
        let next = bytes.get(cell.place.end);
        if next.is_some_and(|next| *next != separator) {
            return None;
        }
        start = cell.place.end + 1;
        cells.push(cell);
        if next.is_none() {
            return Some(());
        }
    }
}

#[inline]
fn unquoted(place: Range<usize>) -> Cell {
    Cell {
        place,
        is_quoted: false,
        is_doubled: false,
    }
}

/// The cell whose opening quote is at `start`; none if it does not end on this line.
fn quoted(bytes: &[u8], start: usize) -> Option<Cell> {
    let mut is_doubled = false;
    let mut from = start + 1;
    loop {
        let quote = from + memchr::memchr(b'"', &bytes[from..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(Cell {
                place: start..quote + 1,
                is_quoted: true,
                is_doubled,
            });
        }
        is_doubled = true;
        from = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(row: &str) -> Option<Vec<String>> {
        let mut cells = Vec::new();
        split(row, b',', &mut cells)?;
        Some(cells.iter().map(|cell| cell.text(row).into_owned()).collect())
    }

    #[test]
    fn a_row_is_split_at_its_commas() {
        for (row, expected) in [
            ("a,b", &["a", "b"][..]),
            ("", &[""]),
            (",", &["", ""]),
            ("\"a\",\"b,c\",", &["a", "b,c", ""]),
            ("\"\",\"say \"\"x\"\"\"", &["", "say \"x\""]),
            ("\"a\rb\",é", &["a\rb", "é"]),
        ] {
            assert_eq!(cells(row).unwrap(), expected, "{row}");
        }
    }

    #[test]
    fn what_only_some_readers_let_pass_is_not_split() {
        for row in ["a\"b,c", "\"a\"b,c", "\"a", "a,\"b", " \"a\"", "a\rb", "\"a\" ,b"] {
            assert_eq!(cells(row), None, "{row}");
        }
    }

    #[test]
    fn a_line_ends_with_or_without_a_carriage_return() {
        assert_eq!(first_line("a,b\r\nc"), ("a,b", 5));
        assert_eq!(first_line("a,b\nc"), ("a,b", 4));
        assert_eq!(first_line("a,b"), ("a,b", 3));
        assert_eq!(first_line("\r\r\n"), ("\r", 3));
        assert_eq!(first_line("\n"), ("", 1));
    }

    proptest! {
        #[test]
        fn a_row_that_is_split_has_the_cells_that_the_reader_finds(row in "[a\",\r é]{0,12}|(\"(a|,|\"\"){0,4}\"|a{0,2})(,(\"(a|,|\"\"|\r){0,4}\"|a{0,2})){0,4}") {
            if let Some(found) = cells(&row) {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row.as_bytes());
                let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(ToOwned::to_owned).collect()).collect();
                let expected = if row.is_empty() { vec![] } else { vec![found] };
                prop_assert_eq!(rows, expected);
            }
        }
    }
}
