//! A segment builder: checks records, collects accepted ones by UTC day, keeps refused ones with their reason.

#[cfg(test)]
mod tests;

mod events;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use csv::ByteRecord;
use hashbrown::HashMap;

use super::formats::csv::{CsvHeader, record_from_row};
use super::formats::json_values::JsonValues;
use super::formats::ndjson::fast::Layouts;
use super::input::chunk::{Chunk, without_marks};
use super::record::fingerprint::{TextHashes, content_fingerprint_with, identity_hash_with, text_hash};
use super::record::refusal::{Refusal, code};
use super::record::timestamp::{check_first_day, check_time, utc_day};
use super::record::{Kind, Record, Scratch, canonical_parameters, is_blank, parse_line};
use super::record_rules::RecordRules;
use super::segment_writers::Writers;
use crate::catalog::account::end::store::Ended;
use crate::storage::raw::interner::{Interner, Symbol};
use crate::storage::raw::payload::PayloadRow;
use crate::storage::raw::rows::{LogRow, RawRow, RawRows, UsageFields, log_columns};
use crate::storage::raw::segment::{ROW_GROUP_ROWS, SegmentKind};
use crate::support::clock::instant_ns_text;
use crate::support::error::{Error, Result};
use crate::values::parameters::coarse;

/// Rows a segment builder holds at most, over all days, before it writes the largest day: about 400 MB. A month of days may each come to a whole
/// row group: smaller ones repeat their texts.
const HELD_ROWS_MAX: usize = 33 * ROW_GROUP_ROWS;

/// Distinct texts a segment builder holds at most, in bytes, before it writes all days and begins anew.
const SYMBOL_BYTES_MAX: usize = 64 << 20;

/// Refused bytes of one input. More than this is not usage with some dirt, it is another kind of file.
const REFUSED_BYTES_MAX: usize = 256 << 20;

/// The text of parameters that are not there.
const NO_PARAMETERS: &str = "{}";

/// A refused line.
#[derive(Debug)]
pub struct Refused {
    pub line: u64,
    pub refusal: Refusal,
    pub bytes: Vec<u8>,
}

impl Refused {
    /// Whether its bytes are not kept.
    pub fn is_of_erased_account(&self) -> bool {
        self.refusal.code == code::ACCOUNT_ERASED
    }
}

/// What a segment builder counted.
#[derive(Debug, Default)]
pub struct Counts {
    pub received: u64,
    pub stored: u64,
    pub refused: Vec<Refused>,
    /// Events that gave no record, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Milliseconds of usage that was stored; at the largest number it may be more.
    pub duration_ms: u64,
    /// UTC days stored, in days since 1970.
    pub days: HashSet<i32>,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.received += other.received;
        self.stored += other.stored;
        self.refused.extend(other.refused);
        for (reason, events) in other.skipped {
            *self.skipped.entry(reason).or_default() += events;
        }
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        self.days.extend(other.days);
        self
    }
}

/// What becomes of what an event brought besides usage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Besides {
    Kept,
    Left,
}

/// One thread's state.
pub struct SegmentBuilder<'d> {
    rules: &'d RecordRules,
    writers: &'d Writers,
    symbols: Interner,
    /// Canonical parameters by their text as it was sent.
    parameters: HashMap<Box<str>, Symbol>,
    /// Hashes of the coarse texts of parameters, by the symbols of the canonical ones.
    coarse_hashes: Vec<u64>,
    /// The same by the words of their columns, of Parquet.
    words: HashMap<Box<[u64]>, Symbol>,
    /// The same by their cells, of CSV, below one header.
    cells: HashMap<Box<str>, Symbol>,
    /// The line of that header; 0 of the file's first.
    header_line: u64,
    layouts: Layouts,
    days: HashMap<i32, RawRows>,
    held_rows: usize,
    logs: BTreeMap<i32, Vec<LogRow>>,
    payloads: BTreeMap<i32, Vec<PayloadRow>>,
    /// What events brought besides usage.
    besides: Besides,
    scratch: Scratch,
    tally: Counts,
}

