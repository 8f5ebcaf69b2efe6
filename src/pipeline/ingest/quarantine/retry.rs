//! Quarantined lines, tried again as they came or as a person corrected them: those that pass now become a batch of their own.

use chrono::{DateTime, Utc};

use super::dismiss::{refuse_missing, subject};
use super::filter::Filter;
use super::store as quarantine;
use super::store::{Page, QuarantinedLine, Taken};
use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::ingest::event_rules::EventRules;
use crate::pipeline::ingest::formats::csv::CsvHeader;
use crate::pipeline::ingest::formats::csv::fast;
use crate::pipeline::ingest::formats::csv::first_row::first_row;
use crate::pipeline::ingest::input::{Format, InputDigest};
use crate::pipeline::ingest::read_events::events_of;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::pipeline::ingest::record_rules::{RecordRules, record_rules, refuse_closed_since};
use crate::pipeline::ingest::segment_builder::{Counts, Refused, SegmentBuilder};
use crate::pipeline::ingest::segment_writers::Writers;
use crate::pipeline::ingest::store;
use crate::pipeline::ingest::store::{Batch, NewBatch};
use crate::storage::ledger::{Decision, add_audit};
use crate::storage::raw::store::{add_segments, refuse_expired};
use crate::support::error::{Error, Result};
use crate::values::digest::sha256_hex;

/// What a retry did.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Retried {
    /// Lines with their bytes still there.
    pub tried: i64,
    /// Lines that left quarantine.
    pub accepted: i64,
    /// Lines whose original bytes have expired.
    pub without_bytes: i64,
}

/// Tries the lines that a filter means and that wait in quarantine.
pub async fn retry(books: &Books, filter: &Filter) -> Result<Retried> {
    filter.check(&books.ledger).await?;
    if !filter.numbers.is_empty() {
        let found = quarantine::lines(&books.ledger, filter, Page::default()).await?;
        refuse_missing(&filter.numbers, &found)?;
    }
    let mut retried = Retried::default();
    for number in quarantine::batches_that_wait(&books.ledger, filter).await? {
        let batch = store::batch(&books.ledger, number).await?;
        let of_batch = Filter {
            batch: Some(number),
            ..filter.clone()
        };
        let lines = quarantine::lines_with_bytes(&books.ledger, &of_batch, Page::default()).await?;
        let attempts: Vec<Attempt> = lines
            .into_iter()
            .filter_map(|line| {
                retried.without_bytes += i64::from(line.bytes.is_none());
                Some(Attempt {
                    bytes: line.bytes.clone()?,
                    line,
                    is_corrected: false,
                })
            })
            .collect();
        retried.tried += count_of(&attempts);
        retried.accepted += take_what_passes(books, &batch, &attempts, None).await?.accepted;
    }
    Ok(retried)
}

/// A line and the bytes that are tried in its place.
pub(crate) struct Attempt {
    pub line: QuarantinedLine,
    pub bytes: Vec<u8>,
    /// Whether a person wrote other bytes than came.
    pub is_corrected: bool,
}

/// Why a person writes other bytes than came.
pub(crate) struct Correction<'a> {
    pub reason: &'a str,
    /// The file of corrected lines, and its SHA-256.
    pub file: Option<(&'a str, &'a str)>,
}

/// What came of attempts.
#[derive(Debug, Default)]
pub(crate) struct Attempted {
    pub accepted: i64,
    /// Those that are refused still; each under its number in quarantine.
    pub refused: Vec<Refused>,
    /// The audit entry of a correction.
    pub entry: Option<i64>,
}

fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Takes those lines of a batch that pass the check now, in one transaction.
pub(crate) async fn take_what_passes(
    books: &Books,
    batch: &Batch,
    attempts: &[Attempt],
    correction: Option<&Correction<'_>>,
) -> Result<Attempted> {
    let format = Format::from_text(&batch.format).unwrap_or(Format::Ndjson);
    let mut rules = record_rules(books, &batch.source, format, receipt_of(batch)?).await?;
    rules.header = batch.header.as_deref().map(header_of).transpose()?;
    // Most retries change nothing; only one that does registers an intake and writes files.
    let (passing, refused) =
        tokio::task::block_in_place(|| try_lines(&rules, &Writers::new(&books.data, 0), batch, attempts))?;
    if passing.is_empty() {
        return Ok(Attempted {
            refused,
            ..Attempted::default()
        });
    }
    let writing = WriteAttempt::register(books, "retry").await?;
    let intake = writing.number();
    let writers = Writers::new(&books.data, intake);
    let tally = tokio::task::block_in_place(|| write_lines(&rules, &writers, batch, &passing))?;
    let segments = writers.finish()?;
    let paths = || segments.iter().map(|segment| &segment.path);
    let synced = writing.sync(paths())?;
    let accepted = count_of(&passing);
    let stored = i64::try_from(tally.stored).unwrap_or(i64::MAX);
    let at = books.clock.text();
    let new = NewBatch {
        intake,
        kind: "retry",
        name: &batch.name,
        source: &batch.source,
        format: &batch.format,
        header: None,
        measured: &InputDigest {
            bytes: 0,
            digest: format!("retry {intake}"),
        },
        // An event is one line in quarantine, and may be several records.
        received: stored - accepted,
        stored,
        quarantined: -accepted,
        duration_ms: tally.duration_ms,
        committed_at: &at,
        received_by: Some(batch.batch),
    };
    let taken: Vec<Taken> = passing.iter().map(|attempt| attempt.taken()).collect();
    let mut tx = writing.begin(None).await?;
    refuse_expired(
        &mut tx,
        tally
            .days
            .iter()
            .map(|&day| crate::values::calendar::day_of_number(day)),
    )
    .await?;
    refuse_closed_since(&mut tx, &rules.closed_accounts).await?;
    let number = match store::add_batch(&mut tx, &new).await {
        Ok(number) => number,
        Err(refused @ Error::Input { .. }) => {
            drop(tx);
            writing.abandon(paths())?;
            return Err(refused);
        }
        Err(error) => return Err(error),
    };
    let entry = match correction {
        Some(correction) => Some(add_audit(&mut tx, &decision(books, correction, &passing, &at)).await?),
        None => None,
    };
    if let Err(error) = quarantine::take(&mut tx, &taken, number, entry, &at).await {
        drop(tx);
        writing.abandon(paths())?;
        return Err(error);
    }
    add_segments(&mut tx, &segments, number, number).await?;
    writing.commit(tx, synced).await?;
    Ok(Attempted {
        accepted,
        refused,
        entry,
    })
}

impl Attempt {
    fn taken(&self) -> Taken {
        Taken {
            quarantine: self.line.quarantine,
            corrected_digest: self.is_corrected.then(|| sha256_hex(&self.bytes)),
        }
    }
}

/// Lines whose digests an audit entry lists; of more, each line's row has them.
const AUDITED_LINES: usize = 1000;

/// Who corrected what, with the digests of what came and of what was taken.
fn decision<'a>(books: &'a Books, correction: &'a Correction<'_>, taken: &[&Attempt], at: &str) -> Decision<'a> {
    let lines: Vec<QuarantinedLine> = taken.iter().map(|attempt| attempt.line.clone()).collect();
    let digests = taken.iter().take(AUDITED_LINES).map(|attempt| {
        let line = &attempt.line;
        serde_json::json!({ "line": line.quarantine, "came": line.payload_digest, "taken": sha256_hex(&attempt.bytes) })
    });
    let mut detail = serde_json::json!({ "taken": taken.len(), "sha_256": digests.collect::<Vec<_>>() });
    if let Some((name, digest)) = correction.file {
        detail["file"] = name.into();
        detail["file_sha_256"] = digest.into();
    }
    Decision {
        who: &books.settings.who,
        action: "quarantine correct",
        subject: subject(&lines),
        detail,
        reason: correction.reason,
        at: at.to_owned(),
    }
}

