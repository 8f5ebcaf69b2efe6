//! A worker at the door: checks records, collects accepted ones by UTC day, keeps refused ones with their reason.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;

use super::chunk::Chunk;
use super::csv::{CsvHeader, DATA_ROWS_LEAD, data_rows, record_from_row, without_line_end};
use super::fingerprint::{content_fingerprint_with, identity_hash, text_hash};
use super::instant::{check_time, utc_day};
use super::record::{Kind, Record, Scratch, canonical_parameters, is_blank, parse_line};
use super::refusal::{Refusal, code};
use super::writers::Writers;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::raw::rows::{LogRow, RawRow, RawRows, UsageFields, log_frame};
use crate::raw::segment::{ROW_GROUP_ROWS, SegmentKind};
use crate::raw::symbols::{Symbol, Symbols};

/// Rows a worker holds at most, over all days, before it writes the largest day: about 200 MB.
const HELD_ROWS_MAX: usize = 2 << 20;

/// Distinct texts a worker holds at most, in bytes, before it writes all days and begins anew.
const SYMBOL_BYTES_MAX: usize = 64 << 20;

/// Refused bytes of one input. More than this is not usage with some dirt, it is another kind of file.
const REFUSED_BYTES_MAX: usize = 256 << 20;

/// What every record of an input is held against.
pub struct Door {
    /// The run's clock, nanoseconds since 1970.
    pub now_ns: i64,
    /// The day under which an undated void is kept.
    pub today: i32,
    pub default_source: String,
    /// UTC days marked expired, in days since 1970.
    pub expired: HashSet<i32>,
    /// The accounts, when unknown ones are to be refused.
    pub known_accounts: Option<HashSet<u64>>,
    /// Columns, of a CSV.
    pub header: Option<CsvHeader>,
    /// Bytes refused so far, over all workers.
    pub refused_bytes: AtomicUsize,
}

impl Door {
    /// A door for lines of one source, at the run's clock.
    pub fn new(clock: Clock, source: &str, expired: HashSet<i32>, known_accounts: Option<HashSet<u64>>) -> Self {
        let now_ns = clock.now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        Self {
            now_ns,
            today: utc_day(now_ns),
            default_source: source.to_owned(),
            expired,
            known_accounts,
            header: None,
            refused_bytes: AtomicUsize::new(0),
        }
    }
}

/// A refused line.
#[derive(Debug)]
pub struct Refused {
    pub line: u64,
    pub refusal: Refusal,
    pub bytes: Vec<u8>,
}

/// What a worker counted.
#[derive(Debug, Default)]
pub struct Tally {
    pub received: u64,
    pub stored: u64,
    pub refused: Vec<Refused>,
    /// UTC days stored, in days since 1970.
    pub days: HashSet<i32>,
}

impl Tally {
    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.received += other.received;
        self.stored += other.stored;
        self.refused.extend(other.refused);
        self.days.extend(other.days);
        self
    }
}

/// One thread's state.
pub struct Worker<'d> {
    door: &'d Door,
    writers: &'d Writers,
    symbols: Symbols,
    parameters: HashMap<Box<str>, (Symbol, u64)>,
    days: BTreeMap<i32, RawRows>,
    held_rows: usize,
    logs: BTreeMap<i32, Vec<LogRow>>,
    scratch: Scratch,
    tally: Tally,
}

impl<'d> Worker<'d> {
    pub fn new(door: &'d Door, writers: &'d Writers) -> Self {
        Self {
            door,
            writers,
            symbols: Symbols::default(),
            parameters: HashMap::new(),
            days: BTreeMap::new(),
            held_rows: 0,
            logs: BTreeMap::new(),
            scratch: Scratch::default(),
            tally: Tally::default(),
        }
    }

    /// Takes every record of a chunk.
    pub fn take_chunk(&mut self, chunk: &Chunk) -> Result<()> {
        match &self.door.header {
            None => self.take_lines(chunk)?,
            Some(header) => self.take_rows(header, chunk)?,
        }
        self.write_what_is_full()
    }

