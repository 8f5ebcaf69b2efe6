//! The ledger of ingest: batches. Refused lines have a store of their own.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::earlier_read::Earlier;
use super::input::{Input, InputDigest};
use crate::storage::ledger::{Ledger, Row, Tx, Value, insert_row, next_number, query};
use crate::support::error::{Error, Result};
use crate::values::format::Format;

/// A batch about to be committed.
pub struct NewBatch<'a> {
    pub intake: i64,
    pub kind: &'static str,
    pub name: &'a str,
    pub source: &'a str,
    pub format: &'a str,
    pub header: Option<&'a str>,
    pub measured: &'a InputDigest,
    pub received: i64,
    pub stored: i64,
    pub quarantined: i64,
    /// Milliseconds of its usage.
    pub duration_ms: u64,
    pub committed_at: &'a str,
    /// Of a retry: the batch that received its lines.
    pub received_by: Option<i64>,
}

/// A committed batch.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Batch {
    pub batch: i64,
    pub name: String,
    pub source: String,
    pub format: String,
    pub received: i64,
    pub stored: i64,
    pub quarantined: i64,
    pub committed_at: String,
    #[serde(skip)]
    pub header: Option<String>,
}

const BATCH_COLUMNS: &str =
    "SELECT batch, name, source, format, received, stored_rows, quarantined, committed_at, header FROM batch";

fn batch_of(row: &Row) -> Result<Batch> {
    Ok(Batch {
        batch: row.try_get(0)?,
        name: row.try_get(1)?,
        source: row.try_get(2)?,
        format: row.try_get(3)?,
        received: row.try_get(4)?,
        stored: row.try_get(5)?,
        quarantined: row.try_get(6)?,
        committed_at: row.try_get(7)?,
        header: row.try_get(8)?,
    })
}

/// The batch of an input that was ingested before.
pub async fn batch_of_digest(ledger: &Ledger, digest: &str, source: &str, format: &str) -> Result<Option<Batch>> {
    let sql = format!("{BATCH_COLUMNS} WHERE digest = ? AND source = ? AND format = ?");
    let row = query(sql)
        .bind(digest)
        .bind(source)
        .bind(format)
        .fetch_optional(ledger)
        .await?;
    row.as_ref().map(batch_of).transpose()
}

/// A batch of the same bytes under another source, of which records were stored.
pub async fn batch_of_other_source(ledger: &Ledger, digest: &str, source: &str) -> Result<Option<Batch>> {
    let sql = format!("{BATCH_COLUMNS} WHERE digest = ? AND source <> ? AND stored_rows > 0 ORDER BY batch");
    let row = query(sql).bind(digest).bind(source).fetch_optional(ledger).await?;
    row.as_ref().map(batch_of).transpose()
}

/// The batch of an original whose name has the beginning of its digest.
pub async fn batch_of_digest_beginning(ledger: &Ledger, beginning: &str) -> Result<Option<Batch>> {
    let sql = format!("{BATCH_COLUMNS} WHERE digest >= ? AND digest < ? AND kind = 'input' ORDER BY batch");
    let row = query(sql)
        .bind(beginning)
        .bind(format!("{beginning}g"))
        .fetch_optional(ledger)
        .await?;
    row.as_ref().map(batch_of).transpose()
}

/// The digests of the inputs that some batches came with; of a retry, that of the input with the lines.
pub async fn digests_of(ledger: &Ledger, batches: &BTreeSet<i64>) -> Result<BTreeSet<String>> {
    let mut inputs = batches.clone();
    query("SELECT batch, received_by FROM batch WHERE received_by IS NOT NULL")
        .for_each(ledger, |row| {
            if batches.contains(&row.try_get::<i64>(0)?) {
                inputs.insert(row.try_get(1)?);
            }
            Ok(())
        })
        .await?;
    let mut digests = BTreeSet::new();
    query("SELECT batch, digest FROM batch WHERE received_by IS NULL")
        .for_each(ledger, |row| {
            if inputs.contains(&row.try_get::<i64>(0)?) {
                digests.insert(row.try_get(1)?);
            }
            Ok(())
        })
        .await?;
    Ok(digests)
}

/// An earlier state of an input.
#[derive(Clone, Debug)]
pub struct State {
    pub batch: i64,
    pub bytes: u64,
    pub digest: String,
}

