//! Reading an input: its records checked by all threads, the accepted ones in segment files that are synced.

use super::attempts::Attempt;
use super::formats::csv::CsvHeader;
use super::formats::csv::first_row::first_row;
use super::formats::csv::joined::JoinedChunks;
use super::formats::json_values::{JsonValues, Splitter};
use super::input::chunk::{Chunk, Chunks};
use super::input::{Format, Input, InputDigest};
use super::parallel_read::check_all;
use super::read_events::read_events;
use super::record_rules::{ClosedAccounts, RecordRules};
use super::segment_builder::{Counts, SegmentBuilder};
use super::segment_writers::Writers;
use crate::context::Books;
use crate::context::write_attempt::{Synced, WriteAttempt};
use crate::storage::durable_files::remove_files;
use crate::storage::raw::segment::NewSegment;
use crate::support::error::{Error, Result};
use crate::support::failpoint;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What reading an input left on disk and in memory.
pub(super) struct ReadInput {
    pub measured: InputDigest,
    pub header: Option<String>,
    pub tally: Counts,
    pub segments: Vec<NewSegment>,
    pub synced: Synced,
    /// By which its records came in.
    pub closed_accounts: Arc<ClosedAccounts>,
}

pub(super) fn read_input(
    books: &Books,
    input: &Input,
    mut rules: RecordRules,
    writing: &WriteAttempt,
) -> Result<ReadInput> {
    let intake = writing.number();
    let closed_accounts = rules.closed_accounts.clone();
    let mut writers = Writers::new(&books.data, intake);
    let attempt = Attempt::begin(books, input)?;
    failpoint::reading(&input.name);
    let (measured, header, tally) = match input.folder() {
        Some(folder) => {
            crate::pipeline::ingest::input::folder::read(books, input, folder, &mut rules, &mut writers, intake)?
        }
        None => read_file(books, input, &mut rules, &mut writers, intake)?,
    };
    drop(attempt);
    check_durations(input, &tally)?;
    let segments = writers.finish()?;
    let _syncing = tracing::debug_span!("sync").entered();
    let synced = writing.sync(paths_of(&segments))?;
    Ok(ReadInput {
        measured,
        header,
        tally,
        segments,
        synced,
        closed_accounts,
    })
}

pub(super) fn paths_of(segments: &[NewSegment]) -> impl Iterator<Item = &String> {
    segments.iter().map(|segment| &segment.path)
}

pub(super) fn read_file(
    books: &Books,
    input: &Input,
    rules: &mut RecordRules,
    writers: &mut Writers,
    intake: i64,
) -> Result<Checked> {
    match input.format {
        Format::Parquet => read_parquet(books, input, rules, writers, intake),
        Format::Ndjson => read_lines(books, input, rules, writers),
        Format::Csv => read_csv(books, input, rules, writers),
        Format::MpsEvents | Format::MediaconvertEvents => read_events(books, input, rules, writers),
    }
}

/// More media than an input can be of, in milliseconds: two million years. With a column of such numbers, the sums of all batches
/// would not fit into what ledgers have for them, and a batch cannot be taken back.
const DURATIONS_END: u64 = 1 << 56;

fn check_durations(input: &Input, tally: &Counts) -> Result<()> {
    if tally.duration_ms < DURATIONS_END {
        return Ok(());
    }
    Err(Error::Input {
        input: input.name.clone(),
        what: format!(
            "its durations add up to {} ms, which is impossible (2^56 ms are two million years); nothing was ingested",
            tally.duration_ms
        ),
    })
}

/// Size and digest of an input, the header of a CSV, and what was counted.
pub(super) type Checked = (InputDigest, Option<String>, Counts);

fn read_lines(books: &Books, input: &Input, rules: &RecordRules, writers: &Writers) -> Result<Checked> {
    let (reader, meter) = input.open()?;
    let (head, mut reader) = crate::pipeline::ingest::input::sniff::begin(input, reader)?;
    let progress = books.progress.bytes(&input.name, input.bytes()?);
    let tally = if input.is_by_line() || crate::pipeline::ingest::input::sniff::stands_by_line(&head) {
        let mut chunks = Chunks::of_lines(reader).numbered_from(input.first_line());
        let read = |chunk: &mut Chunk| {
            progress.at(meter.bytes());
            chunks.fill(chunk).map_err(|e| input.unreadable(&e))
        };
        check_all(rules, writers, read, SegmentBuilder::take_lines)?
    } else if input.is_part() {
        return Err(Error::Input {
            input: input.name.clone(),
            what: "it does not have one record per line, as files in a folder must; ingest it on its own".to_owned(),
        });
    } else {
        crate::pipeline::ingest::input::sniff::skip_mark(&head, &mut reader).map_err(|e| input.unreadable(&e))?;
        let mut splitter = Splitter::new(reader);
        let read = |part: &mut JsonValues| {
            progress.at(meter.bytes());
            splitter.fill(part).map_err(|e| input.unreadable(&e))
        };
        check_all(rules, writers, read, SegmentBuilder::take_values)?
    };
    Ok((meter.finish(), None, tally))
}

