//! The rows of a chunk of CSV: most are read where they stand, with parameters that were seen before; the others in full.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use csv::ByteRecord;

use super::cells::{Cell, first_line, split};
use super::first_row::first_row;
use super::joined::names_fields;
use super::{CsvHeader, ParameterCells, has_names_of_columns};
use crate::pipeline::ingest::input::chunk::{Chunk, without_marks};
use crate::pipeline::ingest::record::fast_fields::FieldTexts;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::pipeline::ingest::record::{MAX_LINE_BYTES, Record};
use crate::pipeline::ingest::segment_builder::SegmentBuilder;
use crate::storage::raw::interner::Symbol;
use crate::support::error::Result;

/// A row that is being read: its cells, and what they say.
#[derive(Default)]
pub struct Reading {
    cells: Vec<Cell>,
    record: ByteRecord,
}

/// Gives every row of a chunk to a segment builder.
pub fn check(builder: &mut SegmentBuilder, header: &CsvHeader, chunk: &Chunk) -> Result<()> {
    let later = chunk.header.as_deref();
    builder.begin_header(later.map_or(0, |later| later.line));
    let below = Below {
        header: later.map_or(header, |later| &later.header),
        written: later.map(|later| later.text.as_str()),
    };
    let mut reading = Reading::default();
    // UTF-8 is checked once for all rows, unless one of them is none.
    match std::str::from_utf8(chunk.bytes()) {
        Ok(text) => check_text(builder, &below, chunk.first_line, text, &mut reading)?,
        Err(_) => {
            for (line, bytes) in (chunk.first_line..).zip(chunk.bytes().split_inclusive(|byte| *byte == b'\n')) {
                take_below(builder, &below, line, without_line_end(bytes), &mut reading)?;
            }
        }
    }
    builder.write_what_is_full()
}

/// The header that rows are read by.
struct Below<'h> {
    header: &'h CsvHeader,
    /// As it stands, where it is not the file's first: a refused row keeps it, to be read by it again.
    written: Option<&'h str>,
}

impl Below<'_> {
    /// What a refused row leaves in quarantine.
    fn payload<'r>(&self, row: &'r [u8]) -> Cow<'r, [u8]> {
        match self.written {
            None => Cow::Borrowed(row),
            Some(header) => Cow::Owned([header.as_bytes(), b"\n", row].concat()),
        }
    }
}

fn check_text(
    builder: &mut SegmentBuilder,
    below: &Below,
    first_line_number: u64,
    text: &str,
    reading: &mut Reading,
) -> Result<()> {
    let header = below.header;
    let (mut left, mut line) = (text, first_line_number);
    while !left.is_empty() {
        let (row, length) = first_line(left);
        let known = split(row, header.separator(), &mut reading.cells)
            .and_then(|()| known_record(builder, header, row, &reading.cells));
        match known {
            Some((record, parameters)) => {
                builder.take_known(line, &record, parameters, || {
                    Ok(below.payload(row.as_bytes()).into_owned())
                })?;
            }
            None => drop(take_below(builder, below, line, row.as_bytes(), reading)?),
        }
        left = &left[length..];
        line += 1;
    }
    Ok(())
}

/// One row out of quarantine, read in full. One from below a later header has that with it. Returns whether it was accepted.
pub fn take(
    builder: &mut SegmentBuilder,
    header: &CsvHeader,
    line: u64,
    bytes: &[u8],
    reading: &mut Reading,
) -> Result<bool> {
    // Several headers may take turns: what was learned by one does not hold for the next.
    builder.begin_header(line);
    let Some((own, row)) = memchr::memchr(b'\n', bytes).map(|end| (&bytes[..end], &bytes[end + 1..])) else {
        let below = Below { header, written: None };
        return take_below(builder, &below, line, bytes, reading);
    };
    let first = first_row(own).ok();
    let own_header = first.and_then(|first| CsvHeader::parse(&first.row, first.separator).ok());
    let below = Below {
        header: own_header.as_ref().unwrap_or(header),
        written: std::str::from_utf8(own).ok(),
    };
    take_below(builder, &below, line, row, reading)
}

