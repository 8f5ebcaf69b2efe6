//! Ingest: any input ends in segments named by one ledger transaction, or in nothing.
//!
//! ```text
//! known?      the same bytes, source and format change nothing; their quarantined lines are tried again
//! register    an intake number for the file names
//! read        the input in parts, by whichever thread is free
//! check       each record at the door, by all threads: into raw rows by UTC day, or refused
//! sync        segments on disk for good
//! commit      batch number, segments, quarantine, the alarm where too much was refused: one transaction
//! ```

mod attempts;
pub mod child_process;
pub mod drop_folder;
mod earlier_read;
pub mod formats;
pub mod input;
#[cfg(test)]
mod outcome;
mod parallel_read;
pub mod quarantine;
pub mod record;
pub mod segment_builder;
pub mod segment_writers;
pub mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use attempts::Attempt;
use earlier_read::Earlier;
use formats::csv::CsvHeader;
use formats::csv::first_row::first_row;
use formats::csv::joined::JoinedChunks;
use formats::json_values::{JsonValues, Splitter};
use input::chunk::{Chunk, Chunks};
use input::{Format, Input, InputDigest};
use parallel_read::check_all;
use quarantine::alarm;
use quarantine::alarm::Alarm;
use quarantine::filter::Filter;
use quarantine::store::Example;
use record::timestamp_text::Zones;
use segment_builder::{Counts, RecordRules, SegmentBuilder};
use segment_writers::Writers;
use store::{Batch, NewBatch};

use crate::context::first_day;
use crate::context::write_attempt::{Synced, WriteAttempt};
use crate::context::{Books, UnknownAccounts};
use crate::storage::durable_files::remove_files;
use crate::storage::raw::segment::NewSegment;
use crate::storage::raw::store::{add_segments, expired_days, refuse_expired};
use crate::support::error::{Error, Result};
use crate::support::failpoint;

/// What became of an input.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Ingested {
    /// The input was ingested before; nothing changed but lines that left quarantine.
    pub already: bool,
    #[serde(flatten)]
    pub batch: Batch,
    /// Lines in quarantine by reason.
    pub quarantine: Vec<(String, i64)>,
    /// The first of these lines, by reason.
    pub examples: Vec<Example>,
    /// Set when the input needs a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// Lines of this input that a retry took out of quarantine.
    pub retried: i64,
    /// The name it was given now, where it was ingested before under another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
    /// Partitions of a folder that are no fields of a record; they are in none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    #[serde(skip)]
    pub measured: InputDigest,
}

impl Ingested {
    async fn of(books: &Books, batch: i64, already: bool, retried: i64, measured: InputDigest) -> Result<Self> {
        Ok(Self {
            already,
            batch: store::batch(&books.ledger, batch).await?,
            quarantine: quarantine::store::quarantine_counts(&books.ledger, Some(batch)).await?,
            examples: quarantine::store::examples(&books.ledger, batch).await?,
            alarm: alarm::store::of_batch(&books.ledger, batch).await?,
            retried,
            known_as: None,
            left_out: Vec::new(),
            measured,
        })
    }
}

/// Ingests one input. `source` is who sent the records that do not say so.
pub async fn ingest(books: &Books, input: &Input, source: &str) -> Result<Ingested> {
    record::check_source(source).map_err(|refusal| Error::Usage(format!("--source: {refusal}")))?;
    if let Some(known) = find_known(books, input, source).await? {
        return Ok(known);
    }
    let earlier = earlier_read::of_name(books, input, source).await?;
    ingest_new(books, input, source, earlier).await
}

/// Ingests an original that changed after a batch had been made of it.
pub async fn ingest_changed(books: &Books, input: &Input, source: &str, batch: i64) -> Result<(Ingested, Earlier)> {
    let earlier = earlier_read::of_original(books, input, batch).await?;
    let ingested = match find_known(books, input, source).await? {
        Some(known) => known,
        None => ingest_new(books, input, source, Some(earlier)).await?,
    };
    Ok((ingested, earlier))
}

async fn ingest_new(books: &Books, input: &Input, source: &str, earlier: Option<Earlier>) -> Result<Ingested> {
    if let Some(child) = &books.child_reader
        && attempts::is_deadly(books, input)?
    {
        return child_process::ingest_in_child(books, child, input, source, earlier).await;
    }
    let rules = record_rules(books, source).await?;
    let attempt = WriteAttempt::register(books, "ingest").await?;
    let read = tokio::task::block_in_place(|| read_input(books, input, rules, &attempt))?;
    commit(books, input, source, attempt, read, earlier).await
}

