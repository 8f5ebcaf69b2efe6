//! Quarantined lines, tried again: those that pass now become a batch of their own.

use std::collections::BTreeMap;

use super::csv::CsvHeader;
use super::first_row::first_row;
use super::input::{Format, Measured};
use super::rows;
use super::store::{self, Batch, NewBatch, QuarantinedLine};
use super::worker::{Door, Tally, Worker};
use super::writers::Writers;
use crate::books::Books;
use crate::error::{Error, Result};
use crate::files::{remove_files, sync_all};
use crate::ledger::commit_intake;
use crate::raw::store::{add_segments, refuse_expired};

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

/// Tries the quarantined lines of one batch, or of all.
pub async fn retry(books: &Books, batch: Option<i64>) -> Result<Retried> {
    let lines = store::quarantined(&books.ledger, batch).await?;
    let mut by_batch: BTreeMap<i64, Vec<QuarantinedLine>> = BTreeMap::new();
    for line in lines {
        by_batch.entry(line.batch).or_default().push(line);
    }
    let mut retried = Retried::default();
    for (batch, lines) in by_batch {
        let batch = store::batch(&books.ledger, batch).await?;
        retry_batch(books, &batch, lines, &mut retried).await?;
    }
    Ok(retried)
}

async fn retry_batch(books: &Books, batch: &Batch, lines: Vec<QuarantinedLine>, retried: &mut Retried) -> Result<()> {
    let lines: Vec<(i64, Vec<u8>)> = lines
        .into_iter()
        .filter_map(|line| {
            retried.without_bytes += i64::from(line.bytes.is_none());
            Some((line.quarantine, line.bytes?))
        })
        .collect();
    retried.tried += i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let mut door = super::open_door(books, &batch.source).await?;
    door.header = batch.header.as_deref().map(header_of).transpose()?;
    // Most retries change nothing; only one that does registers an intake and writes files.
    let passes = tokio::task::block_in_place(|| try_lines(&door, &Writers::new(&books.data, 0), batch, &lines, false))?;
    if passes.1.is_empty() {
        return Ok(());
    }
    let intake = books.register_intake("retry").await?;
    let writers = Writers::new(&books.data, intake);
    let (tally, accepted) = tokio::task::block_in_place(|| try_lines(&door, &writers, batch, &lines, true))?;
    let segments = writers.finish()?;
    let places: Vec<_> = segments.iter().map(|s| books.data.join(&s.path)).collect();
    sync_all(&places)?;
    let count = i64::try_from(accepted.len()).unwrap_or(i64::MAX);
    let committed_at = books.clock.text();
    let new = NewBatch {
        intake,
        kind: "retry",
        name: &batch.name,
        source: &batch.source,
        format: &batch.format,
        header: None,
        measured: &Measured {
            bytes: 0,
            digest: format!("retry {intake}"),
        },
        received: 0,
        stored: count,
        quarantined: -count,
        committed_at: &committed_at,
    };
    let mut tx = books.ledger.begin().await?;
    commit_intake(&mut tx, intake).await?;
    refuse_expired(&mut tx, tally.days.iter().map(|&day| crate::span::day_of_number(day))).await?;
    let number = store::add_batch(&mut tx, &new).await?;
    if let Err(error) = store::take_from_quarantine(&mut tx, &accepted, number).await {
        drop(tx);
        remove_files(&places)?;
        return Err(error);
    }
    add_segments(&mut tx, &segments, number, number).await?;
    books.ledger.commit_of(tx, "retry", intake).await?;
    retried.accepted += count;
    Ok(())
}

/// Runs lines past the door. Returns the tally and the quarantine numbers of those that pass. In the new batch a line's
/// number is its quarantine number, which is unique there.
fn try_lines(
    door: &Door,
    writers: &Writers,
    batch: &Batch,
    lines: &[(i64, Vec<u8>)],
    write: bool,
) -> Result<(Tally, Vec<i64>)> {
    let mut worker = Worker::new(door, writers);
    let mut accepted = Vec::new();
    let mut reading = rows::Reading::default();
    for (number, bytes) in lines {
        let line = u64::try_from(*number).unwrap_or(0);
        let passes = match (Format::from_text(&batch.format), &door.header) {
            (Some(Format::Csv), Some(header)) => rows::take(&mut worker, header, line, bytes, &mut reading)?,
            _ => worker.take_line(line, bytes)?,
        };
        if passes {
            accepted.push(*number);
        }
    }
    let tally = if write { worker.finish()? } else { Tally::default() };
    Ok((tally, accepted))
}

fn header_of(text: &str) -> Result<CsvHeader> {
    let first = first_row(text.as_bytes()).map_err(Error::Usage)?;
    CsvHeader::parse(&first.row, first.separator).map_err(|e| Error::Usage(e.to_string()))
}
