//! The rows of a chunk of CSV: most are split and read where they stand, with parameters that were seen before; the others by the
//! CSV reader or in full.

use csv::ByteRecord;

use super::cells::{Cell, first_line, split};
use super::chunk::{Chunk, line_ends};
use super::csv::{CsvHeader, DATA_ROWS_LEAD, ParameterCells, data_rows, without_line_end};
use super::plain::Values;
use super::record::{MAX_LINE_BYTES, Record};
use super::worker::Worker;
use crate::error::Result;
use crate::raw::symbols::Symbol;

/// Gives every row of a chunk to a worker.
pub fn check(worker: &mut Worker, header: &CsvHeader, chunk: &Chunk) -> Result<()> {
    let bytes = chunk.bytes();
    // UTF-8 is checked once for all rows, unless one of them is none.
    let (left, line) = match std::str::from_utf8(bytes) {
        Ok(text) => check_split(worker, header, chunk.first_line, text)?,
        Err(_) => (bytes, chunk.first_line),
    };
    if !left.is_empty() {
        check_by_reader(worker, header, line, left)?;
    }
    worker.write_what_is_full()
}

/// Checks rows up to the first that cannot be split. Returns what is left, and the number of its first line.
fn check_split<'t>(
    worker: &mut Worker,
    header: &CsvHeader,
    first_line_number: u64,
    text: &'t str,
) -> Result<(&'t [u8], u64)> {
    let mut cells = Vec::new();
    let mut row_in_full = ByteRecord::new();
    let (mut left, mut line) = (text, first_line_number);
    while !left.is_empty() {
        let (row, length) = first_line(left);
        if split(row, &mut cells).is_none() {
            break;
        }
        // An empty line is no row.
        if !row.is_empty() {
            let payload = || Ok(row.as_bytes().to_vec());
            match known_record(worker, header, row, &cells) {
                Some((record, parameters)) => worker.take_known(line, &record, parameters, payload)?,
                None => check_in_full(worker, header, line, row, &cells, &mut row_in_full)?,
            }
        }
        left = &left[length..];
        line += 1;
    }
    Ok((left.as_bytes(), line))
}

/// The record of a row whose values need no second look and whose parameters were seen before.
#[inline]
fn known_record<'r>(worker: &Worker, header: &CsvHeader, row: &'r str, cells: &[Cell]) -> Option<(Record<'r>, Symbol)> {
    if cells.len() != header.len() || row.len() > MAX_LINE_BYTES {
        return None;
    }
    let mut values = Values::default();
    for (column, field) in header.fields() {
        let text = cells[*column].verbatim(row)?;
        if !text.is_empty() {
            values.put(*field, text);
        }
    }
    let parameters = match header.parameter_cells() {
        ParameterCells::Absent => worker.known_parameters(None),
        ParameterCells::Together(columns) => worker.known_cells(span(row, &cells[columns.clone()])),
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

fn check_in_full(
    worker: &mut Worker,
    header: &CsvHeader,
    line: u64,
    row: &str,
    cells: &[Cell],
    record: &mut ByteRecord,
) -> Result<()> {
    record.clear();
    for cell in cells {
        record.push_field(cell.text(row).as_bytes());
    }
    let is_taken = worker.take_row(header, line, record, row.as_bytes())?;
    if is_taken && let ParameterCells::Together(columns) = header.parameter_cells() {
        worker.learn_cells(span(row, &cells[columns.clone()]), header, record);
    }
    Ok(())
}

fn check_by_reader(worker: &mut Worker, header: &CsvHeader, first_line: u64, bytes: &[u8]) -> Result<()> {
    let mut reader = data_rows(bytes);
    let mut row = ByteRecord::new();
    let (mut at, mut line) = (0, first_line);
    loop {
        // Reading from memory and with `flexible`, the reader has no error to return.
        let before = reader.position().byte();
        if !reader.read_byte_record(&mut row).unwrap_or(false) {
            return Ok(());
        }
        let place = |byte: u64| usize::try_from(byte).unwrap_or(0).saturating_sub(DATA_ROWS_LEAD.len());
        let (from, end) = (place(before), place(reader.position().byte()));
        // The reader takes line ends before a row as part of it, also the second half of the last row's.
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = from + bytes[from..end].iter().take_while(is_line_end).count();
        line += line_ends(&bytes[at..start]);
        at = start;
        worker.take_row(header, line, &row, without_line_end(&bytes[start..end]))?;
    }
}

#[cfg(test)]
mod tests;