impl<'d> SegmentBuilder<'d> {
    pub fn new(rules: &'d RecordRules, writers: &'d Writers) -> Self {
        Self {
            rules,
            writers,
            symbols: Interner::default(),
            parameters: HashMap::new(),
            coarse_hashes: Vec::new(),
            words: HashMap::new(),
            cells: HashMap::new(),
            header_line: 0,
            layouts: Layouts::default(),
            days: HashMap::new(),
            held_rows: 0,
            logs: BTreeMap::new(),
            payloads: BTreeMap::new(),
            besides: Besides::Kept,
            scratch: Scratch {
                zones: rules.zones.clone(),
                ..Scratch::default()
            },
            tally: Counts::default(),
        }
    }

    /// The builder for events that are kept already.
    #[must_use]
    pub fn without_payloads(self) -> Self {
        Self {
            besides: Besides::Left,
            ..self
        }
    }

    /// What was counted so far. Days are counted when their rows are written.
    pub fn tally(&self) -> &Counts {
        &self.tally
    }

    /// Takes every line of a chunk of NDJSON.
    pub fn take_lines(&mut self, chunk: &Chunk) -> Result<()> {
        self.layouts.begin_chunk();
        let bytes = chunk.bytes();
        // UTF-8 is checked once for all lines, unless one of them is none.
        let text = std::str::from_utf8(bytes).ok();
        let (mut at, mut line) = (0, chunk.first_line);
        while at < bytes.len() {
            let length = if let Some(length) = text.and_then(|text| self.take_known_line(line, &text[at..])) {
                length?
            } else {
                let length = memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
                self.take_line(line, &bytes[at..at + length])?;
                length
            };
            at += length + 1;
            line += 1;
        }
        self.write_what_is_full()
    }

    /// The first line of `text`, where it has a layout and parameters that were seen before. Returns its length without its end.
    #[inline]
    fn take_known_line(&mut self, line: u64, text: &str) -> Option<Result<usize>> {
        let mut record = Record::default();
        let length = self.layouts.read(text, &mut record)?;
        let parameters = self.known_parameters(record.parameters)?;
        self.tally.received += 1;
        let outcome = self.accept(line, &record, Some(parameters));
        let noted = self.note(line, outcome, &text.as_bytes()[..length]);
        Some(noted.map(|_| length))
    }

    /// One line of NDJSON. Returns whether it was accepted.
    pub fn take_line(&mut self, line: u64, bytes: &[u8]) -> Result<bool> {
        let marked = bytes;
        let bytes = without_marks(bytes);
        if is_blank(bytes) {
            return Ok(false);
        }
        self.tally.received += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = parse_line(bytes, &mut scratch).and_then(|record| {
            self.layouts.learn(bytes);
            self.accept(line, &record, None)
        });
        self.scratch = scratch;
        self.note(line, outcome, marked)
    }

    /// Takes every value of a part of JSON. The sentence of a refused one says where it begins, if that is not the line of its number.
    pub fn take_values(&mut self, part: &JsonValues) -> Result<()> {
        self.layouts.begin_chunk();
        for value in part.iter() {
            let text = std::str::from_utf8(value.bytes).ok();
            let is_taken = match text.and_then(|text| self.take_known_line(value.number, text)) {
                Some(length) => {
                    length?;
                    true
                }
                None => self.take_line(value.number, value.bytes)?,
            };
            if !is_taken && let Some(refused) = self.tally.refused.last_mut().filter(|_| value.line != value.number) {
                let begins = format!(" (the record begins on line {})", value.line);
                refused.refusal.sentence.push_str(&begins);
            }
        }
        self.write_what_is_full()
    }