async fn find_known(books: &Books, input: &Input, source: &str) -> Result<Option<Ingested>> {
    let Some(bytes) = input.bytes()? else { return Ok(None) };
    if !store::has_input_of_size(&books.ledger, bytes).await? {
        return Ok(None);
    }
    let Some(digest) = tokio::task::block_in_place(|| input.digest())? else {
        return Ok(None);
    };
    already(books, source, input, InputDigest { bytes, digest }).await
}

async fn already(books: &Books, source: &str, input: &Input, measured: InputDigest) -> Result<Option<Ingested>> {
    let found = store::batch_of_digest(&books.ledger, &measured.digest, source, input.format.text()).await?;
    let Some(batch) = found else {
        refuse_other_source(books, source, input, &measured).await?;
        return Ok(None);
    };
    let retried = quarantine::retry::retry(books, &Filter::of_batch(batch.batch))
        .await?
        .accepted;
    let mut known = Ingested::of(books, batch.batch, true, retried, measured).await?;
    known.known_as = Some(input.name.clone());
    Ok(Some(known))
}

/// The same bytes under another source would be billed a second time: its records are other identities. Somebody must mean it.
async fn refuse_other_source(books: &Books, source: &str, input: &Input, measured: &InputDigest) -> Result<()> {
    if input.comes_again() {
        return Ok(());
    }
    match store::batch_of_other_source(&books.ledger, &measured.digest, source).await? {
        None => Ok(()),
        Some(batch) => Err(Error::Usage(format!(
            "{}: the same bytes were ingested as batch {} ({}) with the source {:?}; as {source:?} each of their records that names no \
             source would be billed again. If they are other records, say `tallybook ingest --again-as {source} FILE`. Nothing was taken",
            input.name, batch.batch, batch.name, batch.source
        ))),
    }
}

async fn record_rules(books: &Books, source: &str) -> Result<RecordRules> {
    let known_accounts = match books.settings.unknown_accounts {
        UnknownAccounts::Add => None,
        UnknownAccounts::Quarantine => Some(store::account_numbers(&books.ledger).await?),
    };
    let expired = expired_days(&books.ledger)
        .await?
        .into_iter()
        .map(crate::values::calendar::number_of_day)
        .collect();
    let first_day = first_day::first_day(books).await?;
    let mut rules = RecordRules::new(books.clock, source, expired, known_accounts).from_day(first_day);
    rules.zones = Zones::new(source, &books.settings.zones).map(Arc::new);
    Ok(rules)
}

/// What reading an input left on disk and in memory.
struct ReadInput {
    measured: InputDigest,
    header: Option<String>,
    tally: Counts,
    segments: Vec<NewSegment>,
    synced: Synced,
}

fn read_input(books: &Books, input: &Input, mut rules: RecordRules, writing: &WriteAttempt) -> Result<ReadInput> {
    let intake = writing.number();
    let mut writers = Writers::new(&books.data, intake);
    let attempt = Attempt::begin(books, input)?;
    failpoint::reading(&input.name);
    let (measured, header, tally) = match input.folder() {
        Some(folder) => input::folder::read(books, input, folder, &mut rules, &mut writers, intake)?,
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
    })
}

fn paths_of(segments: &[NewSegment]) -> impl Iterator<Item = &String> {
    segments.iter().map(|segment| &segment.path)
}

fn read_file(
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
            "its durations add up to {} ms, which is no time that passes (2^56 ms are two million years); nothing of it was taken",
            tally.duration_ms
        ),
    })
}

/// Size and digest of an input, the header of a CSV, and what was counted.
type Checked = (InputDigest, Option<String>, Counts);

