//! The rows of a chunk of CSV: most are read where they stand, with parameters that were seen before; the others in full.

use csv::ByteRecord;

use super::cells::{Cell, first_line, split};
use super::chunk::Chunk;
use super::csv::{CsvHeader, ParameterCells};
use super::plain::Values;
use super::record::{MAX_LINE_BYTES, Record};
use super::refusal::{Refusal, code};
use super::worker::Worker;
use crate::error::Result;
use crate::raw::symbols::Symbol;

/// A row that is being read: its cells, and what they say.
#[derive(Default)]
pub struct Reading {
    cells: Vec<Cell>,
    record: ByteRecord,
}

/// Gives every row of a chunk to a worker.
pub fn check(worker: &mut Worker, header: &CsvHeader, chunk: &Chunk) -> Result<()> {
    let mut reading = Reading::default();
    // UTF-8 is checked once for all rows, unless one of them is none.
    match std::str::from_utf8(chunk.bytes()) {
        Ok(text) => check_text(worker, header, chunk.first_line, text, &mut reading)?,
        Err(_) => {
            for (line, bytes) in (chunk.first_line..).zip(chunk.bytes().split_inclusive(|byte| *byte == b'\n')) {
                take(worker, header, line, without_line_end(bytes), &mut reading)?;
            }
        }
    }
    worker.write_what_is_full()
}

fn check_text(
    worker: &mut Worker,
    header: &CsvHeader,
    first_line_number: u64,
    text: &str,
    reading: &mut Reading,
) -> Result<()> {
    let (mut left, mut line) = (text, first_line_number);
    while !left.is_empty() {
        let (row, length) = first_line(left);
        let known = split(row, &mut reading.cells).and_then(|()| known_record(worker, header, row, &reading.cells));
        match known {
            Some((record, parameters)) => {
                worker.take_known(line, &record, parameters, || Ok(row.as_bytes().to_vec()))?;
            }
            None => drop(take(worker, header, line, row.as_bytes(), reading)?),
        }
        left = &left[length..];
        line += 1;
    }
    Ok(())
}

/// One row, without the end of its line, read in full. Returns whether it was accepted; an empty line is no row.
pub fn take(worker: &mut Worker, header: &CsvHeader, line: u64, bytes: &[u8], reading: &mut Reading) -> Result<bool> {
    if bytes.is_empty() {
        return Ok(false);
    }
    let row = match std::str::from_utf8(bytes) {
        Ok(row) => row,
        Err(error) => return worker.refuse_row(line, not_utf8(&error), bytes),
    };
    if split(row, &mut reading.cells).is_none() {
        return worker.refuse_row(line, bad_cell(reading.cells.len() + 1), bytes);
    }
    reading.record.clear();
    for cell in &reading.cells {
        reading.record.push_field(cell.text(row).as_bytes());
    }
    let is_taken = worker.take_row(header, line, &reading.record, bytes)?;
    if is_taken && let ParameterCells::Together(columns) = header.parameter_cells() {
        worker.learn_cells(span(row, &reading.cells[columns.clone()]), header, &reading.record);
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

fn bad_cell(position: usize) -> Refusal {
    let sentence = format!(
        "cell {position} of the row is not as RFC 4180 writes it: a cell with a quote, a comma or a carriage return in it stands in \
         quotes, a quote in it is written twice, and it ends on its line"
    );
    Refusal::new(code::BAD_CELL, sentence)
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

/// A line's bytes without its end; spaces at the end are data.
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests;