/// Runs lines through the check, and writes nothing. Returns those that pass, and what is said of the others.
fn try_lines<'a>(
    rules: &RecordRules,
    writers: &Writers,
    batch: &Batch,
    attempts: &'a [Attempt],
) -> Result<(Vec<&'a Attempt>, Vec<Refused>)> {
    let mut builder = SegmentBuilder::new(rules, writers);
    let mut passing = Vec::new();
    let mut taking = Taking::of(rules, batch);
    for attempt in attempts {
        if taking.take(&mut builder, attempt)? {
            passing.push(attempt);
        }
    }
    Ok((passing, builder.into_refused()))
}

fn write_lines(rules: &RecordRules, writers: &Writers, batch: &Batch, attempts: &[&Attempt]) -> Result<Counts> {
    let mut builder = SegmentBuilder::new(rules, writers);
    let mut taking = Taking::of(rules, batch);
    for attempt in attempts {
        if !taking.take(&mut builder, attempt)? {
            let number = attempt.line.quarantine;
            return Err(Error::Unbalanced(format!(
                "line {number} passed the door once and not again"
            )));
        }
    }
    builder.finish()
}

/// Reads lines as those of one batch.
struct Taking<'a> {
    rules: &'a RecordRules,
    format: Option<Format>,
    reading: fast::Reading,
    /// The number of the next record of an event.
    next: u64,
}

impl<'a> Taking<'a> {
    fn of(rules: &'a RecordRules, batch: &Batch) -> Self {
        Self {
            rules,
            format: Format::from_text(&batch.format),
            reading: fast::Reading::default(),
            next: 1,
        }
    }

    /// In the new batch a line's number is its quarantine number, which is unique there; records of events are numbered one after another.
    fn take(&mut self, builder: &mut SegmentBuilder, attempt: &Attempt) -> Result<bool> {
        let line = u64::try_from(attempt.line.quarantine).unwrap_or(0);
        match (self.format, &self.rules.header, &self.rules.events) {
            (Some(Format::Csv), Some(header), _) => {
                fast::take(builder, header, line, &attempt.bytes, &mut self.reading)
            }
            (_, _, Some(rules)) => self.take_event(builder, rules, line, &attempt.bytes),
            _ => builder.take_line(line, &attempt.bytes),
        }
    }

    /// What was refused is one event; what a person wrote in its place must be one too.
    fn take_event(
        &mut self,
        builder: &mut SegmentBuilder,
        rules: &EventRules,
        line: u64,
        bytes: &[u8],
    ) -> Result<bool> {
        let events = events_of(rules, bytes);
        let [event] = events.as_slice() else {
            return builder.refuse_row(line, one_event(events.len()), bytes);
        };
        if event.is_refused() {
            return builder.take_event(line, event);
        }
        if let Some(reason) = event.skipped() {
            return builder.refuse_row(line, no_record(reason), bytes);
        }
        let first = self.next;
        self.next += event.lines();
        builder.take_event(first, event)
    }
}

fn one_event(found: usize) -> Refusal {
    Refusal::new(
        code::BAD_EVENT,
        format!("the line holds {found} events; exactly one is expected"),
    )
}

fn no_record(reason: &str) -> Refusal {
    Refusal::new(
        code::BAD_EVENT,
        format!("the event gives no record ({reason}); to dismiss the line, use `tallybook quarantine dismiss`"),
    )
}

/// When the bytes of a batch were received first.
fn receipt_of(batch: &Batch) -> Result<DateTime<Utc>> {
    batch.committed_at.parse().map_err(|_| {
        Error::Unbalanced(format!(
            "batch {} was committed at {:?}, which is no time",
            batch.batch, batch.committed_at
        ))
    })
}

fn header_of(text: &str) -> Result<CsvHeader> {
    let first = first_row(text.as_bytes()).map_err(Error::Usage)?;
    CsvHeader::parse(&first.row, first.separator).map_err(|e| Error::Usage(e.to_string()))
}