/// One row, without the end of its line, read in full. Returns whether it was accepted; an empty line is no row, and a header is none.
fn take_below(
    builder: &mut SegmentBuilder,
    below: &Below,
    line: u64,
    bytes: &[u8],
    reading: &mut Reading,
) -> Result<bool> {
    let (header, marked) = (below.header, bytes);
    let bytes = without_marks(bytes);
    if bytes.is_empty() {
        return Ok(false);
    }
    let row = match std::str::from_utf8(bytes) {
        Ok(row) => row,
        Err(error) => return builder.refuse_row(line, not_utf8(&error), &below.payload(marked)),
    };
    if split(row, header.separator(), &mut reading.cells).is_none() && !names_fields(row.as_bytes()) {
        let start = reading.cells.last().map_or(0, |cell| cell.place.end + 1);
        let refusal = bad_cell(reading.cells.len() + 1, row, start);
        return builder.refuse_row(line, refusal, &below.payload(marked));
    }
    if header.is_named_by(row, &reading.cells) {
        return Ok(false);
    }
    if names_fields(row.as_bytes()) {
        builder.has_other_header();
        return Ok(false);
    }
    reading.record.clear();
    for cell in &reading.cells {
        reading.record.push_field(cell.text(row).as_bytes());
    }
    if reading.record.len() != header.len() && has_names_of_columns(&reading.record) {
        builder.has_joined_row(line);
    }
    let is_taken = builder.take_row(header, line, &reading.record, &below.payload(marked))?;
    if is_taken && let ParameterCells::Together(columns) = header.parameter_cells() {
        builder.learn_cells(span(row, &reading.cells[columns.clone()]), header, &reading.record);
    }
    Ok(is_taken)
}

fn not_utf8(error: &std::str::Utf8Error) -> Refusal {
    let sentence = format!(
        "the row is not UTF-8 from byte {} on; send it as UTF-8",
        error.valid_up_to()
    );
    Refusal::new(code::NOT_UTF8, sentence)
}

/// The refusal of a row with a cell that cannot be split off, which begins at `start`.
fn bad_cell(position: usize, row: &str, start: usize) -> Refusal {
    let cell = row.get(start..).unwrap_or_default();
    let cure = if cell.starts_with("=\"") {
        "; a spreadsheet formula such as =\"123\" is not a value: write 123 alone"
    } else if cell.starts_with('"') {
        "; a cell cannot span several lines: write it on one line"
    } else if row.contains('\r') {
        "; lines end in a line feed, not in a carriage return alone"
    } else {
        ""
    };
    let sentence = format!(
        "cell {position} of the row is not valid CSV (RFC 4180): a cell that contains a quote, a separator or a carriage return \
         must be in quotes, with quotes in it doubled, and end on the same line{cure}"
    );
    Refusal::new(code::BAD_CELL, sentence)
}

/// The record of a row whose values need no second look and whose parameters were seen before.
#[inline]
fn known_record<'r>(
    builder: &SegmentBuilder,
    header: &CsvHeader,
    row: &'r str,
    cells: &[Cell],
) -> Option<(Record<'r>, Symbol)> {
    if cells.len() != header.len() || row.len() > MAX_LINE_BYTES {
        return None;
    }
    if !header
        .unknown()
        .iter()
        .all(|column| cells[*column].verbatim(row) == Some(""))
    {
        return None;
    }
    let mut values = FieldTexts::default();
    for (column, field) in header.fields() {
        let text = cells[*column].verbatim(row)?;
        if !text.is_empty() {
            values.put(*field, text);
        }
    }
    let parameters = match header.parameter_cells() {
        ParameterCells::Absent => builder.known_parameters(None),
        ParameterCells::Together(columns) => builder.known_cells(span(row, &cells[columns.clone()])),
        ParameterCells::Apart => None,
    }?;
    let mut record = Record::default();
    values.read(&mut record)?;
    Some((record, parameters))
}

/// The text from the first to the last of some cells.
#[inline]
fn span<'r>(row: &'r str, cells: &[Cell]) -> &'r str {
    match cells {
        [] => "",
        [first, .., last] => &row[first.place.start..last.place.end],
        [cell] => &row[cell.place.clone()],
    }
}

/// A line's bytes without its end; spaces at the end are data.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