fn read_csv(books: &Books, input: &Input, rules: &mut RecordRules, writers: &mut Writers) -> Result<Checked> {
    // What comes through a pipe comes once, and what was written of the files before in a folder is not to be removed.
    let headers = if input.path().is_some() && !input.is_part() {
        Headers::First
    } else {
        Headers::All
    };
    if let Some(checked) = read_rows(books, input, rules, writers, headers)? {
        check_joined(input, rules)?;
        return Ok(checked);
    }
    let intake = writers.intake();
    let written = std::mem::replace(writers, Writers::new(&books.data, intake)).finish()?;
    remove_files(
        &written
            .iter()
            .map(|segment| books.data.join(&segment.path))
            .collect::<Vec<_>>(),
    )?;
    rules.refused_bytes.store(0, Ordering::Relaxed);
    let checked = read_rows(books, input, rules, writers, Headers::All)?;
    check_joined(input, rules)?;
    checked.ok_or_else(|| {
        Error::Unbalanced(format!(
            "{} was looked through for headers and has one more",
            input.name
        ))
    })
}

/// Refuses a file in which a row ends in a header.
fn check_joined(input: &Input, rules: &RecordRules) -> Result<()> {
    match rules.joined_row.load(Ordering::Relaxed) {
        0 => Ok(()),
        line => Err(Error::Input {
            input: input.name.clone(),
            what: format!(
                "line {line} is a row and a header in one: files were joined without a line break between them, and the rows below \
                 could be misread; add the line break, or send the files separately; nothing was ingested"
            ),
        }),
    }
}

/// How the headers of a CSV are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Headers {
    /// The first row is the only one, unless a later row names other columns.
    First,
    /// Rows are looked through for more before they are read.
    All,
}

/// None where a row names other columns than the first: then what was written is to be removed, and the file to be read with
/// [`Headers::All`].
fn read_rows(
    books: &Books,
    input: &Input,
    rules: &mut RecordRules,
    writers: &Writers,
    headers: Headers,
) -> Result<Option<Checked>> {
    let (reader, meter) = input.open()?;
    let (_, reader) = crate::pipeline::ingest::input::sniff::begin(input, reader)?;
    let progress = books.progress.bytes(&input.name, input.bytes()?);
    let mut chunks = Chunks::of_lines(reader).numbered_from(input.first_line());
    let mut first = Chunk::default();
    if !chunks.fill(&mut first).map_err(|e| input.unreadable(&e))? {
        return Ok(Some((meter.finish(), None, Counts::default())));
    }
    let text = take_header(input, &mut first, rules)?;
    let Some(header) = &rules.header else {
        return Err(Error::Unbalanced(format!("{} has no header", input.name)));
    };
    let check = |builder: &mut SegmentBuilder, chunk: &Chunk| {
        crate::pipeline::ingest::formats::csv::fast::check(builder, header, chunk)
    };
    let tally = match headers {
        Headers::All => {
            let mut joined = JoinedChunks::of(chunks, first, header.clone());
            let read = |chunk: &mut Chunk| {
                progress.at(meter.bytes());
                joined.fill(chunk).map_err(|e| input.unreadable(&e))
            };
            check_all(rules, writers, read, check)?
        }
        Headers::First => {
            let mut first = Some(first);
            let read = |chunk: &mut Chunk| {
                progress.at(meter.bytes());
                if rules.has_other_header.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                match first.take() {
                    Some(below_header) => {
                        *chunk = below_header;
                        Ok(true)
                    }
                    None => chunks.fill(chunk).map_err(|e| input.unreadable(&e)),
                }
            };
            let tally = check_all(rules, writers, read, check);
            if rules.has_other_header.load(Ordering::Relaxed) {
                return Ok(None);
            }
            tally?
        }
    };
    Ok(Some((meter.finish(), Some(text), tally)))
}

fn read_parquet(books: &Books, input: &Input, rules: &RecordRules, writers: &Writers, intake: i64) -> Result<Checked> {
    let spool = crate::pipeline::ingest::input::Spool::of(input, &books.data, intake)?;
    let rows = crate::pipeline::ingest::formats::parquet::Rows::open(&input.name, spool.path())?
        .numbered_from(input.first_line())
        .filled_with(input.filled())?;
    input.count_lines(rows.count());
    let mut slices = rows.slices();
    let next = |slice: &mut crate::pipeline::ingest::formats::parquet::Slice| {
        let found = slices.next();
        *slice = found.unwrap_or_default();
        Ok(found.is_some())
    };
    // A single thread measures what all others decode.
    std::thread::scope(|scope| {
        let measuring = scope.spawn(|| spool.measure());
        let tally = check_all(rules, writers, next, |builder, slice| rows.check(builder, *slice));
        let measured = measuring
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((measured?, None, tally?))
    })
}

/// Takes the header row off the first chunk. Returns it as it stands.
fn take_header(input: &Input, first: &mut Chunk, rules: &mut RecordRules) -> Result<String> {
    let bad = |what: String| Error::Input {
        input: input.name.clone(),
        what,
    };
    let found = first_row(first.bytes()).map_err(&bad)?;
    rules.header = Some(CsvHeader::parse(&found.row, found.separator).map_err(|e| bad(e.to_string()))?);
    // A tab at its end is an empty name.
    let text = String::from_utf8_lossy(&first.bytes()[..found.end]);
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    first.skip(found.end);
    Ok(text)
}