    /// One row of a CSV. Returns whether it was accepted.
    pub fn take_row(&mut self, header: &CsvHeader, line: u64, row: &ByteRecord, bytes: &[u8]) -> Result<bool> {
        self.tally.received += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = record_from_row(header, row, &mut scratch).and_then(|record| self.accept(line, &record, None));
        self.scratch = scratch;
        self.note(line, outcome, bytes)
    }

    /// One row of a CSV that cannot be split into its cells. It is not accepted.
    pub fn refuse_row(&mut self, line: u64, refusal: Refusal, bytes: &[u8]) -> Result<bool> {
        self.tally.received += 1;
        self.note(line, Err(refusal), bytes)
    }

    /// A record that was read without its line, with parameters that were seen before. `payload` makes what it leaves in
    /// quarantine.
    pub fn take_known(
        &mut self,
        line: u64,
        record: &Record,
        parameters: Symbol,
        payload: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<()> {
        self.tally.received += 1;
        match self.accept(line, record, Some(parameters)) {
            Ok(()) => {
                self.tally.stored += 1;
                Ok(())
            }
            Err(refusal) => self.refuse(line, refusal, payload()?),
        }
    }

    /// The canonical parameters of this text, if it was seen before.
    #[inline]
    pub fn known_parameters(&self, text: Option<&str>) -> Option<Symbol> {
        self.parameters.get(text.unwrap_or(NO_PARAMETERS)).copied()
    }

    /// The canonical parameters that these words stand for, if they were seen before.
    #[inline]
    pub fn known_words(&self, words: &[u64]) -> Option<Symbol> {
        self.words.get(words).copied()
    }

    /// Keeps that a text means the same parameters as another, which was seen before.
    pub fn learn_parameters(&mut self, text: Option<&str>, known: Option<&str>) {
        if let (Some(text), Some(symbol)) = (text, self.known_parameters(known)) {
            self.parameters.insert(text.into(), symbol);
        }
    }

    /// Keeps that these words stand for the parameters of this text, which was seen before.
    pub fn learn_words(&mut self, words: &[u64], text: Option<&str>) {
        if let Some(symbol) = self.known_parameters(text) {
            self.words.insert(words.into(), symbol);
        }
    }

    /// Begins rows below the header on a line, 0 for the file's first. The same cells mean something else below another.
    pub fn begin_header(&mut self, line: u64) {
        if self.header_line != line {
            self.header_line = line;
            self.cells.clear();
        }
    }

    /// Notes that a row names other columns than its header, so that the file is to be read anew by parts.
    pub fn has_other_header(&self) {
        self.rules.has_other_header.store(true, Ordering::Relaxed);
    }

    /// Notes that a row of a CSV ends in a header: what stands below could be misread.
    pub fn has_joined_row(&self, line: u64) {
        self.rules.joined_row.store(line, Ordering::Relaxed);
    }

    /// The canonical parameters that these cells stand for, if they were seen before.
    #[inline]
    pub fn known_cells(&self, cells: &str) -> Option<Symbol> {
        self.cells.get(cells).copied()
    }

    /// Keeps that these cells stand for the parameters of the row that was taken last.
    pub fn learn_cells(&mut self, cells: &str, header: &CsvHeader, row: &ByteRecord) {
        if let Some(symbol) = self.known_parameters(header.parameters_text(row, &self.scratch)) {
            self.cells.insert(cells.into(), symbol);
        }
    }

    /// The number of a text, which stays until what is full is written.
    pub fn intern(&mut self, text: &str) -> Symbol {
        self.symbols.intern(text)
    }

    fn note(&mut self, line: u64, outcome: std::result::Result<(), Refusal>, bytes: &[u8]) -> Result<bool> {
        match outcome {
            Ok(()) => {
                self.tally.stored += 1;
                Ok(true)
            }
            Err(refusal) => self.refuse(line, refusal, bytes.to_vec()).map(|()| false),
        }
    }

    fn refuse(&mut self, line: u64, refusal: Refusal, bytes: Vec<u8>) -> Result<()> {
        let held = self.rules.refused_bytes.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if held > REFUSED_BYTES_MAX {
            return Err(Error::Usage(format!(
                "more than 256 MiB of its lines are not usage records (line {line}: {refusal}), so it is not a usage file; nothing \
                 was ingested"
            )));
        }
        self.tally.refused.push(Refused { line, refusal, bytes });
        Ok(())
    }

    /// Checks what does not stand in the record alone, and keeps it. `known` are its parameters where they were seen before.
    fn accept(&mut self, line: u64, record: &Record, known: Option<Symbol>) -> std::result::Result<(), Refusal> {
        let (line, parameters) = self.check(line, record, known)?;
        self.keep(line, record, parameters);
        Ok(())
    }

    /// Checks what does not stand in the record alone. Returns its number in the row and its parameters.
    #[inline]
    fn check(
        &mut self,
        line: u64,
        record: &Record,
        known: Option<Symbol>,
    ) -> std::result::Result<(u32, Symbol), Refusal> {
        let Ok(line) = u32::try_from(line) else {
            return Err(Refusal::new(
                code::LINE_TOO_LONG,
                "the input has more than 2^32 lines; split it",
            ));
        };
        // First of all: what is refused for anything else is kept.
        if !self.rules.closed_accounts.erased.is_empty() {
            self.check_erased(record)?;
        }
        if let Some(at) = record.finished_at {
            check_time(at, self.rules.now_ns, |day| self.rules.expired.contains(&day))?;
            check_first_day(at, self.rules.first_ns)?;
        }
        self.check_account(record)?;
        let parameters = match known {
            Some(parameters) => parameters,
            None => self.parameters(record)?,
        };
        Ok((line, parameters))
    }

    /// Keeps a record that was checked.
    #[inline]
    fn keep(&mut self, row_line: u32, record: &Record, parameters: Symbol) {
        let source = record.source.unwrap_or(&self.rules.default_source);
        let source_symbol = self.symbols.intern(source);
        let task_type = self.symbols.intern(record.task_type.unwrap_or(""));
        let hashes = TextHashes {
            task_type: self.symbols.hash(task_type),
            parameters: self.coarse_hashes[parameters as usize],
        };
        let usage = (record.kind == Kind::Usage).then(|| UsageFields {
            uin: record.uin.unwrap_or(0),
            appid: record.appid.unwrap_or(0),
            task_type,
            parameters,
            duration_ms: record.duration_ms.unwrap_or(0),
            failed: record.failed,
        });
        let row = RawRow {
            line: row_line,
            source: source_symbol,
            id: record.id,
            voids: record.voids,
            usage,
            finished_at_ns: record.finished_at,
            has_derived_time: record.has_derived_time,
            key: identity_hash_with(self.symbols.hash(source_symbol), record.id),
            content: content_fingerprint_with(record, hashes),
        };
        let duration_ms = record.duration_ms.map_or(0, i64::unsigned_abs);
        self.tally.duration_ms = self.tally.duration_ms.saturating_add(duration_ms);
        let day = record.finished_at.map_or(self.rules.today, utc_day);
        self.days.entry(day).or_default().push(&row);
        self.held_rows += 1;
        self.keep_log(row_line, day, source, record);
    }

    fn check_account(&self, record: &Record) -> std::result::Result<(), Refusal> {
        if !self.rules.closed_accounts.ended.is_empty() {
            self.check_ended(record)?;
        }
        match (&self.rules.known_accounts, record.uin) {
            (Some(known), Some(uin)) if !known.contains(&uin) => Err(Refusal::new(
                code::UNKNOWN_ACCOUNT,
                format!("there is no account {uin}; add it (`tallybook account add {uin}`) and retry the line"),
            )),
            _ => Ok(()),
        }
    }

    fn check_erased(&self, record: &Record) -> std::result::Result<(), Refusal> {
        match record.uin {
            Some(uin) if self.rules.closed_accounts.erased.refuses(uin) => Err(Refusal::new(
                code::ACCOUNT_ERASED,
                "the account was erased, which is for good; the line is counted, and its bytes are not kept",
            )),
            _ => Ok(()),
        }
    }

    fn check_ended(&self, record: &Record) -> std::result::Result<(), Refusal> {
        let (Some(uin), Some(at)) = (record.uin, record.finished_at) else {
            return Ok(());
        };
        match self.rules.closed_accounts.ended.get(&uin) {
            Some(ended) if ended.from_ns <= at => Err(after_end(uin, *ended, at)),
            _ => Ok(()),
        }
    }

    /// The canonical parameters, checked once per distinct text.
    fn parameters(&mut self, record: &Record) -> std::result::Result<Symbol, Refusal> {
        let text = record.parameters.unwrap_or(NO_PARAMETERS);
        if let Some(&known) = self.parameters.get(text) {
            return Ok(known);
        }
        let canonical = canonical_parameters(record)?;
        let symbol = self.symbols.intern(&canonical);
        self.keep_coarse_hash(symbol, &canonical);
        self.parameters.insert(text.into(), symbol);
        Ok(symbol)
    }

    fn keep_coarse_hash(&mut self, symbol: Symbol, canonical: &str) {
        let at = symbol as usize;
        if self.coarse_hashes.len() <= at {
            self.coarse_hashes.resize(at + 1, 0);
        }
        self.coarse_hashes[at] = text_hash(&coarse(canonical));
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

    pub fn write_what_is_full(&mut self) -> Result<()> {
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
            self.coarse_hashes.clear();
            self.words.clear();
            self.cells.clear();
        }
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "write", skip_all)]
    fn write_day(&mut self, day: i32) -> Result<()> {
        let Some(rows) = self.days.remove(&day).filter(|rows| !rows.is_empty()) else {
            return Ok(());
        };
        if rows.len() >= ROW_GROUP_ROWS {
            // There is more to come, as much as there was.
            self.days.insert(day, RawRows::with_capacity(rows.len()));
        }
        self.held_rows -= rows.len();
        self.tally.days.insert(day);
        let has_derived_times = self.rules.events.is_some();
        let columns = rows.into_columns(self.writers.intake(), &self.symbols, has_derived_times);
        self.writers.write(SegmentKind::Usage, day, columns)
    }