fn state_of_row(row: &Row) -> Result<State> {
    Ok(State {
        batch: row.try_get(0)?,
        bytes: u64::try_from(row.try_get::<i64>(1)?).unwrap_or(0),
        digest: row.try_get(2)?,
    })
}

/// What a batch was made of.
pub async fn state_of(ledger: &Ledger, batch: i64) -> Result<State> {
    let row = query("SELECT batch, bytes, digest FROM batch WHERE batch = ?")
        .bind(batch)
        .fetch_one(ledger)
        .await?;
    state_of_row(&row)
}

/// Inputs of the same name, source and format that were shorter.
pub async fn shorter_states(ledger: &Ledger, input: &Input, source: &str, bytes: u64) -> Result<Vec<State>> {
    let rows = query(
        "SELECT batch, bytes, digest FROM batch WHERE name = ? AND source = ? AND format = ? AND kind = 'input' AND bytes < ?",
    )
    .bind(input.name.as_str())
    .bind(source)
    .bind(input.format.text())
    .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
    .fetch_all(ledger)
    .await?;
    rows.iter().map(state_of_row).collect()
}

/// The intake of a batch, which its rows carry.
pub async fn intake_of_batch(ledger: &Ledger, batch: i64) -> Result<i64> {
    let row = query("SELECT intake FROM batch WHERE batch = ?")
        .bind(batch)
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// Notes of which earlier batch this one is a later state.
pub async fn add_reread(tx: &mut Tx, batch: i64, earlier: Earlier, gone: i64) -> Result<()> {
    let cut_line = earlier.cut_line.and_then(|line| i64::try_from(line).ok());
    let row: [Value; 6] = [
        batch.into(),
        earlier.batch.into(),
        i64::from(earlier.in_place).into(),
        i64::try_from(earlier.same_bytes).unwrap_or(i64::MAX).into(),
        cut_line.into(),
        gone.into(),
    ];
    insert_row(
        tx,
        "reread (batch, first_batch, in_place, same_bytes, cut_line, gone)",
        row,
    )
    .await
}

/// How many records of an earlier state a batch has no more.
pub async fn gone_records(ledger: &Ledger, batch: i64) -> Result<i64> {
    let row = query("SELECT COALESCE(SUM(gone), 0) FROM reread WHERE batch = ?")
        .bind(batch)
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// What a source handed over on a day.
pub struct ReceivedOnDay {
    pub received: i64,
    pub stored: i64,
    pub quarantined: i64,
    /// Whether one of its batches raised an alarm.
    pub has_alarm: bool,
}

/// Adds up a source's inputs of a UTC day (`YYYY-MM-DD`), those of the transaction included.
pub async fn received_on_day(tx: &mut Tx, source: &str, day: &str) -> Result<ReceivedOnDay> {
    let row = query(
        "SELECT COALESCE(SUM(b.received), 0), COALESCE(SUM(b.stored_rows), 0), COALESCE(SUM(b.quarantined), 0), COUNT(a.alarm) \
         FROM batch b LEFT JOIN alarm a ON a.batch = b.batch \
         WHERE b.source = ? AND b.kind = 'input' AND b.committed_at >= ? AND b.committed_at < ?",
    )
    .bind(source)
    .bind(day)
    .bind(format!("{day}~"))
    .fetch_one(&mut *tx)
    .await?;
    Ok(ReceivedOnDay {
        received: row.try_get(0)?,
        stored: row.try_get(1)?,
        quarantined: row.try_get(2)?,
        has_alarm: row.try_get::<i64>(3)? > 0,
    })
}

/// Counts events of a batch that gave no record.
pub async fn add_skipped_events(tx: &mut Tx, batch: i64, skipped: &BTreeMap<&'static str, u64>) -> Result<()> {
    for (reason, events) in skipped {
        let row: [Value; 3] = [
            batch.into(),
            (*reason).into(),
            i64::try_from(*events).unwrap_or(i64::MAX).into(),
        ];
        insert_row(tx, "skipped_event (batch, reason, events)", row).await?;
    }
    Ok(())
}

/// Events of a batch that gave no record, by reason.
pub async fn skipped_events(ledger: &Ledger, batch: i64) -> Result<Vec<(String, i64)>> {
    let rows = query("SELECT reason, events FROM skipped_event WHERE batch = ? ORDER BY reason")
        .bind(batch)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Whether an input is ingested already, asked inside the transaction that would ingest it.
pub async fn digest_is_known(tx: &mut Tx, digest: &str, source: &str, format: &str) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM batch WHERE digest = ? AND source = ? AND format = ?")
        .bind(digest)
        .bind(source)
        .bind(format)
        .fetch_one(&mut *tx)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}

/// A batch by number.
pub async fn batch(ledger: &Ledger, batch: i64) -> Result<Batch> {
    let row = query(format!("{BATCH_COLUMNS} WHERE batch = ?"))
        .bind(batch)
        .fetch_one(ledger)
        .await?;
    batch_of(&row)
}

/// The format of the batch that a writer committed.
///
/// # Errors
/// Where there is no such batch.
pub async fn format_of_intake(ledger: &Ledger, intake: i64) -> Result<Format> {
    let row = query("SELECT format FROM batch WHERE intake = ?")
        .bind(intake)
        .fetch_optional(ledger)
        .await?;
    let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
    text.as_deref().and_then(Format::from_text).ok_or_else(|| {
        Error::Unbalanced(format!(
            "a payload was written by {intake}, which is no batch of the ledger; run `tallybook verify`"
        ))
    })
}

/// Whether some input of that size was ingested, so that reading a file's digest first may save reading it twice.
pub async fn has_input_of_size(ledger: &Ledger, bytes: u64) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM batch WHERE bytes = ?")
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}

/// Whether there is a batch of that number.
pub async fn has_batch(ledger: &Ledger, batch: i64) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM batch WHERE batch = ?")
        .bind(batch)
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}

