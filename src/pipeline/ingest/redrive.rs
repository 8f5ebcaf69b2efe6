//! Redrive: events that are kept go through the door again, read by the rules of now. What is known is a duplicate, which metering finds;
//! a template that was added since counts; a day that has expired is refused. The events stay where they are.
//!
//! ```text
//! find        events that fit, file by file, row group by row group
//! read        each with its own time of receipt, as a batch of its source
//! commit      a batch with the records, unless an earlier redrive gave the same ones; an event that is refused is told, and changes
//!             nothing
//! ```

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};

use super::formats::events::{Event, Outcome};
use super::payloads::{PayloadFilter, payload_segments};
use super::read_events::events_of;
use super::record_rules::{RecordRules, record_rules};
use super::segment_builder::{Counts, SegmentBuilder};
use super::segment_writers::Writers;
use super::store;
use super::store::NewBatch;
use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::ingest::input::InputDigest;
use crate::storage::ledger::Lease;
use crate::storage::raw::payload::{PayloadRow, for_each_payload_group};
use crate::storage::raw::store::{add_segments, refuse_expired};
use crate::support::error::{Error, Result};
use crate::values::calendar::day_of_number;
use crate::values::digest::Hasher;
use crate::values::format::Format;

/// What a redrive did, or would do.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Redriven {
    /// Events that fit.
    pub events: u64,
    /// Records of those that were taken; those that the books have are duplicates.
    pub records: u64,
    /// Batches that have them.
    pub batches: Vec<i64>,
    /// Records that an earlier redrive gave already; they are in no batch of this one.
    pub known: u64,
    /// Events without a record by the rules of now.
    pub skipped: u64,
    pub refused: Vec<RefusedEvent>,
}

/// An event that is refused now. It stays among the payloads.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RefusedEvent {
    pub day: NaiveDate,
    pub source: String,
    pub task_id: String,
    pub code: &'static str,
    pub sentence: String,
}

/// How far a redrive goes.
#[derive(Clone, Copy)]
pub enum Redrive<'a> {
    /// To the commit. The lease keeps the files from being written anew meanwhile.
    Commit(&'a Lease),
    /// It writes nothing.
    DryRun,
}

/// Puts the events that fit through the door again.
pub async fn redrive(books: &Books, filter: &PayloadFilter, how: Redrive<'_>) -> Result<Redriven> {
    let mut done = Redriven::default();
    for (_, segment) in payload_segments(books).await? {
        let mut groups: Vec<Vec<PayloadRow>> = Vec::new();
        tokio::task::block_in_place(|| {
            for_each_payload_group(&books.data.join(&segment.path), |rows| {
                let fitting: Vec<PayloadRow> = rows.into_iter().filter(|row| filter.fits(row)).collect();
                groups.extend((!fitting.is_empty()).then_some(fitting));
                Ok(())
            })
        })?;
        for rows in groups {
            for ((source, format), rows) in by_format(books, rows).await? {
                let of = Part {
                    day: segment.day,
                    source: &source,
                    format,
                };
                of.redrive(books, &rows, how, &mut done).await?;
            }
        }
    }
    Ok(done)
}

/// Rows by their source and the format of their batch.
async fn by_format(books: &Books, rows: Vec<PayloadRow>) -> Result<BTreeMap<(String, Format), Vec<PayloadRow>>> {
    let mut formats: BTreeMap<i64, Format> = BTreeMap::new();
    let mut by_format: BTreeMap<(String, Format), Vec<PayloadRow>> = BTreeMap::new();
    for row in rows {
        let format = if let Some(format) = formats.get(&row.intake) {
            *format
        } else {
            let format = store::format_of_intake(&books.ledger, row.intake).await?;
            formats.insert(row.intake, format);
            format
        };
        by_format.entry((row.source.clone(), format)).or_default().push(row);
    }
    Ok(by_format)
}

/// Events of a day that become one batch.
struct Part<'a> {
    day: NaiveDate,
    source: &'a str,
    format: Format,
}