    fn take_lines(&mut self, chunk: &Chunk) -> Result<()> {
        let mut start = 0;
        let mut line = chunk.first_line;
        while start < chunk.bytes.len() {
            let end = memchr::memchr(b'\n', &chunk.bytes[start..]).map_or(chunk.bytes.len(), |at| start + at);
            self.take_line(line, &chunk.bytes[start..end])?;
            start = end + 1;
            line += 1;
        }
        Ok(())
    }

    /// One line of NDJSON. Returns whether it was accepted.
    pub fn take_line(&mut self, line: u64, bytes: &[u8]) -> Result<bool> {
        if is_blank(bytes) {
            return Ok(false);
        }
        self.tally.received += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = parse_line(bytes, &mut scratch).and_then(|record| self.accept(line, &record));
        self.scratch = scratch;
        self.note(line, outcome, bytes)
    }

    fn take_rows(&mut self, header: &CsvHeader, chunk: &Chunk) -> Result<()> {
        let mut reader = data_rows(&chunk.bytes);
        let mut row = csv::ByteRecord::new();
        loop {
            // Reading from memory and with `flexible`, the reader has no error to return.
            let start = reader.position().clone();
            if !reader.read_byte_record(&mut row).unwrap_or(false) {
                return Ok(());
            }
            let position = row.position().unwrap_or(&start);
            let place = |byte: u64| usize::try_from(byte).unwrap_or(0).saturating_sub(DATA_ROWS_LEAD.len());
            let (first, end) = (place(position.byte()), place(reader.position().byte()));
            // The lead is a line of its own for every row but the first, whose place is before it.
            let lead_lines = u64::from(position.byte() > 0);
            let line = chunk.first_line + position.line() - 1 - lead_lines;
            let bytes = without_line_end(&chunk.bytes[first..end]);
            self.take_row(header, line, &row, bytes)?;
        }
    }

    /// One row of a CSV. Returns whether it was accepted.
    pub fn take_row(&mut self, header: &CsvHeader, line: u64, row: &csv::ByteRecord, bytes: &[u8]) -> Result<bool> {
        self.tally.received += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = record_from_row(header, row, &mut scratch).and_then(|record| self.accept(line, &record));
        self.scratch = scratch;
        self.note(line, outcome, bytes)
    }

    fn note(&mut self, line: u64, outcome: std::result::Result<(), Refusal>, bytes: &[u8]) -> Result<bool> {
        let Err(refusal) = outcome else {
            self.tally.stored += 1;
            return Ok(true);
        };
        let held = self.door.refused_bytes.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if held > REFUSED_BYTES_MAX {
            return Err(Error::Usage(format!(
                "more than 256 MiB of its lines are no usage records (line {line}: {refusal}); nothing of it was taken"
            )));
        }
        self.tally.refused.push(Refused {
            line,
            refusal,
            bytes: bytes.to_vec(),
        });
        Ok(false)
    }

    fn accept(&mut self, line: u64, record: &Record) -> std::result::Result<(), Refusal> {
        let Ok(row_line) = u32::try_from(line) else {
            return Err(Refusal::new(
                code::LINE_TOO_LONG,
                "the input has more than 2^32 lines; split it",
            ));
        };
        if let Some(at) = record.finished_at {
            check_time(at, self.door.now_ns, |day| self.door.expired.contains(&day))?;
        }
        self.check_account(record)?;
        let (parameters, parameters_hash) = self.parameters(record)?;
        let source = record.source.unwrap_or(&self.door.default_source);
        let usage = (record.kind == Kind::Usage).then(|| UsageFields {
            uin: record.uin.unwrap_or(0),
            appid: record.appid.unwrap_or(0),
            task_type: self.symbols.intern(record.task_type.unwrap_or("")),
            parameters,
            duration_ms: record.duration_ms.unwrap_or(0),
            failed: record.failed,
        });
        let row = RawRow {
            line: row_line,
            source: self.symbols.intern(source),
            id: record.id,
            voids: record.voids,
            usage,
            finished_at_ns: record.finished_at,
            key: identity_hash(source, record.id),
            content: content_fingerprint_with(record, parameters_hash),
        };
        let day = record.finished_at.map_or(self.door.today, utc_day);
        self.days.entry(day).or_default().push(&row);
        self.held_rows += 1;
        self.keep_log(row_line, day, source, record);
        Ok(())
    }