    fn write_log_day(&mut self, day: i32) -> Result<()> {
        let Some(rows) = self.logs.remove(&day) else {
            return Ok(());
        };
        self.held_rows -= rows.len();
        let columns = log_columns(self.writers.intake(), &rows);
        self.writers.write(SegmentKind::Log, day, columns)
    }

    fn write_everything(&mut self) -> Result<()> {
        let mut days: Vec<i32> = self.days.keys().copied().collect();
        days.sort_unstable();
        for day in days {
            self.write_day(day)?;
        }
        while let Some(&day) = self.logs.keys().next() {
            self.write_log_day(day)?;
        }
        self.write_payloads()
    }

    /// What it refused. What it accepted is forgotten, and nothing was written.
    pub fn into_refused(self) -> Vec<Refused> {
        self.tally.refused
    }

    /// Writes what is held and returns the counts.
    pub fn finish(mut self) -> Result<Counts> {
        self.write_everything()?;
        Ok(self.tally)
    }
}

#[cold]
fn after_end(uin: u64, ended: Ended, at: i64) -> Refusal {
    let sentence = format!(
        "account {uin} ended on {} (in its time zone), and `finished_at` is {}; if it goes on, take the end back (`tallybook reinstate \
         {uin} --reason TEXT`) and retry the line",
        ended.day,
        instant_ns_text(at)
    );
    Refusal::new(code::ACCOUNT_ENDED, sentence)
}