/// More media than all inputs can be of, in milliseconds: half of what totals have room for.
const ALL_DURATIONS_END: i128 = 1 << 62;

/// A batch of less media, which is 35 years of it, counts for nothing beside that: four million of them would fit.
const MUCH_MS: i64 = 1 << 40;

/// The durations of a batch, unless they and those of all others are more than totals have room for: that a batch cannot be taken back.
async fn check_durations(tx: &mut Tx, new: &NewBatch<'_>) -> Result<i64> {
    let duration_ms = i64::try_from(new.duration_ms).unwrap_or(i64::MAX);
    if duration_ms < MUCH_MS {
        return Ok(duration_ms);
    }
    // Batches from before this was written down have none.
    let sum = tx.engine().wide_sum("duration_ms");
    let row = query(format!("SELECT {sum} FROM batch WHERE duration_ms >= ?"))
        .bind(MUCH_MS)
        .fetch_one(&mut *tx)
        .await?;
    let all = row.wide(0)? + i128::from(duration_ms);
    if all < ALL_DURATIONS_END {
        return Ok(duration_ms);
    }
    Err(Error::Input {
        input: new.name.to_owned(),
        what: format!(
            "its durations add up to {duration_ms} ms, and with those of all batches to {all} ms, which exceeds the limit of the \
             totals (2^62 ms); look for impossible durations in it; nothing was ingested"
        ),
    })
}

/// Gives the batch its number and its row.
pub async fn add_batch(tx: &mut Tx, new: &NewBatch<'_>) -> Result<i64> {
    let batch = next_number(tx, "batch").await?;
    let duration_ms = check_durations(tx, new).await?;
    let row: [Value; 15] = [
        batch.into(),
        new.intake.into(),
        new.kind.into(),
        new.name.into(),
        new.source.into(),
        new.format.into(),
        new.header.map(ToOwned::to_owned).into(),
        i64::try_from(new.measured.bytes).unwrap_or(i64::MAX).into(),
        new.measured.digest.as_str().into(),
        new.received.into(),
        new.stored.into(),
        new.quarantined.into(),
        new.committed_at.into(),
        new.received_by.into(),
        duration_ms.into(),
    ];
    let into = "batch (batch, intake, kind, name, source, format, header, bytes, digest, received, stored_rows, quarantined, \
                committed_at, received_by, duration_ms)";
    insert_row(tx, into, row).await?;
    Ok(batch)
}

/// The accounts there are.
pub async fn account_numbers(ledger: &Ledger) -> Result<HashSet<u64>> {
    let rows = query("SELECT uin FROM account").fetch_all(ledger).await?;
    rows.iter()
        .map(|row| {
            let uin: String = row.try_get(0)?;
            uin.parse()
                .map_err(|_| Error::Unbalanced(format!("account {uin:?} in the ledger is not a number")))
        })
        .collect()
}