    fn check_account(&self, record: &Record) -> std::result::Result<(), Refusal> {
        match (&self.door.known_accounts, record.uin) {
            (Some(known), Some(uin)) if !known.contains(&uin) => Err(Refusal::new(
                code::UNKNOWN_ACCOUNT,
                format!("`uin` {uin} is no account; add it (tallybook account add {uin}) and retry the line"),
            )),
            _ => Ok(()),
        }
    }

    /// The canonical parameters, checked once per distinct text.
    fn parameters(&mut self, record: &Record) -> std::result::Result<(Symbol, u64), Refusal> {
        let text = record.parameters.unwrap_or("{}");
        if let Some(&known) = self.parameters.get(text) {
            return Ok(known);
        }
        let canonical = canonical_parameters(record)?;
        let known = (self.symbols.intern(&canonical), text_hash(&canonical));
        self.parameters.insert(text.into(), known);
        Ok(known)
    }

    fn keep_log(&mut self, line: u32, day: i32, source: &str, record: &Record) {
        let given = record.task_id.is_some()
            || record.event_id.is_some()
            || record.input_url.is_some()
            || record.created_at.is_some()
            || record.started_at.is_some();
        if !given {
            return;
        }
        self.held_rows += 1;
        self.logs.entry(day).or_default().push(LogRow {
            line,
            source: source.to_owned(),
            id: record.id.to_owned(),
            task_id: record.task_id.map(ToOwned::to_owned),
            event_id: record.event_id.map(ToOwned::to_owned),
            input_url: record.input_url.map(ToOwned::to_owned),
            created_at_ns: record.created_at,
            started_at_ns: record.started_at,
        });
    }

    fn write_what_is_full(&mut self) -> Result<()> {
        let full: Vec<i32> = self
            .days
            .iter()
            .filter(|(_, r)| r.len() >= ROW_GROUP_ROWS)
            .map(|(&d, _)| d)
            .collect();
        for day in full {
            self.write_day(day)?;
        }
        let full: Vec<i32> = self
            .logs
            .iter()
            .filter(|(_, r)| r.len() >= ROW_GROUP_ROWS)
            .map(|(&d, _)| d)
            .collect();
        for day in full {
            self.write_log_day(day)?;
        }
        while self.held_rows > HELD_ROWS_MAX {
            let largest = self
                .days
                .iter()
                .max_by_key(|(_, rows)| rows.len())
                .map(|(&day, rows)| (day, rows.len()));
            let largest_log = self
                .logs
                .iter()
                .max_by_key(|(_, rows)| rows.len())
                .map(|(&day, rows)| (day, rows.len()));
            match (largest, largest_log) {
                (Some(rows), Some(log)) if log.1 > rows.1 => self.write_log_day(log.0)?,
                (Some(rows), _) => self.write_day(rows.0)?,
                (None, Some(log)) => self.write_log_day(log.0)?,
                (None, None) => break,
            }
        }
        // The parameters' raw texts are about as many bytes again as the canonical ones.
        if 2 * self.symbols.bytes() > SYMBOL_BYTES_MAX {
            self.write_everything()?;
            self.symbols.clear();
            self.parameters.clear();
        }
        Ok(())
    }

    fn write_day(&mut self, day: i32) -> Result<()> {
        let Some(rows) = self.days.remove(&day) else {
            return Ok(());
        };
        self.held_rows -= rows.len();
        self.tally.days.insert(day);
        let frame = rows.into_frame(self.writers.intake(), &self.symbols)?;
        self.writers.write(SegmentKind::Usage, day, &frame)
    }

    fn write_log_day(&mut self, day: i32) -> Result<()> {
        let Some(rows) = self.logs.remove(&day) else {
            return Ok(());
        };
        self.held_rows -= rows.len();
        let frame = log_frame(self.writers.intake(), &rows)?;
        self.writers.write(SegmentKind::Log, day, &frame)
    }

    fn write_everything(&mut self) -> Result<()> {
        while let Some(&day) = self.days.keys().next() {
            self.write_day(day)?;
        }
        while let Some(&day) = self.logs.keys().next() {
            self.write_log_day(day)?;
        }
        Ok(())
    }

    /// Writes what is held and returns the counts.
    pub fn finish(mut self) -> Result<Tally> {
        self.write_everything()?;
        Ok(self.tally)
    }
}