fn read_lines(books: &Books, input: &Input, rules: &RecordRules, writers: &Writers) -> Result<Checked> {
    let (reader, meter) = input.open()?;
    let (head, mut reader) = input::sniff::begin(input, reader)?;
    let progress = books.progress.bytes(&input.name, input.bytes()?);
    let tally = if input::sniff::stands_by_line(&head) {
        let mut chunks = Chunks::of_lines(reader).numbered_from(input.first_line());
        let read = |chunk: &mut Chunk| {
            progress.at(meter.bytes());
            chunks.fill(chunk).map_err(|e| input.unreadable(&e))
        };
        check_all(rules, writers, read, SegmentBuilder::take_lines)?
    } else if input.is_part() {
        return Err(Error::Input {
            input: input.name.clone(),
            what: "its records do not stand one on a line; in a folder they must: ingest such files one by one"
                .to_owned(),
        });
    } else {
        input::sniff::skip_mark(&head, &mut reader).map_err(|e| input.unreadable(&e))?;
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
                "line {line} is a row and a header in one: files were joined without a line end between them, and what stands below could \
                 be misread; put one there, or send the files apart; nothing of it was taken"
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
    let (_, reader) = input::sniff::begin(input, reader)?;
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
    let check = |builder: &mut SegmentBuilder, chunk: &Chunk| formats::csv::fast::check(builder, header, chunk);
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
    let spool = input::Spool::of(input, &books.data, intake)?;
    let rows = formats::parquet::Rows::open(&input.name, spool.path())?
        .numbered_from(input.first_line())
        .filled_with(input.filled())?;
    input.count_lines(rows.count());
    let mut slices = rows.slices();
    let next = |slice: &mut formats::parquet::Slice| {
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

async fn commit(
    books: &Books,
    input: &Input,
    source: &str,
    attempt: WriteAttempt<'_>,
    read: ReadInput,
    earlier: Option<Earlier>,
) -> Result<Ingested> {
    let ReadInput {
        measured,
        header,
        mut tally,
        segments,
        synced,
    } = read;
    tally.refused.sort_by_key(|refused| refused.line);
    let committed_at = books.clock.text();
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let new = NewBatch {
        intake: attempt.number(),
        kind: "input",
        name: &input.name,
        source,
        format: input.format.text(),
        header: header.as_deref(),
        measured: &measured,
        received: count(tally.received),
        stored: count(tally.stored),
        quarantined: count(tally.refused.len() as u64),
        duration_ms: tally.duration_ms,
        committed_at: &committed_at,
        received_by: None,
    };
    // What can be read once only is known by its bytes now.
    if let (None, Err(refused)) = (input.path(), refuse_other_source(books, source, input, &measured).await) {
        attempt.abandon(paths_of(&segments))?;
        return Err(refused);
    }
    let gone = match earlier {
        Some(earlier) => earlier_read::gone(books, earlier, &segments).await?,
        None => 0,
    };
    let first_day = first_day::first_day(books).await?;
    let alarm = alarm::raised(&books.settings, new.received, new.stored, new.quarantined);
    let mut tx = attempt.begin(None).await?;
    // Two runs may read the same input side by side; the second finds the first one's batch here.
    let twin = store::digest_is_known(&mut tx, &measured.digest, source, input.format.text()).await?;
    if twin {
        drop(tx);
        attempt.abandon(paths_of(&segments))?;
        return already(books, source, input, measured)
            .await?
            .ok_or_else(|| Error::Unbalanced(format!("the batch of {} was there and is gone", input.name)));
    }
    refuse_expired(
        &mut tx,
        tally
            .days
            .iter()
            .map(|&day| crate::values::calendar::day_of_number(day)),
    )
    .await?;
    first_day::fix(&mut tx, first_day).await?;
    let batch = match store::add_batch(&mut tx, &new).await {
        Ok(batch) => batch,
        Err(refused @ Error::Input { .. }) => {
            drop(tx);
            attempt.abandon(paths_of(&segments))?;
            return Err(refused);
        }
        Err(error) => return Err(error),
    };
    add_segments(&mut tx, &segments, batch, batch).await?;
    quarantine::store::add_quarantine(&mut tx, batch, tally.refused, &committed_at).await?;
    if let Some(code) = alarm {
        alarm::store::raise(&mut tx, batch, code, &committed_at).await?;
    }
    if let Some(earlier) = earlier {
        store::add_reread(&mut tx, batch, earlier, gone).await?;
        quarantine::cut_lines::set_cut_line_aside(&mut tx, earlier, batch, &committed_at).await?;
    }
    attempt.commit(tx, synced).await?;
    let mut ingested = Ingested::of(books, batch, false, 0, measured).await?;
    if let Some(folder) = input.folder() {
        ingested.left_out.clone_from(&folder.left_out);
    }
    Ok(ingested)
}