impl Part<'_> {
    async fn redrive(&self, books: &Books, rows: &[PayloadRow], how: Redrive<'_>, done: &mut Redriven) -> Result<()> {
        let rules = record_rules(books, self.source, self.format, books.clock.receipt()).await?;
        done.events += rows.len() as u64;
        let Redrive::Commit(lease) = how else {
            let writers = Writers::new(&books.data, 0);
            let (stored, refused, skipped) = tokio::task::block_in_place(|| {
                let mut builder = SegmentBuilder::new(&rules, &writers).without_payloads();
                let events = take(&mut builder, &rules, rows)?;
                let tally = builder.tally();
                Ok::<_, Error>((
                    tally.stored,
                    self.told(&events.tasks, tally),
                    tally.skipped.values().sum::<u64>(),
                ))
            })?;
            done.records += stored;
            done.refused.extend(refused);
            done.skipped += skipped;
            return Ok(());
        };
        let attempt = WriteAttempt::register(books, "redrive").await?;
        let writers = Writers::new(&books.data, attempt.number());
        let (tally, refused, digest) = tokio::task::block_in_place(|| {
            let mut builder = SegmentBuilder::new(&rules, &writers).without_payloads();
            let events = take(&mut builder, &rules, rows)?;
            let refused = self.told(&events.tasks, builder.tally());
            Ok::<_, Error>((builder.finish()?, refused, events.records.hex()))
        })?;
        let segments = writers.finish()?;
        let paths = || segments.iter().map(|segment| &segment.path);
        done.refused.extend(refused);
        done.skipped += tally.skipped.values().sum::<u64>();
        let known = store::batch_of_digest(&books.ledger, &digest, self.source, self.format.text()).await?;
        if tally.stored == 0 || known.is_some() {
            done.known += tally.stored;
            return attempt.abandon(paths());
        }
        done.records += tally.stored;
        let synced = attempt.sync(paths())?;
        let stored = i64::try_from(tally.stored).unwrap_or(i64::MAX);
        let at = books.clock.text();
        let new = NewBatch {
            intake: attempt.number(),
            kind: "redrive",
            name: &format!("redrive of {}", self.day),
            source: self.source,
            format: self.format.text(),
            header: None,
            // SHA-256 of what it gave, where an input has the BLAKE3 of its bytes.
            measured: &InputDigest { bytes: 0, digest },
            received: stored,
            stored,
            quarantined: 0,
            duration_ms: tally.duration_ms,
            committed_at: &at,
            received_by: None,
        };
        let mut tx = attempt.begin(Some(lease)).await?;
        refuse_expired(&mut tx, tally.days.iter().map(|&day| day_of_number(day))).await?;
        let batch = store::add_batch(&mut tx, &new).await?;
        add_segments(&mut tx, &segments, batch, batch).await?;
        attempt.commit(tx, synced).await?;
        done.batches.push(batch);
        Ok(())
    }

    /// What is said of the events that were refused, each by the number that it would have had.
    fn told(&self, events: &BTreeMap<u64, String>, tally: &Counts) -> Vec<RefusedEvent> {
        let told = tally.refused.iter().map(|refused| RefusedEvent {
            day: self.day,
            source: self.source.to_owned(),
            task_id: events.get(&refused.line).cloned().unwrap_or_default(),
            code: refused.refusal.code,
            sentence: refused.refusal.sentence.clone(),
        });
        told.collect()
    }
}

/// Events that were taken or refused.
struct TakenEvents {
    /// Their tasks, by the numbers of their first records.
    tasks: BTreeMap<u64, String>,
    /// Of all records that the events give by the rules of now.
    records: Hasher,
}

/// Reads each event with its own receipt, and takes it.
fn take(builder: &mut SegmentBuilder<'_>, rules: &RecordRules, rows: &[PayloadRow]) -> Result<TakenEvents> {
    let Some(events) = &rules.events else {
        return Err(Error::Unbalanced(format!(
            "events of source {} are read without its rules",
            rules.default_source
        )));
    };
    let mut of_row = events.clone();
    let (mut next, mut tasks, mut records) = (1, BTreeMap::new(), Hasher::default());
    for row in rows {
        of_row.receipt = DateTime::from_timestamp_nanos(row.receipt_ns);
        for event in events_of(&of_row, row.payload.as_bytes()) {
            tasks.insert(next, row.task_id.clone());
            if builder.take_event(next, &event)?
                && let Outcome::Records(given) = &event.outcome
            {
                for record in given {
                    records.update(record.line.as_bytes());
                }
            }
            next += Event::lines(&event);
        }
    }
    Ok(TakenEvents { tasks, records })
}
